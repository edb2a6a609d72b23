"""Belief tables saved, damaged, misused and shared by threads."""

import pickle

import numpy as np
import pytest
from threads import run_threads

from reloop2_keras.core.online import BeliefTables

TABLES = [[0], [1], [2], [0, 2]]
NOISES = [0.0, 1.0, 40.0]


def log(seed, rows=400, width=3, values=12):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(-(2**31), 2**31, values).astype("int32")[
        rng.integers(0, values, (rows, width))
    ]
    return hashes, (rng.random(rows) < 0.3 + 0.4 * (hashes[:, 0] % 2)).astype(float)


def test_save_load_copy_pickle_reset():
    hashes, labels = log(8)
    tables = BeliefTables(3, TABLES, 9, NOISES)
    words = tables.words(hashes)
    tables.learn(words, labels)
    fresh = BeliefTables(**tables.get_config())
    fresh.load_state(tables.state())
    for twin in (fresh, tables.copy(), pickle.loads(pickle.dumps(tables))):
        twin.learn(words, labels)
        assert twin.rows == 800 and tables.rows == 400
        np.testing.assert_array_equal(twin.keys, tables.keys)
    fresh.reset()
    start = BeliefTables(**tables.get_config()).state()
    for name, array in fresh.state().items():
        np.testing.assert_array_equal(array, start[name])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("records", lambda x: x * np.nan, "finite"),
        ("records", lambda x: -x, "variances in"),
        ("records", lambda x: x + [1e6, 0, 0], "rows learnt"),
        ("keys", lambda x: np.roll(x, 100), "8 places"),
        ("keys", lambda x: x[1:], "shape"),
        ("rows", lambda x: -x, ">= 0"),
    ],
)
def test_damaged_state_is_refused_and_nothing_changes(name, change, message):
    hashes, labels = log(9)
    tables = BeliefTables(3, None, 8)
    tables.learn(tables.words(hashes), labels)
    state = tables.state()
    with pytest.raises(ValueError, match=message):
        tables.load_state({**state, name: change(state[name])})
    for name, array in tables.state().items():
        np.testing.assert_array_equal(array, state[name])


def test_hostile_inputs_are_named_and_change_nothing():
    hashes, labels = log(10)
    tables = BeliefTables(3, None, 6)
    words = tables.words(hashes)
    tables.learn(words, labels)
    state = tables.state()
    bad = labels.copy()
    bad[17] = np.nan
    for call, message in (
        (lambda: tables.learn(words, bad), "row 17"),
        (lambda: tables.learn(words, labels[1:]), "400 rows"),
        (lambda: tables.learn(words[:, :2], labels), "3 columns"),
        (lambda: tables.learn(words * 0, labels), "no 0"),
        (lambda: tables.learn(words.astype(float), labels), "int32"),
        (lambda: tables.learn(words, labels, np.ones((3, 2))), "shape"),
        (lambda: tables.learn(words, labels, np.full((3, 1), np.inf)), "finite"),
        (lambda: tables.learn(words, labels, None, np.full((400, 1), np.nan)), "finite"),
        (lambda: tables.learn(words, labels, None, np.zeros(400)), "shape"),
        (lambda: tables.words(hashes.astype(float)), "integers"),
        (lambda: tables.words(hashes[:, :2]), "shape"),
        (lambda: BeliefTables(0), "width"),
        (lambda: BeliefTables(3, [[3]]), "columns in"),
        (lambda: BeliefTables(3, [[1, 1]]), "distinct"),
        (lambda: BeliefTables(3, None, 2), "bits"),
        (lambda: BeliefTables(3, None, [4, 4]), "bits"),
        (lambda: BeliefTables(3, noises=[-1.0]), "noises"),
        (lambda: BeliefTables(3, prior=0), "prior"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for name, array in tables.state().items():
        np.testing.assert_array_equal(array, state[name])
    tables.learn(words[:0], labels[:0])  # no row is no harm
    assert tables.read(words[:0])[0].shape == (0, 1, 3)


def test_readers_see_beliefs_before_or_after_a_change():
    tables = BeliefTables(1, bits=10, noises=[0.0])
    words = tables.words(np.arange(500, dtype="int32")[:, None])
    learnt = []

    def learn():
        tables.learn(words, np.ones(500))
        learnt.append(1)

    def read():
        assert len(np.unique(tables.read(words)[0])) == 1

    run_threads([learn] * 2 + [read] * 4, 3)
    assert tables.rows == 500 * len(learnt) > 0
    once = BeliefTables(1, bits=10, noises=[0.0])
    for _ in learnt:
        once.learn(words, np.ones(500))
    np.testing.assert_array_equal(once.records, tables.records)

"""Where beliefs lie in memory: lines, pages, copies, and reads in threads."""

import copy
import pickle

import numpy as np
import pytest

from reloop2_keras.core import compiled
from reloop2_keras.core.compiled import jit, prefetch
from reloop2_keras.core.online import BeliefTables
from reloop2_keras.core.online.belief_bank import HEAD, LINE, Cells, in_views


def some(rows=3000, width=3):
    rng = np.random.default_rng(0)
    hashes = rng.integers(-(2**31), 2**31, (rows, width)).astype("int32")
    return hashes, (rng.random(rows) < 0.3).astype(float)


@pytest.mark.parametrize("learners", [1, 2, 3, 5, 9, 12])
def test_a_record_lies_in_as_few_lines_as_it_can(learners):
    width = Cells(64, learners, 1.0).cells.shape[1]
    used = HEAD + 2 * learners
    begins = np.arange(64) * width
    lines = (begins + used - 1) // LINE - begins // LINE + 1
    assert lines.max() == -(-used // LINE)


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_has_views_of_its_own_memory_and_keeps_its_pages(twin_of):
    tables = BeliefTables(3, bits=16, noises=[0.0, 1.0])
    hashes, labels = some()
    words = tables.words(hashes)
    tables.learn(words, labels)
    twin = twin_of(tables)
    before = {name: array.copy() for name, array in tables.state().items()}
    twin.learn(words, labels)
    assert not np.shares_memory(twin.records, tables.records)
    for name, array in tables.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert (twin.state()["records"] != before["records"]).any()
    for one in (tables, twin):
        keys, records, *rest = in_views(one._bank())
        assert len(rest) == 4
        np.testing.assert_array_equal(keys, one.state()["keys"])
        np.testing.assert_array_equal(records, one.state()["records"])
        assert np.shares_memory(one.keys, one._bank().cells)
        assert one._bank().cells.ctypes.data % 64 == 0  # of a large table


def test_files_hold_no_padding():
    tables = BeliefTables(3, bits=[4, 5, 6], noises=[0.0, 1.0, 2.0, 3.0])
    hashes, labels = some()
    tables.learn(tables.words(hashes), labels)
    state = tables.state()
    assert {name: (a.shape, a.dtype.str[1:]) for name, a in state.items()} == {
        "keys": ((112,), "i4"),
        "records": ((112, 9), "f8"),
        "rows": ((), "i8"),
    }
    fresh = BeliefTables(**tables.get_config())
    fresh.load_state(state)
    np.testing.assert_array_equal(fresh._bank().cells, tables._bank().cells)


def test_reads_are_the_same_on_any_number_of_threads(monkeypatch):
    tables = BeliefTables(39, bits=8, noises=[0.0, 1.0, 40.0])
    hashes, labels = some(width=39)
    words = tables.words(hashes)
    tables.learn(words, labels)
    rng = np.random.default_rng(1)
    weights, offsets = rng.normal(size=(39, 3)), rng.normal(size=(3000, 3))
    results = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(compiled, "THREADS", threads)
        results.append(tables.weighed(words, weights, offsets, variances=True))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not compiled.COMPILED, reason="Numba is not installed")
def test_asking_for_a_line_reads_nothing():
    @jit
    def ask(array):
        for index in (-(1 << 40), -1, 0, len(array), 1 << 40):
            prefetch(array, index)
        return array.sum()

    assert ask(np.ones(3)) == 3

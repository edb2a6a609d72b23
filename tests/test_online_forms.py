"""What `Online` is made of, and files of the form before."""

import json
from pathlib import Path

import numpy as np
import pytest

from reloop2_keras.core.metrics import auc
from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.beliefs import BeliefTables
from reloop2_keras.core.online.forms import TRUST, Arm, arms_of_form_1, default_arms
from reloop2_keras.core.online.second_stage import SecondStage
from reloop2_keras.core.online.table_arms import TableArms

OLD = Path(__file__).parent / "files_online_1" / "online.npz"


def old_file():
    with np.load(OLD) as file:
        arrays = {name: file[name] for name in file.files}
    state = {k.removeprefix("state/"): v for k, v in arrays.items() if k.startswith("state/")}
    return json.loads(str(arrays["config"])), state, arrays


def goes_on(online, arrays):
    shown = []
    for first in range(600, 900, 50):
        part = slice(first, first + 50)
        served = online.predict(arrays["hashes"][part], arrays["base"][part])
        shown.append(served["corrected"])
        online.learn(served, arrays["labels"][part])
    return np.concatenate(shown)


def test_a_file_of_form_1_loads_and_goes_on_as_it_did():
    config, state, arrays = old_file()
    online = Online(**config)
    assert online.form == 2
    online.load_state(state)
    assert online.form == 1 and online.names[-2:] == ["gate, weak prior", "gate, strong prior"]
    again = Online(**online.get_config())
    again.load_state(online.state())
    for one in (online, online.copy(), again):
        np.testing.assert_allclose(goes_on(one, arrays), arrays["shown"], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(sum(one.weights()["arms"].values()), 1.0)
    online.reset()
    assert online.form == 1
    online.start([(arrays["hashes"][:300], arrays["labels"][:300])], max_bits=6)
    assert online.form == 2 and list(online.weights()["arms"]) == online.names


def test_a_damaged_file_of_form_1_is_refused_and_changes_nothing():
    config, state, _ = old_file()
    online = Online(**config)
    before = online.state()
    for name, wrong in (
        ("arms/gate_8/precision", np.eye(2)),
        ("stage/hedge/weights", np.ones(3)),
        ("arms/tables/records", state["arms/tables/records"][:, :3]),
    ):
        with pytest.raises(ValueError, match=name):
            online.load_state({**state, name: wrong})
    without = {name: array for name, array in state.items() if name != "waiting/held"}
    with pytest.raises(ValueError, match="waiting/expected an array 'held'"):
        online.load_state(without)
    assert online.form == 2
    for name, array in online.state().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("crosses", [False, True])
def test_names_are_distinct_and_those_alone_come_first(crosses):
    for make in (default_arms, arms_of_form_1):
        arms = make(["one", "two"], crosses)
        names = [name for arm in arms for name in (arm.name, arm.plain) if name]
        assert len(set(names)) == len(names)
        alone = [arm.base is None for arm in arms]
        assert alone == sorted(alone, reverse=True)
        assert not any(arm.fixed and arm.base is not None for arm in arms)
        assert crosses or not any(arm.crosses for arm in arms)


def test_a_fixed_arm_learns_with_its_first_weights_whatever_its_gate_says():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 6, (400, 2)).astype("int32")
    labels = (rng.random(400) < 0.2 + 0.5 * (hashes[:, 0] % 2)).astype(float)
    arms = TableArms(2, [Arm("fixed", 0.01, False, None, True, "plain")], bits=5)
    gate = arms.gates[0]
    gate.store((np.array([0.3, 0.1, -0.2, 0.05]), gate.precision))
    arms.load_state(arms.state())  # lays the weights out
    words, none = arms.tables.words(hashes), np.zeros((400, 0))
    arms.learn(words, none, labels)
    oracle = BeliefTables(2, [[0], [1], []], [5, 5, 3], [0.01])
    oracle.learn(words, labels)  # weights 1, and no constant beside the table
    for name, array in oracle.state().items():
        np.testing.assert_array_equal(arms.tables.state()[name], array)
    logits, _, means = arms.read(words, none)
    np.testing.assert_allclose(
        logits[:, 0], 0.3 + means[:, :, 0] @ gate.coefficients[1:], rtol=1e-6
    )
    np.testing.assert_allclose(logits[:, 1], means[:, :, 0].sum(1), rtol=1e-6)


def test_the_constant_has_a_table_of_one_value():
    tables = BeliefTables(2, [[0], [], [0, 1]], 4)
    words = tables.words(np.array([[1, 2], [3, 4], [-5, 6]]))
    others = BeliefTables(2, [[0], [0, 1]], 4).words(np.array([[1, 2], [3, 4], [-5, 6]]))
    np.testing.assert_array_equal(words[:, 1], 1)
    np.testing.assert_array_equal(words[:, [0, 2]], others)
    only = BeliefTables(1, [[]], 3)
    only.learn(only.words(np.arange(300)[:, None]), np.arange(300) % 4 == 0)
    mean = only.read(only.words(np.array([[77]])))[0]
    assert abs(float(sigmoid(mean).item()) - 0.25) < 0.03


def test_gates_over_tables_do_not_look_at_what_stands_on_a_base():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(900, 3))
    labels = (rng.random(900) < sigmoid(logits[:, 0])).astype(float)
    states = []
    for scale in (1.0, -20.0):
        stage = SecondStage([False, True, True])
        moved = logits * [scale, 1.0, 1.0]
        _, everything = stage(moved)
        stage.store(stage.solved(everything, labels))
        states.append(stage.state())
        _, after = stage(moved)
        names = [*"abc", *stage.names]
        carried = stage.carried()
        step = np.array([1e-4, 0.0, 0.0])
        difference = (stage(moved + step)[1] - after) @ stage.hedge.weights / 1e-4
        np.testing.assert_allclose(difference.mean(), carried[0], rtol=1e-3)
    for number, name in enumerate(stage.names):
        same = np.array_equal(*[state[f"gate_{number}/coefficients"] for state in states])
        assert same == ("tables" in name), names
    assert len(SecondStage([True, True]).gates) == 3


def test_the_hedge_begins_with_the_trust_that_is_written_down():
    stage = SecondStage([False, True, True, True, False])
    weights = dict(zip([*"baaab", *stage.names], [None] * 10, strict=False))
    assert len(weights) == 2 + len(stage.names)
    held = stage.hedge.weights
    np.testing.assert_allclose(held[[1, 2, 3]].sum(), TRUST["alone"])
    np.testing.assert_allclose(held[[0, 4]].sum(), TRUST["bases"])
    np.testing.assert_allclose(held[5:8].sum(), TRUST["gates alone"])
    np.testing.assert_allclose(held[8:].sum(), TRUST["gates"])
    apart = SecondStage([True] * 3).hedge.weights[:3].sum()
    np.testing.assert_allclose(apart, TRUST["alone"] / (TRUST["alone"] + TRUST["gates alone"]))


@pytest.mark.parametrize("seed", range(2))
def test_effects_that_are_redrawn_at_once_are_followed(seed):
    rng = np.random.default_rng(seed)
    values = np.stack([rng.integers(0, n, 20000) for n in (60, 40, 8)], axis=1)
    z = np.full(20000, -1.0)
    for first in range(0, 20000, 2000):
        part = slice(first, first + 2000)
        for column, size in enumerate((60, 40, 8)):
            z[part] += rng.normal(size=size)[values[part, column]]
    labels = (rng.random(20000) < sigmoid(z)).astype(float)
    scores = []
    for form in (1, 2):
        online = Online(3, bits=8)
        online._lay_out([], 8, form)
        shown = []
        for first in range(0, 20000, 400):
            part = slice(first, first + 400)
            served = online.predict(values[part].astype("int32"))
            shown.append(served["corrected"])
            online.learn(served, labels[part])
        scores.append(auc(labels[12000:], np.concatenate(shown)[12000:]))
    assert scores[0] + 0.05 < scores[1]


def test_a_learner_that_forgets_at_once_does_not_say_what_gives_way():
    tables = BeliefTables(1, None, 3, [1e-3, 1.0])
    rng = np.random.default_rng(0)
    busy = np.repeat(np.arange(4), 200)
    tables.learn(tables.words(rng.permutation(busy)[:, None]), np.ones(800))
    tables.learn(tables.words(1000 + np.arange(5000)[:, None]), np.zeros(5000))  # all pass by once
    means, _ = tables.read(tables.words(np.arange(4)[:, None]))
    assert (means[:, 0, 0] > 1).sum() >= 3

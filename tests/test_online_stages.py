"""What a row's prediction is made of: offsets of the first stage, mixing of the second."""

import numpy as np
import pytest

from reloop2_keras.core import compiled
from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online import second_stage
from reloop2_keras.core.online.forms import default_arms
from reloop2_keras.core.online.table_arms import TableArms


@pytest.mark.parametrize("fast", [True, False])
def test_mixing_is_gates_then_the_weighted_mean(fast, monkeypatch):
    if fast and not compiled.COMPILED:
        pytest.skip("Numba is not installed")
    monkeypatch.setattr(second_stage, "COMPILED", fast)
    rng = np.random.default_rng(0)
    logits, gates = rng.normal(size=(50, 3)) * 30, rng.normal(size=(2, 4))
    weights = rng.dirichlet(np.ones(5))
    got, everything = second_stage.mixed(logits, gates, weights)
    bound = second_stage.LARGEST_LOGIT
    for i in range(50):
        z = [gates[g, 3] + sum(gates[g, a] * logits[i, a] for a in range(3)) for g in range(2)]
        want = [*logits[i], *[min(bound, max(-bound, value)) for value in z]]
        np.testing.assert_allclose(everything[i], want, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(got[i], sigmoid(np.array(want)) @ weights, rtol=1e-12)
    alone = second_stage.mixed(logits[7:8], gates, weights)  # a row is the same in any batch
    if fast:
        np.testing.assert_array_equal(alone[0], got[7:8])
        np.testing.assert_array_equal(alone[1], everything[7:8])


def test_a_stage_refuses_what_is_not_finite():
    stage = second_stage.SecondStage([True, True])
    with pytest.raises(ValueError, match="row 1, column 0"):
        stage(np.array([[1.0, 2.0], [np.nan, 0.0]]))


@pytest.mark.parametrize("bases", [[], ["one"], ["one", "two"]])
def test_offsets_are_a_constant_and_the_arms_own_base(bases):
    arms = TableArms(2, default_arms(bases, True), [[0, 1]], bits=4)
    rng = np.random.default_rng(1)
    for gate in arms.gates:
        gate.coefficients[...] = rng.normal(size=len(gate.coefficients))
    arms.load_state(arms.state())  # lays them out
    z = rng.normal(size=(6, len(bases)))
    for learners in (1, len(arms.arms)):
        got = arms.offsets(z, learners)
        for a, (arm, gate) in enumerate(zip(arms.arms[:learners], arms.gates, strict=False)):
            want = np.full(6, gate.coefficients[0])
            if arm.base is not None:
                want = want + gate.coefficients[-1] * z[:, arm.base]
            np.testing.assert_allclose(got[:, a], want, rtol=1e-15)
        assert got.shape == (6, learners)


def test_gates_are_solved_alike_on_any_number_of_threads(monkeypatch):
    arms = TableArms(30, default_arms(["base"], False), bits=4)
    rng = np.random.default_rng(2)
    means, z = rng.normal(size=(600, 31, 7)), rng.normal(size=(600, 1))
    labels = (rng.random(600) < 0.4).astype(float)
    results = []
    for threads in (1, 2, 4):
        monkeypatch.setattr(compiled, "THREADS", threads)
        results.append(arms.solved(means, z, labels))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one[0], two[0])
            np.testing.assert_array_equal(one[1], two[1])

"""Fast parts and the warm start: core objects alone, and what is promised when rows are bad."""

import numpy as np
import pytest
from memory_checks import batch, make, same_state

from reloop2_keras.core.arms import Gated, Memory, Recalibration, arms_of
from reloop2_keras.core.correction import Compensation, Correction
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.warm_start import warm_start


def served(kind, rows, seed=0):
    keys, y, p = batch(kind, rows, seed)
    return {"probability": p, "keys": keys}, y


@pytest.mark.parametrize("kind", ["sketch", "exact"])
def test_papers_arm_is_a_correction_by_compensation(kind):
    fast, memory = Memory(make(kind), "keys", 0.6, 0.7), make(kind, built=True)
    correction = Correction([memory], Compensation(0.6, 0.7))
    for seed in range(3):
        given, y = served(kind, 60, seed)
        want = correction(given["probability"], [memory.places(given["keys"])])
        got, kept = fast.predict(given)
        np.testing.assert_array_equal(got, want["corrected"])
        fast.observe(given, y, kept)
        correction.learn(want, y)
    same_state(fast.memories[0], memory.state())
    with pytest.raises(ValueError, match="`served` was learnt already"):
        fast.observe(given, y, kept)
    same_state(fast.memories[0], memory.state())


def test_shuffled_labels_reach_the_memories_and_not_the_gate():
    class Layer:  # what a framework puts around a core object
        core = make("feature")

    true = Gated([(make("feature"), "keys")])
    mixed = Gated([(Layer(), "keys")], Gate(6), shuffle_labels=True)
    given, y = served("feature", 400)
    y = (given["keys"][:, 0] > 0).astype("float32")  # the first column says all
    for fast in (true, mixed):
        _, kept = fast.predict(given)
        fast.observe(given, y, kept)
    np.testing.assert_array_equal(true.rule().coefficients, mixed.rule().coefficients)
    one, other = (memory.sums.reshape(6, -1, 2) for memory in (true.memories[0], Layer.core))
    np.testing.assert_allclose(one.sum(axis=1), other.sum(axis=1))
    assert np.abs(one[0, :, 0]).sum() > 1.5 * np.abs(other[0, :, 0]).sum()


def test_recalibration_needs_no_memory():
    fast, (given, y) = Recalibration(), served("sketch", 50)
    got, kept = fast.predict(given)
    np.testing.assert_allclose(got, given["probability"], atol=1e-6)
    fast.observe(given, np.ones_like(y), kept)
    assert fast.predict(given)[0].mean() > got.mean() + 0.1


def test_controls_go_with_the_first_and_the_last_memory():
    asked = []

    def fresh(name):
        return lambda mix: asked.append((name, mix))

    arms = arms_of("base", {"a": fresh("a"), "b": fresh("b")})
    names = ["frozen", "recalibrated", "shuffled", "shuffled b", "a", "b"]
    assert [arm.name for arm in arms] == names
    assert asked == [("a", True), ("b", True), ("a", False), ("b", False)]
    more = arms_of("base", {"a": fresh("a")}, "trained")[-2:]
    assert [(arm.name, arm.slow) for arm in more] == [
        ("incremental", "trained"),
        ("incremental+a", "trained"),
    ]


@pytest.mark.parametrize("residual", ["base", "corrected"])
def test_a_warm_start_does_not_depend_on_batches_or_decay(residual):
    one, many = (make("feature", residual=residual, decay=0.5) for _ in range(2))
    rows = batch("feature", 300)
    assert warm_start([one], [rows]) == 300
    parts = ([a[i : i + 70] for a in rows] for i in range(0, 300, 70))
    assert warm_start([many], parts) == 300
    np.testing.assert_allclose(one.sums, many.sums, atol=1e-12)
    plain = make("feature")
    plain.write(*rows)
    np.testing.assert_allclose(one.sums, plain.sums, atol=1e-12)


def test_shuffled_training_labels_have_the_same_total_and_say_nothing():
    keys, _, p = batch("feature", 2000)
    y = (keys[:, 0] > 0).astype("float32")
    true, mixed, again = (make("feature") for _ in range(3))
    warm_start([true], [(keys, y, p)])
    for memory in (mixed, again):
        warm_start([memory], [(keys, y, p)], shuffle_seed=1)
    np.testing.assert_array_equal(mixed.sums, again.sums)
    a, b = (memory.sums.reshape(6, -1, 2) for memory in (true, mixed))
    np.testing.assert_allclose(a.sum(axis=1), b.sum(axis=1))
    assert np.abs(a[0, :, 0]).sum() > 1.5 * np.abs(b[0, :, 0]).sum()


def test_a_warm_start_takes_all_rows_or_none_and_none_twice():
    rows, memories = batch("feature", 50), [make("feature"), make("feature", built=True)]
    for bad in (
        [rows, (rows[0][:, :5], *rows[1:])],
        [rows, (rows[0], rows[1] + 1, rows[2])],
        [rows, (rows[0].astype("float64"), *rows[1:])],
    ):
        with pytest.raises(ValueError, match="must be|must have"):
            warm_start(memories, bad)
        assert not memories[0].built and not memories[1].sums.any()
    assert warm_start(memories, [rows]) == 50
    before = memories[0].state()
    with pytest.raises(ValueError, match="must be empty, or rows that they hold count twice"):
        warm_start(memories, [rows])
    same_state(memories[0], before)
    assert warm_start(memories, [rows], again=True) == 50
    np.testing.assert_allclose(memories[0].sums, 2 * before["sums"])
    with pytest.raises(ValueError, match="at least one FeatureErrorMemory"):
        warm_start([], [rows])
    with pytest.raises(ValueError, match="Received: SketchMemory"):
        warm_start([make("sketch")], [rows])

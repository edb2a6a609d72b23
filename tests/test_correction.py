"""Correction: what is served, what is learnt, and that nothing is learnt by halves or twice."""

import numpy as np
import pytest
from memory_checks import batch, make, same_state
from threads import SECONDS, run_threads

from reloop2_keras.core.compensation import compensated
from reloop2_keras.core.correction import Compensation, Correction
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.memories import FeatureMemory, SketchMemory


def parts():
    """Three memories of different kinds and their gate, built."""
    corrected = make("feature", residual="corrected", crosses=[(0, 1)])
    memories = [corrected, make("sketch"), make("exact")]
    for memory in memories:
        memory.build(6)
    return memories, Gate(sum(memory.num_offsets for memory in memories))


def places_of(memories, rows, seed=0):
    vectors, y, p = batch("exact", rows, seed)
    hashes = batch("feature", rows, seed)[0]
    keys = [hashes if isinstance(m, FeatureMemory) else vectors for m in memories]
    return [m.places(m.checked_keys(k)) for m, k in zip(memories, keys, strict=True)], y, p


def test_compensation_by_hand_and_in_the_papers_form():
    one = {"mean_label": 0.8, "mean_probability": 0.5, "found": 1.0}
    # gamma 1: (1 - lambda) p + lambda y; gamma 0: p + lambda (y - p_mean)
    for gamma, want in ((1.0, 0.5), (0.0, 0.35), (0.5, 0.425)):
        np.testing.assert_allclose(compensated(0.2, one, 0.5, gamma), want)
    assert compensated(0.2, {**one, "found": 0.0}, 0.9, 0.3) == 0.2
    memory = make("sketch")
    correction = Correction([memory], Compensation(0.6, 0.7))
    memory.build(6)
    for seed in range(3):
        places, y, p = places_of([memory], 200, seed)
        served = correction(p, places)
        r = memory.read_at(places[0])
        error = 0.7 * (r["mean_label"] - p) + 0.3 * (r["mean_label"] - r["mean_probability"])
        want = np.clip(p + 0.6 * r["found"] * error, 0, 1)
        np.testing.assert_allclose(served["corrected"], want, atol=1e-6)
        assert correction.learn(served, y) == [200]
    assert np.abs(served["corrected"] - p).max() > 0.1


def test_learning_is_one_step_of_the_gate_and_then_the_writes():
    memories, gate = parts()
    twins, twin = [m.copy() for m in memories], gate.copy()
    correction = Correction(memories, gate)
    for seed in range(3):
        places, y, p = places_of(memories, 100, seed)
        served = correction(p, places)
        readings = [m.read_at(at) for m, at in zip(twins, places, strict=True)]
        inputs = [m.offsets(r, p) for m, r in zip(twins, readings, strict=True)]
        inputs = np.concatenate(inputs, axis=1)
        q = twin(p, inputs)
        np.testing.assert_array_equal(served["corrected"], q)
        assert correction.learn(served, y[:, None]) == [100] * 3
        twin.update(y, p, inputs)
        twins[0].write_at(places[0], y, q, readings[0]["offsets"])
        for memory, at in zip(twins[1:], places[1:], strict=True):
            memory.write_at(at, y, p)
    for mine, theirs in zip((*memories, gate), (*twins, twin), strict=True):
        same_state(mine, theirs.state())


def broken(served, name):
    changed = type(served)(served)
    changed[name] = {
        "places_2": served["places_2"] * 3.0,
        "places_1": served["places_1"][:, ::-1],
        "offsets": np.full_like(served["offsets"], np.nan),
        "probability": served["probability"] + 1.0,
        "corrected": served["corrected"] * np.nan,
    }[name]
    return changed


@pytest.mark.parametrize(
    "name", ["places_2", "places_1", "offsets", "probability", "corrected", "labels"]
)
def test_what_fails_half_way_changes_nothing_and_can_be_tried_again(name):
    memories, gate = parts()
    correction = Correction(memories, gate)
    for seed in range(2):
        places, y, p = places_of(memories, 50, seed)
        correction.learn(correction(p, places), y)
    before = [part.state() for part in (*memories, gate)]
    served = correction(p, places)
    with pytest.raises(ValueError):
        if name == "labels":
            correction.learn(served, y + 0.5)
        else:
            correction.learn(broken(served, name), y)
    for part, state in zip((*memories, gate), before, strict=True):
        same_state(part, state)
    assert not served.spent
    correction.learn(served, y)
    with pytest.raises(ValueError, match="`served` was learnt already"):
        correction.learn(served, y)
    assert memories[0].num_writes == 3


def test_a_memory_that_was_never_adapted_warns_once_and_before_anything_changes():
    memory = SketchMemory(4, 4)  # centers keys, by default
    memory.build(6)
    gate = Gate(2)
    correction = Correction([memory], gate)
    places, y, p = places_of([memory], 30)
    served = correction(p, places)
    with pytest.raises(UserWarning, match="does nothing before `adapt"):  # warnings are errors here
        correction.learn(served, y)
    assert memory.num_writes == 0 and not gate.coefficients[2:].any() and not served.spent
    with pytest.warns(UserWarning, match="does nothing before `adapt"):
        correction.learn(served, y)
    correction.learn(correction(p, places), y)  # once is enough
    adapted = SketchMemory(4, 4)
    adapted.adapt(batch("sketch", 30)[0])
    adapted.write(*batch("sketch", 30))


def test_what_does_not_fit_is_named():
    memories, gate = parts()
    with pytest.raises(ValueError, match="`rule` must be a Gate"):
        Correction(memories, Compensation())
    with pytest.raises(ValueError, match="`rule` must be a Gate"):
        Correction(memories[:1], Compensation())
    with pytest.raises(ValueError, match="`rule` must be a Compensation or a Gate"):
        Correction(memories, "gate")
    with pytest.raises(ValueError, match=r"`compensation` must be in \[0, 1\]"):
        Compensation(1.5)
    correction = Correction(memories, gate)
    places, y, p = places_of(memories, 20)
    for bad in (np.nan, 7.5, -0.1):
        with pytest.raises(ValueError, match=r"`probabilities` must be in \[0, 1\].* in row 3"):
            correction(np.where(np.arange(20) == 3, bad, p), places)
    with pytest.raises(ValueError, match="must be what this model's `serve` returned"):
        correction.learn({"probability": p}, y)


def test_a_memory_two_corrections_share_is_written_by_both():
    memory = make("feature", built=True)
    one, other = (Correction([memory], Gate(6)) for _ in range(2))
    for correction in (one, other):
        places, y, p = places_of([memory], 20)
        correction.learn(correction(p, places), y)
    assert memory.num_writes == 2


@pytest.mark.parametrize("kind", ["sketch", "feature", "exact"])
def test_readers_see_a_memory_before_or_after_a_write(kind):
    # all labels are 1 and all rows have one key: any reading made of whole writes is known
    # so large a prior that an offset tells how many rows it was made of, were it a million writes
    more = {"exact": {"capacity": 30_000}, "feature": {"prior": 1e10}, "sketch": {}}
    memory = make(kind, built=True, **more[kind])
    rows, p = 5000, 0.25
    keys = np.ones((rows, 6), "int32" if kind == "feature" else "float32")
    places = memory.places(memory.checked_keys(keys))
    written, reads = [], []

    def write():
        memory.write_at(places, np.ones(rows), np.full(rows, p))
        written.append(rows)

    def read():
        reading = memory.read_at(places[:500])
        if kind == "feature":
            offset = np.unique(reading["offsets"])
            # (.75 n) / (.1875 n + 1e10) for a whole number of writes
            n = 1e10 * offset.astype("float64") / (0.75 - 0.1875 * offset.astype("float64"))
            assert len(offset) == 1 and abs(n[0] / rows - round(n[0] / rows)) < 0.02
        elif reading["found"].any():
            assert (reading["found"] == 1).all()
            np.testing.assert_allclose(reading["mean_label"], 1.0, atol=1e-6)
            np.testing.assert_allclose(reading["mean_probability"], p, atol=1e-6)
        reads.append(1)

    run_threads([write] * 2 + [read] * 6, 5)
    assert len(written) > 5 and len(reads) > 20
    assert memory.num_writes == len(written)
    total = sum(written)
    if kind == "sketch":
        assert memory.total == total and memory.sums[:, 0].sum() == 7 * total
    elif kind == "feature":
        np.testing.assert_allclose(memory.sums[:, 0].sum(), 6 * 0.75 * total, rtol=1e-9)
    else:
        assert memory.cursor == total


@pytest.mark.parametrize("seconds", SECONDS)
def test_eight_threads_lose_no_row_and_tear_no_reading(seconds):
    memories, gate = parts()
    correction = Correction(memories, gate)
    rows, learnt = 400, []
    made = [places_of(memories, rows, seed) for seed in range(8)]

    def job(number):
        places, y, p = made[number]

        def once():
            served = correction(p, places)
            assert np.isfinite(served["corrected"]).all()
            if number % 2:
                correction.learn(served, y)
                learnt.append(number)

        return once

    run_threads([job(number) for number in range(8)], seconds)
    turns = len(learnt)
    assert turns > 20
    assert [m.num_writes for m in memories] == [turns] * 3
    assert memories[1].total == turns * rows == memories[1].sums[:, 0].sum() / 7
    assert memories[2].cursor == turns * rows
    clicks = sum(made[number][1].sum() for number in learnt)
    np.testing.assert_allclose(memories[1].sums[:, 1].sum(), 7 * clicks, rtol=1e-12)
    assert np.linalg.eigvalsh(gate.precision).min() >= 1.0 - 1e-9
    assert gate.version == memories[0].num_writes + 1  # one step a slot, and its start

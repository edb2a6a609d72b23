"""Streams of weeks: busy values, counters past 2^31, a million updates, readings that say nothing.

What takes hours to write is reached by merging, or by putting the state there; what it then reads
is compared with float64 arithmetic of the same rows.
"""

import numpy as np
import pytest
from memory_checks import make

from reloop2_keras.core.gate import Gate
from reloop2_keras.core.memories import FeatureMemory, SketchMemory
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.beliefs import BeliefTables

BLOCK, DOUBLINGS = 2**17, 10  # 134 million rows


@pytest.mark.parametrize(("p", "rate"), [(0.01, 0.02), (0.2, 0.25), (1e-4, 2e-4), (0.5, 0.4)])
def test_a_hundred_million_rows_of_one_bucket_read_right_by_merging(p, rate):
    feature, sketch = FeatureMemory(4), SketchMemory(2, 2, key_normalization="none")
    labels = (np.arange(BLOCK) < round(rate * BLOCK)).astype("float32")
    given = np.full(BLOCK, p, "float32")
    feature.write(np.full((BLOCK, 1), 7, "int32"), labels, given)
    sketch.write(np.ones((BLOCK, 3), "float32"), labels, given)
    for _ in range(DOUBLINGS):
        feature.merge(feature)
        sketch.merge(sketch)
    rows, exact = BLOCK << DOUBLINGS, float(np.float32(p))
    assert rows > 1e8 and feature.num_writes == sketch.num_writes == 1 << DOUBLINGS
    clicks = float(labels.sum(dtype="float64")) * (1 << DOUBLINGS)
    want = (clicks - rows * exact) / (rows * exact * (1 - exact) + 1.0)
    read = float(feature.read(np.full((1, 1), 7, "int32"))["offsets"][0, 0])
    assert abs(read - want) < 1e-4 * abs(want)
    reading = sketch.read(np.ones((1, 3), "float32"))
    assert abs(float(reading["mean_probability"][0]) / exact - 1) < 1e-4
    assert abs(float(reading["mean_label"][0]) / (clicks / rows) - 1) < 1e-4


@pytest.mark.parametrize("kind", ["exact", "sketch", "feature"])
@pytest.mark.parametrize("start", [2**31 - 2, 2**32 - 2, 2**40])
def test_counters_go_past_two_to_the_31_and_memories_go_on(kind, start):
    memory = make(kind, built=True, sampling_rate=0.5)
    keys = np.ones((8, 6), "int32" if kind == "feature" else "float32")
    state = memory.state()
    counters = {name: np.asarray(start, state[name].dtype) for name in memory.COUNTERS}
    if any(int(value) != start for value in counters.values()):
        pytest.fail(f"a counter of {kind} cannot hold {start}")
    memory.load_state({**state, **counters})
    taken = sum(memory.write(keys, np.ones(8), np.full(8, 0.5)) for _ in range(20))
    assert memory.num_writes == start + 20 and 40 < taken < 120
    assert all(np.isfinite(part).all() for part in memory.read(keys).values())
    twin = make(kind, built=True, sampling_rate=0.5)
    twin.load_state(memory.state())
    assert twin.num_writes == start + 20
    if kind == "exact":
        assert memory.held == 64 and memory.cursor == start + taken


def test_belief_tables_learn_after_two_to_the_31_rows():
    tables = BeliefTables(width=1, bits=6, noises=(1e-3, 0.0))
    tables.load_state({**tables.state(), "rows": np.array(2**31 - 5)})
    words = tables.words(np.full((10, 1), 7, "int32"))
    for _ in range(3):
        tables.learn(words, np.ones(10))
    assert tables.rows == 2**31 + 25
    fresh = BeliefTables(width=1, bits=6, noises=(1e-3, 0.0))
    for _ in range(3):
        fresh.learn(words, np.ones(10))
    for mine, theirs in zip(tables.read(words[:1]), fresh.read(words[:1]), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4)


def readings(kind, rows=64, seed=0):
    """(labels, probabilities, offsets) whose columns depend on each other, or say nothing."""
    rng = np.random.default_rng(seed)
    one = rng.normal(0, 1, rows)
    columns = {
        "collinear": [one, one, -2 * one],
        "constant": [np.full(rows, 8.0), np.full(rows, -8.0), np.ones(rows)],
        "zero": [np.zeros(rows)] * 3,
        "large": [8 * np.sign(one)] * 3,
    }[kind]
    labels = (rng.random(rows) < 0.3).astype("float64")
    return labels, np.full(rows, 0.2), np.stack(columns, axis=1)


@pytest.mark.parametrize("kind", ["collinear", "constant", "zero", "large"])
def test_readings_that_depend_on_each_other_are_as_good_as_one(kind):
    # under the identity as prior, columns c_k r are one column |c| r: the same predictions
    gate, one = Gate(3), Gate(1)
    for seed in range(400):
        labels, p, offsets = readings(kind, seed=seed)
        length = np.linalg.norm(offsets, axis=1) * np.sign(offsets[:, 0])
        gate.update(labels, p, offsets)
        one.update(labels, p, length[:, None])
    found, want = gate(p, offsets), one(p, length[:, None])
    assert np.isfinite(gate.coefficients).all() and np.isfinite(gate.precision).all()
    np.testing.assert_allclose(found, want, rtol=1e-4)


@pytest.mark.parametrize("kind", ["collinear", "constant", "large"])
def test_after_a_million_updates_one_more_is_right(kind):
    labels, p, offsets = readings(kind)
    gate = Gate(3)
    gate.update(labels, p, offsets)
    state, first = gate.state(), np.diag([10.0, 1, 1, 1, 1])
    state["precision"] = first + (state["precision"] - first) * 1e6
    gate.load_state(state)
    before = gate.coefficients.copy()
    gate.update(labels, p, offsets)
    # the step in long double, by conjugate directions of the eigenvectors of float64
    design = np.column_stack([np.log(p / (1 - p)), np.ones(len(p)), offsets]).astype("longdouble")
    q = 1 / (1 + np.exp(-(design @ before)))
    slope = design.T @ (labels - q)
    curvature = (design * (q * (1 - q))[:, None]).T @ design
    values, vectors = np.linalg.eigh((state["precision"] + curvature).astype("float64"))
    step = vectors @ ((vectors.T @ slope) / values)
    moved = gate.coefficients - before
    # along null directions of the data nothing moves: what counts is what predictions see
    np.testing.assert_allclose(
        (design @ moved).astype("float64"), (design @ step).astype("float64"), rtol=1e-3, atol=1e-9
    )
    assert np.abs(gate(p, offsets) - q.astype("float64")).max() < 1e-4


@pytest.mark.slow
def test_a_million_updates_of_a_gate_end_at_the_rate_of_clicks():
    gate, p, offsets = Gate(1), np.full(2, 0.2), np.ones((2, 1))
    for number in range(1_000_000):
        gate.update([number % 4 == 0, 0], p, offsets)
    assert abs(float(gate(p, offsets)[0]) / 0.125 - 1) < 1e-4
    assert np.isfinite(gate.precision).all()


@pytest.mark.slow
def test_a_million_updates_of_a_gate_are_those_of_float64_arithmetic():
    """Steps are made anew here, with plain inverses, for two rows an update of eight kinds."""
    rng, gate = np.random.default_rng(3), Gate(1)
    kinds = [
        (rng.integers(0, 2, 2), rng.uniform(0.1, 0.4, 2), rng.normal(0, 1, 2)) for _ in "8" * 8
    ]
    designs = [np.stack([np.log(p / (1 - p)), np.ones(2), r], axis=1) for _, p, r in kinds]
    weights, precision = np.array([1.0, 0.0, 0.0]), np.diag([10.0, 1.0, 1.0])
    for number in range(1_000_000):
        labels, p, offsets = kinds[number % 8]
        x = designs[number % 8]
        gate.update(labels, p, offsets[:, None])
        q = 1 / (1 + np.exp(-(x @ weights)))
        slope, precision = x.T @ (labels - q), precision + (x.T * (q * (1 - q))) @ x
        weights = weights + np.linalg.solve(precision, slope)
    np.testing.assert_allclose(gate.coefficients, weights, rtol=1e-4)
    np.testing.assert_allclose(gate.precision, precision, rtol=1e-4)


def test_a_stream_of_one_value_and_one_label_stays_finite():
    online = Online(width=2, bases=["base"], crosses=[[0, 1]], bits=6, block_rows=64)
    hashes = np.full((64, 2), 7, "int32")
    for _ in range(100):
        served = online.predict(hashes, {"base": np.full(64, 0.5)})
        online.learn(served, np.ones(64))
    assert (served["corrected"] > 0.9).all() and np.isfinite(served["corrected"]).all()
    assert all(np.isfinite(a).all() for a in online.state().values() if a.dtype.kind == "f")

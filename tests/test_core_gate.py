"""Gate against a float64 oracle, and that nothing throws it off."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core.gate import Gate


def test_gate_equals_a_float64_newton_step():
    rng = np.random.default_rng(0)
    p, r = rng.uniform(0.05, 0.95, 300), rng.standard_normal((300, 2))
    y = (rng.random(300) < p).astype(float)
    gate = Gate(num_offsets=2, forgetting=0.05)
    design = np.column_stack([np.log(p / (1 - p)), np.ones(300), r])
    w, hessian = np.array([1.0, 0, 0, 0]), np.diag([10.0, 1, 1, 1])
    for part in (slice(0, 100), slice(100, 300)):
        gate.update(y[part], p[part].astype("float32"), r[part].astype("float32"))
        x = design[part]
        q = 1 / (1 + np.exp(-x @ w))
        hessian = hessian + x.T @ (x * (q * (1 - q))[:, None])
        w = w + np.linalg.solve(hessian, x.T @ (y[part] - q))
        hessian = 0.95 * hessian + 0.05 * np.eye(4)
    np.testing.assert_allclose(np.asarray(gate.coefficients), w, atol=1e-4)
    np.testing.assert_allclose(np.asarray(gate.precision), hessian, rtol=1e-4, atol=1e-3)
    fresh = Gate()
    q = np.asarray(fresh(p.astype("float32")))
    np.testing.assert_allclose(q, p, atol=1e-5)  # starts as the identity


def slot(seed, rows=200, offsets=2):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.02, 0.98, rows).astype("float32")
    r = rng.standard_normal((rows, offsets)).astype("float32")
    y = (rng.random(rows) < 1 / (1 + np.exp(-np.log(p / (1 - p)) - 0.7 * r[:, 0] + 0.3))) * 1.0
    return y, p, r


def assert_sane(gate, probabilities, offsets):
    assert np.isfinite(np.asarray(gate.coefficients)).all()
    assert np.isfinite(np.asarray(gate.precision)).all()
    q = np.asarray(gate(probabilities, offsets))
    assert np.isfinite(q).all() and (q >= 0).all() and (q <= 1).all()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    rows=st.sampled_from([1, 2, 7, 64]),
    labels=st.sampled_from(["zeros", "ones", "mixed"]),
    kind=st.sampled_from(["collinear", "constant", "zero", "huge", "as they come"]),
    extreme=st.booleans(),
)
def test_no_slot_throws_it_off(seed, rows, labels, kind, extreme):
    y, p, r = slot(seed, rows, 3)
    y = {"zeros": np.zeros(rows), "ones": np.ones(rows), "mixed": y}[labels]
    r = {
        "collinear": np.repeat(r[:, :1], 3, axis=1) * [1, 2, -3],
        "constant": np.full_like(r, 4.0),
        "zero": np.zeros_like(r),
        "huge": r * 1e4,
        "as they come": r,
    }[kind].astype("float32")
    if extreme:
        p = np.where(p < 0.5, 0.0, 1.0).astype("float32")
    gate = Gate(3)
    for _ in range(4):
        gate.update(y, p, r)
        assert_sane(gate, p, r)


def test_a_step_never_raises_the_penalized_loss_of_its_slot():
    # a base that is sure of 0 where all are clicks: a bare Newton step would jump by 1e5
    y, p = np.ones(500), np.full(500, 1e-6, "float32")
    gate = Gate()
    for _ in range(20):
        gate.update(y, p)
    assert np.abs(np.asarray(gate.coefficients)).max() < 50
    assert float(np.asarray(gate(p[:1]))[0]) > 0.5


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**16))
def test_the_order_of_rows_in_a_slot_does_not_matter(seed):
    y, p, r = slot(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    one, other = Gate(2), Gate(2)
    one.update(y, p, r)
    other.update(y[order], p[order], r[order])
    np.testing.assert_allclose(
        np.asarray(one.coefficients), np.asarray(other.coefficients), atol=1e-6
    )


def test_two_half_slots_are_nearly_one():
    y, p, r = slot(3, 4000)
    one, halves = Gate(2), Gate(2)
    for _ in range(3):
        one.update(y, p, r)
        halves.update(y[:2000], p[:2000], r[:2000])
        halves.update(y[2000:], p[2000:], r[2000:])
    np.testing.assert_allclose(
        np.asarray(one.coefficients), np.asarray(halves.coefficients), atol=0.03
    )
    np.testing.assert_allclose(np.asarray(one.coefficients), [1, -0.3, 0.7, 0], atol=0.1)


def test_a_million_rows_lose_no_digits():
    y, p, r = slot(0, 1_000_000)
    gate, design = Gate(2), np.column_stack([np.log(p / (1 - p)), np.ones(len(p)), r])
    gate.update(y, p, r)
    x, w = design.astype("float64"), np.array([1.0, 0, 0, 0])
    q = 1 / (1 + np.exp(-x @ w))
    hessian = np.diag([10.0, 1, 1, 1]) + x.T @ (x * (q * (1 - q))[:, None])
    w = w + np.linalg.solve(hessian, x.T @ (y - q))
    np.testing.assert_allclose(np.asarray(gate.coefficients), w, atol=1e-5)
    np.testing.assert_allclose(np.asarray(gate.precision), hessian, rtol=1e-5, atol=2.0)


def test_float32_storage_of_much_evidence_does_not_turn_a_step_around():
    # offsets that depend on each other, and the precision of 8 million rows, as float32 keeps it
    line = np.array([1.0, 0.37, -0.61])
    hessian = np.diag([10.0, 1, 1, 1, 1])
    hessian[2:, 2:] += 5e7 * np.outer(line, line)
    hessian[0, 0], hessian[1, 1] = 4e6, 2e6
    stored = hessian.astype("float32").astype("float64")
    assert np.linalg.eigvalsh(stored).min() < 0.9  # what is mended here does happen
    along = np.linalg.svd(line[None])[2][1:]  # directions that no data ever spoke of
    for direction in along:
        fresh = Gate(3)
        fresh.load_state({**fresh.state(), "precision": hessian.astype("float32")})
        row = (2.3 * direction[None]).astype("float32")
        fresh.update([1], np.array([0.5], "float32"), row)
        q = np.asarray(fresh(np.array([0.5], "float32"), row))[0]
        assert 0.5 <= q < 0.9, direction


def test_a_bad_label_changes_nothing():
    y, p, r = slot(0, 20)
    gate = Gate(2)
    gate.update(y, p, r)
    before = gate.state()
    for bad in (np.nan, 2.0, -1.0):
        with pytest.raises(ValueError, match="`labels` must be 0 or 1"):
            gate.update(np.r_[bad, y[1:]], p, r)
    for name, array in gate.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_bad_arguments_are_named():
    y, p, r = slot(0, 5)
    gate = Gate(2)
    with pytest.raises(ValueError, match=r"`offsets` must have shape \(batch, 2\)"):
        gate.update(y, p)
    with pytest.raises(ValueError, match="`labels` must have 5 rows. Received: 4"):
        gate.update(y[:4], p, r)
    with pytest.raises(ValueError, match="must be finite"):
        gate.update(y, p, r * np.nan)
    for bad in (1.7, -3.0, np.nan):
        with pytest.raises(ValueError, match=r"`probabilities` must be in \[0, 1\].* in row 4"):
            gate.update(y, np.r_[p[:4], bad], r)
    with pytest.raises(ValueError, match="`forgetting`"):
        Gate(forgetting=1.0)

"""The gate where it is easily spoilt: bad labels, and what float32 keeps of much evidence."""

import numpy as np
import pytest
from ms_support import ms

from mindspore_port import OnlineGate


def slot(n, readings=2):
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, n).astype("float32")
    y = (rng.random(n) < p).astype("float32")
    return y, p, rng.standard_normal((n, readings)).astype("float32")


def test_float32_storage_of_much_evidence_does_not_turn_a_step_around():
    # readings that depend on each other, and the precision of 8 million rows, as float32 keeps it
    line = np.array([1.0, 0.37, -0.61])
    hessian = np.diag([10.0, 1, 1, 1, 1])
    hessian[2:, 2:] += 5e7 * np.outer(line, line)
    hessian[0, 0], hessian[1, 1] = 4e6, 2e6
    assert np.linalg.eigvalsh(hessian.astype("float32").astype("float64")).min() < 0.9
    for direction in np.linalg.svd(line[None])[2][1:]:  # that no data ever spoke of
        gate = OnlineGate(3)
        gate.precision.set_data(ms.Tensor(hessian.astype("float32")))
        row = (2.3 * direction[None]).astype("float32")
        gate.update([1], np.array([0.5], "float32"), row)
        q = gate(ms.Tensor([0.5]), ms.Tensor(row)).asnumpy()[0]
        assert 0.5 <= q < 0.9, direction


def test_bad_input_changes_nothing():
    y, p, r = slot(20)
    gate = OnlineGate(2)
    gate.update(y, p, r)
    before = [w.asnumpy().copy() for w in gate.get_parameters()]
    for bad in (np.nan, 2.0, -1.0):
        with pytest.raises(ValueError, match="`labels` must be 0 or 1"):
            gate.update(np.r_[bad, y[1:]], p, r)
    spoilt = r.copy()
    spoilt[3, 1] = np.inf
    with pytest.raises(ValueError, match="must be finite"):
        gate.update(y, p, spoilt)
    with pytest.raises(ValueError, match="must be finite"):
        gate.update(y, np.r_[np.nan, p[1:]], r)
    with pytest.raises(
        ValueError, match=r"`readings` must have shape \(batch, 2\). Received: \(20, 1\)"
    ):
        gate.update(y, p, r[:, :1])
    with pytest.raises(
        ValueError, match=r"`readings` must have shape \(batch, 2\). Received: None"
    ):
        gate.update(y, p)
    with pytest.raises(ValueError, match="`readings` and `probabilities` must have equal numbers"):
        gate.update(y, p, r[1:])
    for weight, kept in zip(gate.get_parameters(), before, strict=True):
        np.testing.assert_array_equal(weight.asnumpy(), kept)

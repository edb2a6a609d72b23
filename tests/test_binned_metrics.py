"""Streaming metrics against scikit-learn on the whole."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from reloop2_keras.core import binned_metrics as _module
from reloop2_keras.core.binned_metrics import BinnedMetrics


def events(n=200_000, seed=0):
    rng = np.random.default_rng(seed)
    p = (1 / (1 + np.exp(-rng.normal(-1.5, 1.0, n)))).astype("float32")
    return (rng.random(n) < p).astype("uint8"), p


def test_pieces_equal_scikit_learn_on_the_whole():
    y, p = events()
    metrics, other = BinnedMetrics(), BinnedMetrics()
    for start in range(0, 150_000, 7001):
        part = slice(start, min(start + 7001, 150_000))
        metrics.update(y[part], p[part])
    other.update(y[150_000:], p[150_000:])
    metrics.merge(other)
    got, wide = metrics.result(), p.astype("float64")
    assert got["rows"] == 200_000
    assert abs(got["auc"] - roc_auc_score(y, wide)) < 1e-6
    assert abs(got["auc"] - roc_auc_score(y, wide)) <= got["auc_error_bound"] < 2e-6
    assert abs(got["logloss"] - log_loss(y, np.clip(wide, 1e-7, 1 - 1e-7))) < 1e-9
    assert abs(got["ctr_bias"] - wide.sum() / y.sum()) < 1e-9
    metrics.reset()
    assert np.isnan(metrics.result()["auc"]) and metrics.result()["rows"] == 0


def test_ties_and_edges_by_hand():
    metrics = BinnedMetrics(num_bins=10)
    metrics.update([0, 1, 1, 0], [0.0, 1.0, 0.55, 0.5])  # the last two share a bin
    assert metrics.result()["auc"] == 0.875
    assert metrics.result()["auc_error_bound"] == 0.125
    assert metrics.result()["logloss"] == pytest.approx(-np.log([0.55, 0.5]).sum() / 4, abs=1e-6)


def plain(y, p, num_bins, epsilon=1e-7):
    """The same sums without any care for time: the oracle."""
    cell = np.minimum((p * num_bins).astype("int64"), num_bins - 1)
    negative, positive = (np.bincount(cell[y == label], minlength=num_bins) for label in (0, 1))
    below = np.cumsum(negative) - negative
    right = np.clip(np.where(y == 1, p, 1 - p), epsilon, 1 - epsilon)
    auc = (positive * (below + negative / 2)).sum() / (positive.sum() * negative.sum())
    return auc, -np.log(right).mean()


@pytest.mark.parametrize("num_bins", [10, 1000, 3 * (1 << 15) + 17, 1 << 21])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float32"])
def test_every_block_and_label_type_equals_the_oracle(num_bins, dtype):
    y, p = events(5000, seed=1)
    p = p.astype("float64")
    p[:40:2], p[1:40:2] = 0, 1  # to be clipped, and the last bin's upper end
    p[40] = np.nextafter(1, 0)
    metrics = BinnedMetrics(num_bins)
    for part in (slice(0, 40), slice(40, 40), slice(40, 41), slice(41, 5000)):
        metrics.update(y[part].astype(dtype), p[part])
    got, (auc, loss) = metrics.result(), plain(y, p, num_bins)
    assert got["auc"] == pytest.approx(auc, abs=1e-12)
    assert got["logloss"] == pytest.approx(loss, abs=1e-12)


def test_counts_are_widened_before_they_can_overflow(monkeypatch):
    y, p = events(1000, seed=2)
    metrics, other, whole = BinnedMetrics(64), BinnedMetrics(64), BinnedMetrics(64)
    whole.update(y, p)
    monkeypatch.setattr(_module, "NARROW_ROWS", 299)
    metrics.update(y[:299], p[:299])
    assert metrics._counts.dtype == "uint32"
    metrics.update(y[299:300], p[299:300])
    other.update(y[300:500], p[300:500])
    assert metrics._counts.dtype == "int64" and other._counts.dtype == "uint32"
    metrics.merge(other)
    other.reset()
    other.update(y[500:], p[500:])
    other.merge(metrics)
    for got in (other.result(), whole.result()):
        assert got["auc"] == pytest.approx(whole.result()["auc"], abs=1e-15)
        assert got["rows"] == 1000
    other.reset()
    assert other._counts.dtype == "uint32" and not other._counts.any()


def test_one_bin_counts_beyond_32_bits():
    metrics = BinnedMetrics(2)
    metrics.update([0, 1], [0.25, 0.25])
    metrics._counts[0] = 2**31  # as if so many events had come
    metrics.rows = 2**32
    metrics.update([1, 0, 1], [0.75, 0.25, 0.25])
    n, (positives, negatives) = 2.0**31, (2.0**31 + 2, 2.0**31 + 1)
    won = negatives * (1 + (n + 1) / 2)
    assert metrics.result()["auc"] == pytest.approx(won / positives / negatives, rel=1e-12)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 1], [0.5], "equal numbers"),
        ([2], [0.5], "`labels` must be 0 or 1. Received: 2"),
        ([1], [np.nan], "`probabilities`"),
        ([1], [1.5], "1.5"),
    ],
)
def test_bad_events_are_named_and_not_taken_in(y, p, message):
    metrics = BinnedMetrics(num_bins=10)
    with pytest.raises(ValueError, match=message):
        metrics.update(y, p)
    assert metrics.result()["rows"] == 0

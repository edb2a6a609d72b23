"""Streaming metrics against scikit-learn on the whole."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

# by its file: the package would import keras
_path = Path(__file__).parents[1] / "reloop2_keras" / "streaming" / "binned_metrics.py"
_spec = importlib.util.spec_from_file_location("binned_metrics", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
BinnedMetrics = _module.BinnedMetrics


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

"""Metrics against scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from reloop2_keras.core import metrics


@st.composite
def scored(draw):
    n = draw(st.integers(2, 80))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    # few distinct values: many ties
    p = rng.integers(0, draw(st.integers(2, 30)), n) / 30
    return rng.integers(0, 2, n), p, rng.integers(0, 5, n)


@settings(max_examples=60, deadline=None)
@given(scored())
def test_against_scikit_learn(case):
    y, p, groups = case
    total, rows = 0.0, 0
    for g in np.unique(groups):
        part = groups == g
        if len(set(y[part])) == 2:
            total += part.sum() * roc_auc_score(y[part], p[part])
            rows += part.sum()
    want = total / rows if rows else np.nan
    np.testing.assert_allclose(metrics.gauc(y, p, groups), want, atol=1e-12)
    if len(set(y)) == 2:
        np.testing.assert_allclose(metrics.auc(y, p), roc_auc_score(y, p), atol=1e-12)
    else:
        assert np.isnan(metrics.auc(y, p))
    clipped = np.clip(p, 1e-7, 1 - 1e-7)
    want = log_loss(y, clipped, labels=[0, 1])
    np.testing.assert_allclose(metrics.logloss(y, p), want, rtol=1e-6)


@settings(max_examples=30, deadline=None)
@given(scored())
def test_ece_by_loop(case):
    y, p, _ = case
    want = 0.0
    for b in range(20):
        inside = (p >= b / 20) & ((p < (b + 1) / 20) | (b == 19))
        if inside.any():
            want += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    # a value on a bin's edge may fall on either side in floating point
    edge = np.isclose(p * 20, np.round(p * 20)) & (p < 1)
    if not edge.any():
        np.testing.assert_allclose(metrics.ece(y, p), want, atol=1e-12)


def test_ctr_bias_by_hand():
    assert metrics.ctr_bias([1, 0, 1, 0], [0.5, 0.5, 0.5, 1.0]) == 1.25
    assert np.isnan(metrics.ctr_bias([0, 0], [0.5, 0.5]))


def test_standard_error_agrees_with_resampling():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    p = np.clip(0.5 + 0.15 * (y - 0.5) + 0.2 * rng.standard_normal(400), 0, 1)
    draws = [rng.integers(0, 400, 400) for _ in range(400)]
    spread = np.std([metrics.auc(y[d], p[d]) for d in draws])
    assert abs(metrics.auc_standard_error(y, p) / spread - 1) < 0.15


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 1], [0.5], "equal numbers of rows"),
        ([], [], "at least one"),
        ([0, 2], [0.5, 0.5], "`labels` must be 0 or 1. Received: 2"),
        ([0, 1], [0.5, np.nan], "`probabilities`"),
        ([0, 1], [0.5, 1.1], "1.1"),
    ],
)
def test_bad_input_is_named(y, p, message):
    with pytest.raises(ValueError, match=message):
        metrics.evaluate(y, p)

"""Is a difference between two arms more than chance? Block bootstrap over slots, with seeds.

Rows of one slot share a day, so slots are drawn and not rows; neighboring slots are alike too, so
runs of slots are drawn: the circular block bootstrap (D. N. Politis and J. P. Romano, 1992). The
differences are paired: both arms are scored on the same drawn slots.
"""

import math
import statistics
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.influence import INFLUENCED, influence

MOST_DRAWS = 2**20  # of a bootstrap, each of which is held


def paired_interval(
    report: Any,
    arm: str,
    over: str,
    metric: str,
    level: float = 0.95,
    block: int | None = None,
    draws: int = 2000,
    seed: int = 1001,
) -> tuple[float, float, float]:
    """Return what an arm gains over another on the whole stream, with an interval.

    The mean is `arm` minus `over` of the metric over all rows, averaged over the report's seeds;
    for "logloss" less than 0 is a gain. The metric of drawn slots is taken to first order; see
    `core.influence`. The seeds' own spread widens the interval; with one seed it is unknown, and
    the interval is that of this one base model.

    Args:
        report: `PrequentialReport`.
        arm, over: names of arms.
        metric: "auc", "gauc" or "logloss".
        level: float in (0, 1), how often such an interval holds the truth.
        block, draws, seed: see `interval_of_slots`.

    Returns:
        mean, low, high; all NaN where the metric is not defined. Equal arms give three zeros.

    Raises:
        ValueError: for an unknown arm or metric, "gauc" without groups, and as
            `interval_of_slots`.

    Example:
        >>> from reloop2_keras.core.report import PrequentialReport
        >>> p = {"a": [np.float64([0.1, 0.9, 0.2, 0.8])], "b": [np.full(4, 0.5)]}
        >>> report = PrequentialReport(["a", "b"], [1], p, np.uint8([0, 1, 0, 1]), np.arange(4))
        >>> paired_interval(report, "b", "b", "auc")
        (0.0, 0.0, 0.0)
        >>> paired_interval(report, "a", "b", "auc")[0]
        0.5
    """
    for argument, name in (("arm", arm), ("over", over)):
        if name not in report.arms:
            raise ValueError(f"`{argument}` must be one of {report.arms}. Received: {name!r}")
    if metric not in INFLUENCED:
        raise ValueError(f"`metric` must be one of {INFLUENCED}. Received: {metric!r}")
    slots = np.unique(report.slot_of_row, return_inverse=True)[1]
    means, slot_parts = [], []
    for mine, other in zip(report.predictions[arm], report.predictions[over], strict=True):
        value, rows = influence(metric, report.labels, mine, report.groups)
        floor, rows_of_other = influence(metric, report.labels, other, report.groups)
        means.append(value - floor)
        slot_parts.append(np.bincount(slots, weights=rows - rows_of_other))
    return _interval(np.array(means), np.array(slot_parts), level, block, draws, seed)


def interval_of_slots(
    differences: ArrayLike,
    weights: ArrayLike | None = None,
    level: float = 0.95,
    block: int | None = None,
    draws: int = 2000,
    seed: int = 1001,
) -> tuple[float, float, float]:
    """Return the weighted mean of differences that are known slot by slot, with an interval.

    For a metrics.json, say, where predictions are gone and `slots` holds each arm's figures.

    Args:
        differences: (slots,) or (seeds, slots), in the stream's order.
        weights: (slots,), such as rows; None: all alike.
        level: float in (0, 1).
        block: int in [1, slots], slots drawn one after the other. None: chosen from the
            differences' own autocorrelation; see `block_length`.
        draws: int, of the bootstrap.
        seed: int, of the draws: the same seed gives the same interval.

    Returns:
        mean, low, high.

    Raises:
        ValueError: for fewer than 2 slots, or an argument out of its range.

    Example:
        >>> mean, low, high = interval_of_slots([0.01, 0.03, 0.02, 0.02, 0.01, 0.03])
        >>> round(mean, 6), low > 0
        (0.02, True)
    """
    table = np.atleast_2d(np.asarray(differences, "float64"))
    weight = np.ones(table.shape[1]) if weights is None else np.asarray(weights, "float64")
    if weight.shape != table.shape[1:] or not (weight >= 0).all() or not weight.sum() > 0:
        raise ValueError(
            f"`weights` must be {table.shape[1]} numbers >= 0, not all 0. Received: {weights!r}"
        )
    share = weight / weight.sum()
    means = table @ share
    return _interval(means, share * (table - means[:, None]), level, block, draws, seed)


def block_length(series: ArrayLike) -> int:
    """Return how many slots to draw together, from the series' autocorrelation.

    The automatic rule of D. N. Politis and H. White (2004; corrected by A. Patton and both, 2009)
    for the circular bootstrap, with at most a third of the slots. At least the cube root of
    their number: a short series hides what it has of autocorrelation.

    Args:
        series: (slots,).

    Example:
        >>> block_length([0.0] * 20), block_length([-1.0] * 30 + [1.0] * 30)
        (3, 12)
    """
    x = np.asarray(series, "float64")
    n = len(x)
    x = x - x.mean()
    variance = float(x @ x) / n
    most = max(1, n // 3)
    least = min(most, math.ceil(n ** (1 / 3) - 1e-9))
    # A first lag from which on autocorrelations stay within the noise of a white series.
    quiet = max(5, math.ceil(math.sqrt(math.log10(max(n, 2)))))
    lags = min(n - 1, math.ceil(math.sqrt(n)) + quiet)
    if variance <= 1e-30 or lags < 1:
        return least
    covariance = np.array([float(x[: n - k] @ x[k:]) / n for k in range(lags + 1)])
    loud = np.abs(covariance[1:] / variance) > 2 * math.sqrt(math.log10(n) / n)
    last = next((m for m in range(len(loud)) if not loud[m : m + quiet].any()), len(loud))
    wide = min(2 * last, lags)
    if not wide:
        return least
    k = np.arange(1, wide + 1)
    taper = np.clip(2 * (1 - k / wide), 0, 1)  # a flat top
    spread = variance + 2 * float(taper @ covariance[1 : wide + 1])
    slope = 2 * float((taper * k) @ covariance[1 : wide + 1])
    if spread <= 0:
        return most
    length = (2 * slope**2 / (4 / 3 * spread**2)) ** (1 / 3) * n ** (1 / 3)
    return int(np.clip(round(length), least, most))


def _interval(means, parts, level, block, draws, seed):
    """Interval of the mean of `means` (seeds,), whose slots add `parts` (seeds, slots) to it."""
    runs, slots = parts.shape
    mean = float(means.mean())
    if slots < 2:
        raise ValueError(f"a bootstrap over slots needs at least 2 of them. Received: {slots}")
    level, draws = number("level", level, "(0, 1)"), integer("draws", draws, 1, MOST_DRAWS)
    part = parts.mean(0)
    if not (math.isfinite(mean) and np.isfinite(part).all()):
        return math.nan, math.nan, math.nan
    block = block_length(part) if block is None else integer("block", block, 1, slots)
    rng = np.random.default_rng(seed)
    moved = _drawn(part, block, draws, rng)
    degrees = [max(1.5 * slots / block - 1, 1.0)]
    variances = [float(moved.var())]
    if runs > 1:
        # As with slots: resampling few makes their spread too small, by (runs - 1) / runs.
        grow = math.sqrt(runs / (runs - 1))
        drawn = (means[rng.integers(runs, size=(draws, runs))].mean(1) - mean) * grow
        moved = moved + drawn
        degrees.append(runs - 1)
        variances.append(float(means.var(ddof=1)) / runs)
    if not sum(variances):
        return mean, mean, mean
    freedom = sum(variances) ** 2 / sum(
        v**2 / d for v, d in zip(variances, degrees, strict=True)
    )  # Welch and Satterthwaite
    tail = (1 - level) / 2
    moved = moved * _wider(1 - tail, freedom)
    low, high = np.quantile(moved, [tail, 1 - tail])
    return mean, mean + float(low), mean + float(high)


def _drawn(part, block, draws, rng):
    """Sums (draws,) of slots drawn in circular blocks, less their expectation, which is 0."""
    slots = len(part)
    whole, rest = divmod(slots, block)
    around = np.r_[0.0, np.cumsum(np.r_[part, part])]
    starts = rng.integers(slots, size=(draws, whole))
    sums = (around[starts + block] - around[starts]).sum(1)
    if rest:  # the last block is cut, so that as many slots are drawn as there are
        start = rng.integers(slots, size=draws)
        sums += around[start + rest] - around[start]
    # Blocks overlap and all lie around one mean, which takes block / slots of their variance.
    return sums * (math.sqrt(slots / (slots - block)) if block < slots else 1.0)


def _wider(probability, freedom):
    """Quantile of Student's t over the normal one: few slots know their own spread badly.

    G. W. Hill's expansion (1970) by powers of 1 / freedom, good to 2 % from 2 degrees on.
    """
    z = statistics.NormalDist().inv_cdf(probability)
    f = max(freedom, 2.0)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return 1 + sum(term / f ** (i + 1) for i, term in enumerate(terms)) / z

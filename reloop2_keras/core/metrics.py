"""Metrics of click prediction, on plain arrays, in float64."""

import numpy as np
from numpy.typing import ArrayLike


def _checked(labels, probabilities):
    labels = np.asarray(labels).reshape(-1).astype("float64")
    probabilities = np.asarray(probabilities).reshape(-1).astype("float64")
    if labels.shape != probabilities.shape or not labels.size:
        raise ValueError(
            "`labels` and `probabilities` must have equal numbers of rows, at least one. "
            f"Received: {labels.size} and {probabilities.size}"
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError(
            f"`labels` must be 0 or 1. Received: {labels[~np.isin(labels, (0, 1))][0]}"
        )
    good = (probabilities >= 0) & (probabilities <= 1)  # False for NaN too
    if not good.all():
        raise ValueError(f"`probabilities` must be in [0, 1]. Received: {probabilities[~good][0]}")
    return labels, probabilities


def ranks(x: ArrayLike) -> np.ndarray:
    """Return ranks from 1, ties at their average: what the AUC is made of.

    Args:
        x: (rows,) of numbers, none of them NaN.

    Returns:
        float64 (rows,).

    Example:
        >>> ranks([0.3, 0.1, 0.3, 0.7]).tolist()
        [2.5, 1.0, 2.5, 4.0]
    """
    x = np.asarray(x)
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(x)])
    length = np.diff(np.r_[start, len(x)])
    rank = np.empty(len(x))
    rank[order] = np.repeat(start + (length + 1) / 2, length)
    return rank


def auc(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Area under the ROC curve, ties counted half; NaN when there is one class only.

    Args:
        labels: (rows,) of 0 and 1.
        probabilities: (rows,) in [0, 1].

    Returns:
        float.

    Raises:
        ValueError: if lengths differ or a value is out of range (so do all functions here).

    Example:
        >>> auc([0, 1, 1], [0.1, 0.1, 0.9])
        0.75
    """
    y, p = _checked(labels, probabilities)
    positives = y.sum()
    negatives = len(y) - positives
    if not positives or not negatives:
        return float("nan")
    won = ranks(p)[y == 1].sum() - positives * (positives + 1) / 2
    return float(won / (positives * negatives))


def gauc(labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike) -> float:
    """AUC within each group, averaged by rows; groups of one class only are skipped.

    Args:
        labels: (rows,) of 0 and 1.
        probabilities: (rows,) in [0, 1].
        groups: (rows,) of ints or strings, such as the user.

    Returns:
        float; NaN when no group has both classes.

    Raises:
        ValueError: as `auc`, and if `groups` has another number of rows.

    Example:
        >>> gauc([0, 1, 0, 1], [0.1, 0.2, 0.9, 0.8], ["ann", "ann", "bob", "bob"])
        0.5
    """
    y, p = _checked(labels, probabilities)
    groups = np.asarray(groups).reshape(-1)
    if len(groups) != len(y):
        raise ValueError(f"`groups` must have {len(y)} rows. Received: {len(groups)}")
    _, group = np.unique(groups, return_inverse=True)
    order = np.lexsort((p, group))
    group, y, p = group[order], y[order], p[order]
    # average rank of ties within a group: mean position of each run of equal (group, p)
    start = np.flatnonzero(np.r_[True, (group[1:] != group[:-1]) | (p[1:] != p[:-1])])
    length = np.diff(np.r_[start, len(y)])
    rank = np.repeat(start + (length + 1) / 2, length)
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    rank = rank - first[group]
    rows = np.bincount(group)
    positives = np.bincount(group, weights=y)
    negatives = rows - positives
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return float("nan")
    summed = np.bincount(group, weights=rank * y)
    area = (summed - positives * (positives + 1) / 2)[both] / (positives * negatives)[both]
    return float((area * rows[both]).sum() / rows[both].sum())


def logloss(labels: ArrayLike, probabilities: ArrayLike, epsilon: float = 1e-7) -> float:
    """Mean negative log-likelihood in nats; probabilities are clipped to [epsilon, 1 - epsilon].

    Example:
        >>> round(logloss([1, 0], [0.5, 0.5]), 6)
        0.693147
    """
    y, p = _checked(labels, probabilities)
    p = np.clip(p, epsilon, 1 - epsilon)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log1p(-p)))


def ece(labels: ArrayLike, probabilities: ArrayLike, num_bins: int = 20) -> float:
    """Expected calibration error: row-weighted |mean p - mean y| over equal-width bins.

    Example:
        >>> ece([1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25])
        0.0
    """
    y, p = _checked(labels, probabilities)
    bins = np.minimum((p * num_bins).astype(int), num_bins - 1)
    gap = np.bincount(bins, weights=p - y, minlength=num_bins)
    return float(np.abs(gap).sum() / len(y))


def ctr_bias(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Sum of predictions over sum of labels; 1 is unbiased, NaN without a positive label.

    Example:
        >>> ctr_bias([1, 0], [0.75, 0.5])
        1.25
    """
    y, p = _checked(labels, probabilities)
    return float(p.sum() / y.sum()) if y.any() else float("nan")


def auc_standard_error(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Standard error of the AUC (DeLong et al., 1988, by ranks).

    Returns:
        float; NaN when there are fewer than two rows of either class.

    Example:
        >>> round(auc_standard_error([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.9]), 3)
        0.354
    """
    y, p = _checked(labels, probabilities)
    pos, neg = p[y == 1], p[y == 0]
    m, n = len(pos), len(neg)
    if m < 2 or n < 2:
        return float("nan")
    both = ranks(np.r_[pos, neg])
    v_pos = (both[:m] - ranks(pos)) / n
    v_neg = 1.0 - (both[m:] - ranks(neg)) / m
    return float(np.sqrt(v_pos.var(ddof=1) / m + v_neg.var(ddof=1) / n))


def evaluate(
    labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike | None = None
) -> dict[str, float]:
    """All metrics at once.

    Returns:
        dict: `auc`, `gauc` (NaN without groups), `logloss`, `ece`, `ctr_bias`, `rows`.

    Example:
        >>> evaluate([0, 1], [0.25, 0.75])["auc"]
        1.0
    """
    return {
        "auc": auc(labels, probabilities),
        "gauc": float("nan") if groups is None else gauc(labels, probabilities, groups),
        "logloss": logloss(labels, probabilities),
        "ece": ece(labels, probabilities),
        "ctr_bias": ctr_bias(labels, probabilities),
        "rows": len(np.asarray(labels).reshape(-1)),
    }

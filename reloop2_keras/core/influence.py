"""How much each row moves a metric: what a bootstrap over slots adds up.

A metric of weighted rows is a smooth function of the weights. A row's influence is its derivative
at equal weights (the infinitesimal jackknife; B. Efron, "The jackknife, the bootstrap and other
resampling plans", 1982; for the AUC these are the components of DeLong et al., 1988). Influences
add up to 0, and a metric of resampled rows is, to first order, the metric plus the sum of the
influences of the rows drawn. So slots can be resampled without computing any metric again.
"""

import numpy as np
from numpy.typing import ArrayLike

from reloop2_keras.core.metrics import logloss

INFLUENCED = ("auc", "gauc", "logloss")


def influence(
    metric: str, labels: ArrayLike, probabilities: ArrayLike, groups: ArrayLike | None = None
) -> tuple[float, np.ndarray]:
    """Return a metric and the influence of each row on it.

    Args:
        metric: "auc", "gauc" or "logloss", as in `core.metrics`.
        labels: (rows,) of 0 and 1.
        probabilities: (rows,) in [0, 1].
        groups: (rows,) for "gauc", such as the user.

    Returns:
        float, and float64 (rows,) that adds up to 0. Where the metric is not defined (one class
        only) both are NaN.

    Raises:
        ValueError: if there is no such metric, "gauc" has no groups, or as `core.metrics`.

    Example:
        >>> value, rows = influence("logloss", [1, 0], [0.5, 0.25])
        >>> round(value, 4), rows.round(4).tolist()
        (0.4904, [0.1014, -0.1014])
    """
    if metric not in INFLUENCED:
        raise ValueError(f"`metric` must be one of {INFLUENCED}. Received: {metric!r}")
    value = logloss(labels, probabilities)  # checks lengths and ranges for all of them
    y = np.asarray(labels).reshape(-1).astype("float64")
    p = np.asarray(probabilities).reshape(-1).astype("float64")
    if metric == "logloss":
        clipped = np.clip(p, 1e-7, 1 - 1e-7)
        losses = -(y * np.log(clipped) + (1 - y) * np.log1p(-clipped))
        return value, (losses - value) / len(y)
    if metric == "auc":
        # one group of everybody: the mean over groups by rows is then the AUC itself
        return _grouped(y, p, np.zeros(len(y), "int64"))
    if groups is None:
        raise ValueError('`groups` must be given for "gauc". Received: None')
    groups = np.asarray(groups).reshape(-1)
    if len(groups) != len(y):
        raise ValueError(f"`groups` must have {len(y)} rows. Received: {len(groups)}")
    return _grouped(y, p, np.unique(groups, return_inverse=True)[1])


def _grouped(y, p, group):
    """Row-weighted mean over groups of both classes of their AUC, and the rows' influences.

    A group of n rows adds n A to the sum over all groups, where A = sum of w_i w_j K_ij over its
    positives i and negatives j, divided by both weights' sums. The derivative by the weight of a
    positive that beats the share v of its group's negatives is A + n (v - A) / positives.
    """
    order = np.lexsort((p, group))
    y, p, group = y[order], p[order], group[order]
    new_group = np.r_[True, group[1:] != group[:-1]]
    first = np.flatnonzero(new_group)
    number = np.cumsum(new_group) - 1
    tie = np.flatnonzero(np.r_[True, (p[1:] != p[:-1]) | new_group[1:]])
    tie_of_row = np.repeat(np.arange(len(tie)), np.diff(np.r_[tie, len(y)]))

    rows = np.bincount(number)
    positives = np.bincount(number, weights=y)
    negatives = rows - positives
    both = (positives > 0) & (negatives > 0)
    if not both.any():
        return float("nan"), np.full(len(y), np.nan)

    def below(of):
        """Of each row: rows of that class in its group with less, ties counted half."""
        before = np.r_[0.0, np.cumsum(of)]
        tied = np.add.reduceat(of, tie)
        return (before[tie] + tied / 2)[tie_of_row] - before[first][number]

    with np.errstate(divide="ignore", invalid="ignore"):
        beaten = below(1 - y) / negatives[number]  # by a positive
        beating = 1 - below(y) / positives[number]  # a negative
        area = np.bincount(number, weights=y * beaten) / positives
        share = np.where(y == 1, beaten, beating)
        count = np.where(y == 1, positives[number], negatives[number])
        total = rows[both].sum()
        value = float((rows * area)[both].sum() / total)
        moved = (area[number] + rows[number] * (share - area[number]) / count - value) / total
    result = np.empty(len(y))
    result[order] = np.where(both[number], moved, 0.0)
    return value, result

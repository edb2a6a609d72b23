"""AUC and logloss of a stream in constant memory and time an event."""

import numpy as np


class BinnedMetrics:
    """Running AUC, logloss and calibration; events may come in pieces of any size.

    The AUC counts labels in equal bins of the probability. Pairs within a bin count half, so it
    is exact up to `auc_error_bound`, half the share of pairs that fall into one bin: some 1e-6
    for continuous predictions, and the error itself far less, as halves cancel out. Logloss and
    calibration are plain sums.

    Args:
        num_bins: int; memory is 16 bytes a bin (32 MB for the default).
        epsilon: float, probabilities are clipped to [epsilon, 1 - epsilon] in the logloss.

    Example:
        >>> metrics = BinnedMetrics()
        >>> metrics.update([0, 1, 1], [0.1, 0.4, 0.9])
        >>> metrics.result()["auc"]
        1.0
    """

    def __init__(self, num_bins=1 << 21, epsilon=1e-7):
        if int(num_bins) != num_bins or not 2 <= num_bins <= 1 << 30:
            raise ValueError(f"`num_bins` must be an integer in [2, 2^30]. Received: {num_bins}")
        self.num_bins, self.epsilon = int(num_bins), epsilon
        self.reset()

    def reset(self):
        """Forget all events."""
        # rows: negatives, positives
        self._counts = np.zeros((2, self.num_bins), "int64")
        self.rows, self._loss, self._sum_p = 0, 0.0, 0.0

    def update(self, labels, probabilities):
        """Take in events.

        Args:
            labels: (rows,) of 0 and 1.
            probabilities: (rows,) in [0, 1].

        Raises:
            ValueError: if lengths differ or a value is out of range; then nothing is taken in.
        """
        y = np.asarray(labels).reshape(-1)
        p = np.asarray(probabilities, "float64").reshape(-1)
        positive = y == 1
        if y.shape != p.shape:
            raise ValueError(
                "`labels` and `probabilities` must have equal numbers of rows. "
                f"Received: {y.size} and {p.size}"
            )
        if not (positive | (y == 0)).all():
            raise ValueError(f"`labels` must be 0 or 1. Received: {y[~(positive | (y == 0))][0]}")
        if p.size and not (p.min() >= 0 and p.max() <= 1):  # False for NaN too
            bad = p[~((p >= 0) & (p <= 1))][0]
            raise ValueError(f"`probabilities` must be in [0, 1]. Received: {bad}")
        cell = np.minimum((p * self.num_bins).astype("int64"), self.num_bins - 1)
        cell += positive * np.int64(self.num_bins)
        # an array of ones takes a quarter of the time of a scalar
        np.add.at(self._counts.reshape(-1), cell, np.ones(len(cell), "int64"))
        right = np.where(positive, p, 1.0 - p)  # probability given to what happened
        self._loss -= float(np.log(np.clip(right, self.epsilon, 1 - self.epsilon)).sum())
        self._sum_p += float(p.sum())
        self.rows += len(p)

    def merge(self, other):
        """Take in all events of another one with equally many bins."""
        if (other.num_bins, other.epsilon) != (self.num_bins, self.epsilon):
            raise ValueError(
                "`other` must have equal num_bins and epsilon. "
                f"Received: {other.num_bins}, {other.epsilon}"
            )
        self._counts += other._counts
        self.rows += other.rows
        self._loss += other._loss
        self._sum_p += other._sum_p

    def result(self):
        """Return a dict: `auc`, `auc_error_bound`, `logloss`, `ctr_bias`, `rows`.

        The AUC is NaN with one class only, `ctr_bias` without a positive label, and all are NaN
        without events.
        """
        negative, positive = self._counts
        upto = np.cumsum(negative)
        # most bins are empty: go on with those that hold positives
        held = np.flatnonzero(positive)
        negative, positive = (counts[held].astype("float64") for counts in (negative, positive))
        below = upto[held] - negative
        negatives, positives = float(upto[-1]), positive.sum()
        pairs = negatives * positives
        nan = float("nan")
        return {
            "auc": float((positive * (below + negative / 2)).sum() / pairs) if pairs else nan,
            "auc_error_bound": float((positive * negative).sum() / 2 / pairs) if pairs else nan,
            "logloss": self._loss / self.rows if self.rows else nan,
            "ctr_bias": float(self._sum_p / positives) if positives else nan,
            "rows": self.rows,
        }

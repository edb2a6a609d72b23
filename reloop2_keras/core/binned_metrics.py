"""AUC and logloss of a stream in constant memory and time an event."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from reloop2_keras.core.arguments import integer, number

NARROW_ROWS = 2**32 - 1  # events that 32-bit counts can hold, even if all fall into one bin
BLOCK = 1 << 15  # bins that `result` takes at a time: few enough for the cache


class BinnedMetrics:
    """Running AUC, logloss and calibration; events may come in pieces of any size.

    The AUC counts labels in equal bins of the probability. Pairs within a bin count half, so it
    is exact up to `auc_error_bound`, half the share of pairs that fall into one bin: about 1e-6
    for continuous predictions, and the error itself far less, as halves cancel out. Logloss and
    calibration are plain sums.

    Args:
        num_bins: int; memory is 8 bytes a bin (16 MB for the default), 16 beyond 2^32 events.
        epsilon: float, probabilities are clipped to [epsilon, 1 - epsilon] in the logloss.

    Example:
        >>> metrics = BinnedMetrics()
        >>> metrics.update([0, 1, 1], [0.1, 0.4, 0.9])
        >>> metrics.result()["auc"]
        1.0
    """

    def __init__(self, num_bins: int = 1 << 21, epsilon: float = 1e-7) -> None:
        self.num_bins = integer("num_bins", num_bins, 2, 1 << 30)
        self.epsilon = number("epsilon", epsilon, "[0, 0.5)")
        self._counts = self._empty()
        self.rows, self._loss, self._sum_p = 0, 0.0, 0.0

    def _empty(self):
        # [bin, label]: a bin's two counts share a cache line
        return np.zeros((self.num_bins, 2), "uint32")

    def reset(self) -> None:
        """Forget all events."""
        if self._counts.dtype == "uint32":
            self._counts.fill(0)  # cheaper than new memory, whose pages are still to be fetched
        else:
            self._counts = self._empty()
        self.rows, self._loss, self._sum_p = 0, 0.0, 0.0

    def _make_room(self, rows):
        # no count is greater than the number of rows
        if rows > NARROW_ROWS and self._counts.dtype == "uint32":
            self._counts = self._counts.astype("int64")

    def update(self, labels: ArrayLike, probabilities: ArrayLike) -> None:
        """Take in events.

        Args:
            labels: (rows,) of 0 and 1.
            probabilities: (rows,) in [0, 1].

        Raises:
            ValueError: if lengths differ or a value is out of range; then nothing is taken in.
        """
        y = np.asarray(labels).reshape(-1)
        p = np.asarray(probabilities, "float64").reshape(-1)
        if y.shape != p.shape:
            raise ValueError(
                "`labels` and `probabilities` must have equal numbers of rows. "
                f"Received: {y.size} and {p.size}"
            )
        if not p.size:
            return
        positive, negative = y == 1, y == 0
        if np.count_nonzero(positive) + np.count_nonzero(negative) != y.size:
            raise ValueError(f"`labels` must be 0 or 1. Received: {y[~(positive | negative)][0]}")
        low, high = p.min(), p.max()
        if not (low >= 0 and high <= 1):  # False for NaN too
            bad = p[~((p >= 0) & (p <= 1))][0]
            raise ValueError(f"`probabilities` must be in [0, 1]. Received: {bad}")
        self._make_room(self.rows + p.size)
        cell = (p * self.num_bins).astype("int64")
        if high == 1:  # the next smaller number stays in the last bin
            np.minimum(cell, self.num_bins - 1, out=cell)
        cell *= 2
        cell += positive
        counts = self._counts.reshape(-1)
        # an array of ones takes a quarter of the time of a scalar
        np.add.at(counts, cell, np.ones(p.size, counts.dtype))
        # The probability given to what happened; `np.where` took longer on random labels.
        right = np.abs(p - negative)
        if low < self.epsilon or high > 1 - self.epsilon:
            right = np.clip(right, self.epsilon, 1 - self.epsilon)
        self._loss -= float(np.log(right).sum())
        self._sum_p += float(p.sum())
        self.rows += p.size

    def merge(self, other: "BinnedMetrics") -> None:
        """Take in all events of another one with equally many bins."""
        if (other.num_bins, other.epsilon) != (self.num_bins, self.epsilon):
            raise ValueError(
                "`other` must have equal num_bins and epsilon. "
                f"Received: {other.num_bins}, {other.epsilon}"
            )
        self._make_room(self.rows + other.rows)
        self._counts += other._counts
        self.rows += other.rows
        self._loss += other._loss
        self._sum_p += other._sum_p

    def state(self) -> dict[str, np.ndarray]:
        """Return arrays of which `load_state` makes the same again; without empty bins.

        Example:
            >>> one, other = BinnedMetrics(), BinnedMetrics()
            >>> one.update([0, 1], [0.3, 0.4])
            >>> other.load_state(one.state())
            >>> other.result() == one.result()
            True
        """
        counts = self._counts.reshape(-1)
        cells = np.flatnonzero(counts)
        sums = np.array([self._loss, self._sum_p])
        return {"cells": cells, "counts": counts[cells], "rows": np.array(self.rows), "sums": sums}

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` returned, of equally many bins, in place of what is there."""
        self.reset()
        self.rows = int(arrays["rows"])
        self._make_room(self.rows)
        self._counts.reshape(-1)[arrays["cells"]] = arrays["counts"]
        self._loss, self._sum_p = arrays["sums"].tolist()

    def result(self) -> dict[str, float]:
        """Return a dict: `auc`, `auc_error_bound`, `logloss`, `ctr_bias`, `rows`.

        The AUC is NaN with one class only, `ctr_bias` without a positive label, and all are NaN
        without events.
        """
        negatives = positives = 0
        won = tied = 0.0
        for start in range(0, self.num_bins, BLOCK):
            # contiguous copies that stay in the cache
            negative, positive = np.ascontiguousarray(self._counts[start : start + BLOCK].T)
            upto = np.cumsum(negative, dtype="int64")
            # most bins are empty: go on with those that hold positives
            held = np.flatnonzero(positive != 0)
            negative, positive = (x[held].astype("float64") for x in (negative, positive))
            won += float(positive @ (negatives + upto[held] - negative / 2))
            tied += float(positive @ negative) / 2
            negatives, positives = negatives + int(upto[-1]), positives + int(positive.sum())
        pairs = float(negatives) * positives
        nan = float("nan")
        return {
            "auc": won / pairs if pairs else nan,
            "auc_error_bound": tied / pairs if pairs else nan,
            "logloss": self._loss / self.rows if self.rows else nan,
            "ctr_bias": self._sum_p / positives if positives else nan,
            "rows": self.rows,
        }

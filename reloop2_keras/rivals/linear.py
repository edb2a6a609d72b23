"""`frozen linear`: a logistic regression of the training period, one-hot, by scikit-learn.

A base that loses to it is no base to improve on.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from reloop2_keras.core.arguments import number
from reloop2_keras.rivals.served import checked_numeric, features, needed


class FrozenLinear:
    """Slow part of an arm: it is fitted once and learns nothing from the stream.

    Each raw value of the training period is a column of 0 and 1, a numeric field one column with
    its value divided by its deviation. Values that training never saw add nothing.

    Args:
        numeric: columns of numeric fields.

    Raises:
        ImportError: on fitting, where scikit-learn is not installed.

    Example:
        >>> train = {
        ...     "label": np.uint8([1, 1, 0, 0]),
        ...     "feature_hashes": np.int32([[7], [7], [8], [8]]),
        ...     "feature_values": np.ones((4, 1), "float32"),
        ... }
        >>> part = FrozenLinear().fit([train], strength=1.0)  # doctest: +SKIP
        >>> part.serve(train)["probability"].round(2)  # doctest: +SKIP
        array([0.66, 0.66, 0.34, 0.34], dtype=float32)
    """

    learns_from = ()

    def __init__(self, numeric: Sequence[int] = ()) -> None:
        self.numeric = checked_numeric(numeric)
        self._known: list[np.ndarray] = []  # until `fit`
        self._weights, self._constant = np.zeros(0), 0.0

    def fit(self, train: Iterable[dict], strength: float = 1.0) -> "FrozenLinear":
        """Fit the training period; returns itself.

        Args:
            train: dicts of arrays, such as row groups.
            strength: float > 0, scikit-learn's C: the inverse of the L2 penalty.
        """
        return self.path(train, [strength])[0]

    def path(self, train: Iterable[dict], strengths: Sequence[float]) -> list["FrozenLinear"]:
        """Fit for several strengths on one design; returns a part each. See `fit`."""
        linear = needed("sklearn.linear_model", "FrozenLinear")
        strengths = [number("strength", strength, "(0, inf)") for strength in strengths]
        parts = [(*features(a, self.numeric), np.asarray(a["label"])) for a in train]
        if not parts:
            raise ValueError("`train` must hold rows. Received: none")
        hashes, values, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        if len(np.unique(labels)) != 2:
            raise ValueError(f"`train` must have both labels. Received: {np.unique(labels)}")
        self._known = [np.unique(column) for column in hashes.T]
        self._starts = np.cumsum([0, *(len(known) for known in self._known)])
        self._scale = np.ones(len(self._known))
        for column in self.numeric:
            self._scale[column] = float(values[:, column].std()) or 1.0
        design = self._design(hashes, values)
        # One-hot columns have very unequal counts: Newton takes 5 steps where L-BFGS takes 150.
        model = linear.LogisticRegression(solver="newton-cg")
        fitted = []
        for strength in strengths:
            model.set_params(C=strength).fit(design, labels)
            part = FrozenLinear(self.numeric)
            part._known, part._starts, part._scale = self._known, self._starts, self._scale
            # one more column: what an unseen value reads
            part._weights = np.r_[model.coef_[0], 0.0]
            part._constant = float(model.intercept_[0])
            fitted.append(part)
        return fitted

    def _places(self, hashes):
        """Column of each value, int64 (rows, fields); the last one for values not known."""
        places = np.empty(hashes.shape, "int64")
        for k, known in enumerate(self._known):
            at = np.minimum(np.searchsorted(known, hashes[:, k]), len(known) - 1)
            found = known[at] == hashes[:, k]
            places[:, k] = np.where(found, at + self._starts[k], self._starts[-1])
        return places

    def _design(self, hashes, values):
        sparse = needed("scipy.sparse", "FrozenLinear")
        rows, fields = hashes.shape
        ends = np.arange(0, rows * fields + 1, fields)
        entries = (values / self._scale).reshape(-1), self._places(hashes).reshape(-1), ends
        return sparse.csr_matrix(entries, shape=(rows, self._starts[-1]))

    def serve(self, arrays: dict) -> dict:
        """Return `probability`, float32 (rows,), of a slot's arrays.

        Raises:
            ValueError: if it was not fitted, or the slot has another number of fields.
        """
        if not self._known:
            raise ValueError("`FrozenLinear` must be fitted before it serves")
        hashes, values = features(arrays, self.numeric)
        if hashes.shape[1] != len(self._known):
            raise ValueError(
                f"`arrays` must have {len(self._known)} fields. Received: {hashes.shape[1]}"
            )
        moved = self._weights[self._places(hashes)] * (values / self._scale)
        logits = moved.sum(1) + self._constant
        return {"probability": (1 / (1 + np.exp(-logits))).astype("float32")}

    def observe(self, arrays: dict) -> None:
        """Labels arrived: a frozen model does nothing."""

"""A tiny online logistic regression on top of the base model's logit (ours)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.gate_retraction import without
from reloop2_keras.core.newton import logits, newton_step, sigmoid
from reloop2_keras.core.rows import check_finite, check_labels, check_probabilities

MOST_OFFSETS = 4096  # a matrix of that size takes 134 MB
LARGEST = 1e6  # of an offset; memories read logits within +-8
PROBABILITY_CLIP = 1e-6  # probabilities are this far from 0 and 1 when their logit is taken


class Gate(ArrayState):
    """logit(y_pred) = a * logit(p) + c + sum_k g_k r_k, learnt slot by slot (ours).

    Starts at a = 1, c = 0, g = 0, so it changes nothing before it has seen labels. `update` makes
    one Newton step on a slot's rows with the Hessian accumulated so far as the prior's precision
    (docs/method.md, section 4). A step that would raise the slot's penalized loss (all labels
    alike, say) is halved until it does not. With no offsets it is the recalibration control of
    section 5. All is float64: a (2 + K)-vector and a (2 + K)-square matrix, however long the
    stream.

    Args:
        num_offsets: int >= 0, number K of offsets, which memories read.
        forgetting: float in [0, 1): share by which the accumulated Hessian falls back to the
            identity after each update. 0 (default) never forgets.

    Attributes:
        coefficients: float64 (2 + K,): a, c, g.
        precision: float64 (2 + K, 2 + K), the accumulated Hessian; starts at 10 for a, else 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> gate = Gate()
        >>> gate.update(labels=[1, 1, 1, 0], probabilities=[0.5, 0.5, 0.5, 0.5])
        >>> round(float(gate(np.array([0.5]))[0]), 2)  # pulled up: three of four were clicks
        0.62
    """

    ARRAYS = ("coefficients", "precision")

    def __init__(self, num_offsets: int = 0, forgetting: float = 0.0) -> None:
        super().__init__()
        self.num_offsets = integer("num_offsets", num_offsets, 0, MOST_OFFSETS)
        self.forgetting = number("forgetting", forgetting, "[0, 1)")
        self.reset()

    def reset(self) -> None:
        """Go back to the start: a = 1, c = 0, g = 0; precision 10 for a, else 1."""
        size = 2 + self.num_offsets
        with self.lock:
            self.coefficients = np.eye(size)[0]
            self.precision = np.diag([10.0] + [1.0] * (size - 1))
            self.version += 1

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`; what float32 files rounded off the precision is mended."""
        with self.lock:
            super().load_state(arrays)
            self.precision[...] = _at_least_identity(self.precision)

    def __call__(self, probabilities: np.ndarray, offsets: np.ndarray | None = None) -> np.ndarray:
        """Return gated probabilities.

        Args:
            probabilities: float (rows,), base predictions.
            offsets: float (rows, num_offsets); may be left out when `num_offsets` is 0.

        Returns:
            float32 (rows,).

        Raises:
            ValueError: if something is out of range, not finite, or misshapen.
        """
        design = self._design(check_probabilities(probabilities), offsets)
        with self.lock:
            return sigmoid(logits(design, self.coefficients)).astype("float32")

    def check(self, probabilities: np.ndarray, offsets: np.ndarray | None = None) -> None:
        """Raise ValueError unless this gate can be asked about these rows; see `__call__`."""
        self._design(check_probabilities(probabilities), offsets)

    def update(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> None:
        """Learn from a slot whose labels arrived; offsets as they were READ at prediction time.

        Args:
            labels: (rows,) of 0 and 1.
            probabilities: float (rows,) in [0, 1].
            offsets: float (rows, num_offsets), or None when there are none.

        Raises:
            ValueError: if the numbers of rows differ, or a value is out of range or not finite.
                Nothing is changed then.
        """
        with self.lock:
            self.store(self.solved(labels, probabilities, offsets))

    def solved(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `update` would make of coefficients and precision; changes nothing."""
        design = self._design(check_probabilities(probabilities), offsets)
        labels = check_labels(labels, len(design))
        start, prior = self.coefficients, self.precision
        after, curvature, _ = newton_step(design, labels, start, start, prior)
        keep = 1.0 - self.forgetting
        return after, keep * (prior + curvature) + self.forgetting * np.eye(len(start))

    def store(self, solution: tuple[np.ndarray, np.ndarray]) -> None:
        """Take what `solved` returned."""
        with self.lock:
            self.coefficients, self.precision = solution
            self.version += 1

    def retract(
        self,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None,
        at: np.ndarray,
    ) -> None:
        """Take back rows of one `update`; exact if its step was not halved and none came since.

        With `forgetting` what they taught is taken back in full, though some was forgotten since.

        Args:
            labels, probabilities, offsets: those of the update, or some rows of them.
            at: float64 (2 + K,), the coefficients before the update.
        """
        design = self._design(check_probabilities(probabilities), offsets)
        labels = check_labels(labels, len(design))
        with self.lock:
            self.store(without(self.coefficients, self.precision, design, labels, at, 1.0))

    def _design(self, probabilities: np.ndarray, offsets: np.ndarray | None) -> np.ndarray:
        """The design matrix in float64: (rows, 2 + K)."""
        p = np.clip(probabilities, PROBABILITY_CLIP, 1.0 - PROBABILITY_CLIP)
        design = np.ones((len(p), 2 + self.num_offsets))
        design[:, 0] = np.log(p / (1.0 - p))
        if self.num_offsets or offsets is not None:
            shape = None if offsets is None else np.shape(offsets)
            if shape is None or len(shape) != 2 or shape[1] != self.num_offsets:
                raise ValueError(
                    f"`offsets` must have shape (batch, {self.num_offsets}). Received: {shape}"
                )
            if shape[0] != len(p):
                raise ValueError(
                    "`offsets` and `probabilities` must have equal numbers of rows. "
                    f"Received: {shape[0]} and {len(p)}"
                )
            design[:, 2:] = offsets
            given = np.asarray(offsets)
            # before they are wider and lie apart, floats are checked in a fifth of the time
            given = given if given.dtype.kind == "f" else design[:, 2:]
            if given.size and not (given.min() >= -LARGEST and given.max() <= LARGEST):
                check_finite("offsets", given)
                raise ValueError(
                    f"`offsets`, logits, must be within +-{LARGEST:g}. "
                    f"Received: {np.abs(given).max():g}"
                )
        return design

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {"num_offsets": self.num_offsets, "forgetting": self.forgetting}


def _at_least_identity(precision: np.ndarray) -> np.ndarray:
    """Mend what float32 storage rounds off: the prior was the identity or more, data only add.

    Entries of 5e7 are stored to +-2; along offsets that depend on each other the smallest
    eigenvalue could turn negative, and a step go the wrong way.
    """
    values, vectors = np.linalg.eigh((precision + precision.T) / 2.0)
    if values.min() >= 1.0:
        return precision
    return (vectors * np.maximum(values, 1.0)) @ vectors.T

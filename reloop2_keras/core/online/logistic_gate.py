"""A logistic regression that learns blocks of rows, each a few Newton steps (ours)."""

from collections.abc import Mapping, Sequence

import numpy as np

from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.gate_retraction import without
from reloop2_keras.core.newton import hessian, logits, newton_step, pointwise
from reloop2_keras.core.rows import check_finite, check_labels

ROWS_OF_FORGETTING = 1000.0  # `forget` is given for so many rows
SETTLED = 0.01  # nats a block: a step that gains less is the last one


class LogisticGate(ArrayState):
    """logit(y_pred) = x @ coefficients, learnt block by block; constant space.

    A block makes up to `iterations` Newton steps from what all blocks before have taught: their
    accumulated Hessian is the prior's precision, around the coefficients before the block
    (docs/method.md, section 4b). A step that would raise the penalized loss is halved. With
    `forget` < 1 it trusts what it was taught less with every row, back to how it began: so it can
    follow weights that change for ever.

    Args:
        start: float (D,), coefficients before anything is learnt.
        precision: float > 0 or floats (D,), how strongly they are believed.
        iterations: int >= 1, Newton steps a block at most.
        forget: float in (0, 1], the share of the precision beyond the first one that 1,000 rows
            leave.
        once: bool, whether a block's Hessian is made once, where it begins, and not for each step:
            at 45 columns that is most of the cost, and the rest of the way is short.

    Attributes:
        coefficients: float64 (D,).
        precision: float64 (D, D).

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> gate = LogisticGate(start=[0.0], precision=1.0)
        >>> gate.update(np.ones((100, 1)), np.repeat([1, 0], [75, 25]))
        >>> float(gate.coefficients[0].round(3))  # near log(3): three of four were clicks
        1.044
    """

    ARRAYS = ("coefficients", "precision")

    def __init__(
        self,
        start: Sequence[float],
        precision: float | Sequence[float] = 1.0,
        iterations: int = 3,
        forget: float = 1.0,
        once: bool = False,
    ) -> None:
        super().__init__()
        self._start = np.array(start, "float64")
        if self._start.ndim != 1 or not len(self._start) or not np.isfinite(self._start).all():
            raise ValueError(f"`start` must be finite numbers, one a column. Received: {start}")
        first = np.asarray(precision, "float64")
        if first.shape not in ((), self._start.shape) or not ((first > 0) & (first < 1e300)).all():
            raise ValueError(
                "`precision` must be a number > 0, or one for each of `start`. "
                f"Received: {precision}"
            )
        self.iterations = integer("iterations", iterations, 1)
        self.forget, self.once = number("forget", forget, "(0, 1]"), bool(once)
        self._first = np.broadcast_to(first, self._start.shape).copy()
        self.reset()

    def reset(self) -> None:
        """Go back to the start."""
        with self.lock:
            self.coefficients, self.precision = self._start.copy(), np.diag(self._first)
            self.version += 1

    def renew(self, number: int) -> None:
        """Forget one coefficient, and how it goes with the others: another input comes."""
        with self.lock:
            self.coefficients[number] = self._start[number]
            self.precision[number, :] = self.precision[:, number] = 0.0
            self.precision[number, number] = self._first[number]
            self.version += 1

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`; what float32 files rounded off the precision is mended."""
        with self.lock:
            super().load_state(arrays)
            least = self._first.min()
            values, vectors = np.linalg.eigh((self.precision + self.precision.T) / 2.0)
            if values.min() < least * (1.0 - 1e-9):  # else its last bits stay as they are
                self.precision[...] = (vectors * np.maximum(values, least)) @ vectors.T

    def __call__(self, design: np.ndarray) -> np.ndarray:
        """Return logits, float64 (rows,), of a design matrix (rows, D).

        Raises:
            ValueError: if the width differs or a value is not finite.
        """
        design = self._checked(design)
        with self.lock:
            return logits(design, self.coefficients)

    def update(self, design: np.ndarray, labels: np.ndarray) -> None:
        """Learn a block of rows.

        Args:
            design: float (rows, D), as it was when the rows were predicted.
            labels: (rows,) of 0 and 1.

        Raises:
            ValueError: if something does not fit. Nothing is changed then.
        """
        design = self._checked(design)
        labels = check_labels(labels, len(design))
        with self.lock:
            self.store(self.solved(design, labels))

    def solved(self, design: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what `update` would make of coefficients and precision; changes nothing.

        Args:
            design: float64 (rows, D), finite.
            labels: float64 (rows,).
        """
        start = there = self.coefficients
        left = self.forget ** (len(labels) / ROWS_OF_FORGETTING)
        precision = left * self.precision + (1.0 - left) * np.diag(self._first)
        curvature = None
        for _ in range(self.iterations):
            kept = curvature if self.once else None
            there, curvature, gain = newton_step(
                design, labels, there, start, precision, fast=True, curvature=kept
            )
            if gain < SETTLED:
                return there, precision + curvature
        if not self.once:
            _, _, variance = pointwise(logits(design, there), labels, fast=True)
            curvature = hessian(design, variance)
        return there, precision + curvature

    def store(self, solution: tuple[np.ndarray, np.ndarray]) -> None:
        """Take what `solved` returned."""
        with self.lock:
            self.coefficients, self.precision = solution
            self.version += 1

    def retract(self, design: np.ndarray, labels: np.ndarray) -> None:
        """Take back rows that were learnt with these labels, to first order; see `without`."""
        with self.lock:
            now, least = self.coefficients, float(self._first.min())
            self.store(without(now, self.precision, design, labels, now, least))

    def _checked(self, design: np.ndarray) -> np.ndarray:
        design = np.asarray(design, "float64")
        if design.ndim != 2 or design.shape[1] != len(self._start):
            raise ValueError(
                f"`design` must have shape (rows, {len(self._start)}). Received: {design.shape}"
            )
        return check_finite("design", design)

    def get_config(self) -> dict:
        """Return the arguments by name."""
        return {
            "start": self._start.tolist(),
            "precision": self._first.tolist(),
            "iterations": self.iterations,
            "forget": self.forget,
            "once": self.once,
        }

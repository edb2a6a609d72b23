"""Centering and whitening of vector keys, fitted once to keys of the training data."""

from collections.abc import Iterable, Mapping

import numpy as np

from reloop2_keras.core.arguments import number
from reloop2_keras.core.array_state import ArrayState

MODES = ("none", "center", "whiten")


class Normalization(ArrayState):
    """Subtract the mean key of the training data, and optionally whiten (ours).

    Keys after a ReLU live in one orthant, so most signed projections see the same sign and SimHash
    collides too much; centering mends that (docs/method.md, section 2). Whitening gives every
    principal direction the same variance.

    Args:
        mode: "none", "center" or "whiten".
        ridge: float, share of the mean variance added to each variance before whitening, so that
            directions without variance are not blown up.

    Attributes:
        mean: float32 (dim,), or None with "none" or before `build`.
        rotation: float32 (dim, dim), or None unless "whiten".
        fitted: bool, whether `fit` was called; until then nothing is changed.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> normalization = Normalization("center")
        >>> normalization.fit(np.array([[1.0, 3.0], [3.0, 5.0]]))
        2
        >>> normalization(np.float32([[2.0, 5.0]])).tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, mode: str = "center", ridge: float = 0.1) -> None:
        if mode not in MODES:
            raise ValueError(f'`mode` must be "none", "center" or "whiten". Received: {mode!r}')
        super().__init__()
        self.mode, self.ridge = mode, number("ridge", ridge, "[0, inf)")
        self.mean: np.ndarray | None = None
        self.rotation: np.ndarray | None = None
        self.fitted = mode == "none"

    def build(self, dim: int) -> None:
        """Allocate for keys of width `dim`: changes nothing yet."""
        if self.mode != "none":
            self.mean = np.zeros(dim, "float32")
        if self.mode == "whiten":
            self.rotation = np.eye(dim, dtype="float32")
        self.version += 1

    def fit(self, keys: np.ndarray | Iterable[np.ndarray]) -> int:
        """Fit to keys: an array (rows, dim), or an iterable of such arrays.

        Returns:
            int, dim.

        Raises:
            ValueError: if there are no rows, or a key is not finite.
        """
        count, total, outer = 0, np.zeros(0), np.zeros(0)
        for chunk in [keys] if hasattr(keys, "shape") else keys:
            chunk = np.asarray(chunk, "float64")
            if chunk.ndim != 2 or not np.isfinite(chunk).all():
                raise ValueError(
                    "`keys` must be finite, of shape (rows, dim). "
                    f"Received: shape {chunk.shape}{', NaN or infinity' if chunk.ndim == 2 else ''}"
                )
            total = total + chunk.sum(axis=0) if count else chunk.sum(axis=0)
            if self.mode == "whiten":
                outer = outer + chunk.T @ chunk if count else chunk.T @ chunk
            count += len(chunk)
        if count == 0:
            raise ValueError("`keys` must hold at least one row. Received: none")
        mean, rotation = total / count, None
        if self.mode == "whiten":
            variance, vectors = np.linalg.eigh(outer / count - np.outer(mean, mean))
            variance = np.maximum(variance, 0.0) + self.ridge * max(variance.mean(), 1e-12)
            rotation = (vectors / np.sqrt(variance)).astype("float32")
        with self.lock:
            if self.mode != "none":
                self.mean, self.rotation = mean.astype("float32"), rotation
            self.fitted = True
            self.version += 1
        return len(mean)

    @property
    def dim(self) -> int | None:
        """Width of the keys; None before `build` or `fit`, or with "none"."""
        return None if self.mean is None else len(self.mean)

    def __call__(self, keys: np.ndarray) -> np.ndarray:
        """Return normalized keys, float32 (rows, dim)."""
        keys = np.asarray(keys, "float32")
        if self.mean is not None:
            keys = keys - self.mean
        return keys if self.rotation is None else keys @ self.rotation

    def state(self) -> dict[str, np.ndarray]:
        """Return copies of the arrays that a file keeps."""
        with self.lock:
            arrays = {"mean": self.mean, "rotation": self.rotation}
            return {name: np.array(a) for name, a in arrays.items() if a is not None}

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take arrays that `state` returned; identity arrays mean that it was never fitted."""
        new = {}
        for name, mine in self.state().items():
            new[name] = np.asarray(arrays.get(name), "float32")
            if new[name].shape != mine.shape or not np.isfinite(new[name]).all():
                raise ValueError(
                    f"{name}: expected finite numbers of shape {mine.shape}, "
                    f"found shape {new[name].shape}"
                )
        changes = any((new[name] != mine).any() for name, mine in self._identity().items())
        with self.lock:
            for name, array in new.items():
                setattr(self, name, array.copy())
            self.fitted = self.mode == "none" or changes
            self.version += 1

    def _identity(self) -> dict[str, np.ndarray]:
        plain = Normalization(self.mode)
        plain.build(self.dim or 0)
        return plain.state()

    def take(self, other: "Normalization") -> None:
        """Become what another one of the same mode is."""
        with self.lock:
            self.mean, self.rotation, self.fitted = other.mean, other.rotation, other.fitted
            self.version += 1

    def same_as(self, other: "Normalization") -> bool:
        """Whether keys are normalized alike, to rounding."""
        mine, theirs = self.state(), other.state()
        return mine.keys() == theirs.keys() and all(
            np.allclose(mine[name], theirs[name], atol=1e-6) for name in mine
        )

"""Centring and whitening of memory keys."""

import numpy as np
from mindspore import nn, ops

from mindspore_port.layers.state import assign, state, to_numpy


class KeyNormalization(nn.Cell):
    """Subtract the mean key of the training data, and optionally whiten.

    Keys after a ReLU live in one orthant, so most signed projections see the same sign and
    SimHash collides too much; centring mends that (ours; method.md, section 2). Whitening
    gives every principal direction the same variance (ours).

    Args:
        mode: "none", "center" or "whiten".
        ridge: float. Share of the mean variance added to each variance before whitening, so that
            directions without variance are not blown up.

    Call arguments:
        keys: float (batch, dim).

    Returns:
        float32 (batch, dim). The input as it is until `adapt` was called.

    Raises:
        ValueError: if `mode` is unknown.

    Example:
        >>> normalize = KeyNormalization("center")
        >>> normalize.adapt(np.array([[1.0, 3.0], [3.0, 5.0]]))
        2
        >>> normalize(Tensor([[2.0, 4.0]]))
        [[0.0, 0.0]]
    """

    def __init__(self, mode="center", ridge=0.1):
        super().__init__()
        if mode not in ("none", "center", "whiten"):
            raise ValueError(f'`mode` must be "none", "center" or "whiten". Received: {mode!r}')
        self.mode = mode
        self.ridge = ridge
        self.built = False

    def build(self, dim):
        """Allocate mean and rotation for keys of width `dim`; until `adapt`, the identity."""
        if self.mode != "none":
            self.mean = state("mean", (dim,))
        if self.mode == "whiten":
            self.rotation = state("rotation", (dim, dim))
            assign(self.rotation, np.eye(dim))
        self.built = True

    def adapt(self, keys):
        """Fit mean (and rotation) to keys, an array (rows, dim) or an iterable of such arrays.

        Returns:
            int, dim.

        Raises:
            ValueError: if there are no rows.
        """
        chunks = [keys] if hasattr(keys, "shape") else keys
        count, total, outer = 0, 0.0, 0.0
        for chunk in chunks:
            chunk = to_numpy(chunk, "float64")
            count += len(chunk)
            total = total + chunk.sum(axis=0)
            if self.mode == "whiten":
                outer = outer + chunk.T @ chunk
        if count == 0:
            raise ValueError("`keys` must hold at least one row. Received: none")
        if not self.built:
            self.build(len(total))
        mean = total / count
        if self.mode != "none":
            assign(self.mean, mean)
        if self.mode == "whiten":
            variance, vectors = np.linalg.eigh(outer / count - np.outer(mean, mean))
            variance = np.maximum(variance, 0.0) + self.ridge * max(variance.mean(), 1e-12)
            assign(self.rotation, vectors / np.sqrt(variance))
        return len(mean)

    def construct(self, keys):
        if self.mode == "none":
            return keys
        keys = keys - self.mean
        if self.mode == "whiten":
            keys = ops.matmul(keys, self.rotation)
        return keys

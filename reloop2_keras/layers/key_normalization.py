"""Centring and whitening of memory keys."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="reloop2")
class KeyNormalization(keras.layers.Layer):
    """Subtract the mean key of the training data, and optionally whiten.

    Keys after a ReLU live in one orthant, so most signed projections see the same sign and
    SimHash collides too much; centring mends that (ours; method.md, section 2). Whitening
    gives every principal direction the same variance (ours).

    Args:
        mode: "none", "center" or "whiten".
        ridge: float. Share of the mean variance added to each variance before whitening, so that
            directions without variance are not blown up.
        **kwargs: passed to `keras.layers.Layer`. The dtype is float32 unless you ask otherwise.

    Call arguments:
        keys: float (batch, dim).

    Returns:
        float32 (batch, dim). The input as it is until `adapt` was called.
    """

    def __init__(self, mode="center", ridge=0.1, **kwargs):
        kwargs.setdefault("dtype", "float32")
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        if mode not in ("none", "center", "whiten"):
            raise ValueError(f'`mode` must be "none", "center" or "whiten". Received: {mode!r}')
        self.mode = mode
        self.ridge = ridge

    def build(self, keys_shape):
        dim = keys_shape[-1]
        if self.mode != "none":
            self.mean = self.add_weight(
                name="mean", shape=(dim,), initializer="zeros", autocast=False
            )
        if self.mode == "whiten":
            self.rotation = self.add_weight(
                name="rotation", shape=(dim, dim), initializer="identity", autocast=False
            )

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
            chunk = np.asarray(ops.convert_to_numpy(chunk), "float64")
            count += len(chunk)
            total = total + chunk.sum(axis=0)
            if self.mode == "whiten":
                outer = outer + chunk.T @ chunk
        if count == 0:
            raise ValueError("`keys` must hold at least one row. Received: none")
        if not self.built:
            self.build((None, len(total)))
        mean = total / count
        if self.mode != "none":
            self.mean.assign(mean)
        if self.mode == "whiten":
            variance, vectors = np.linalg.eigh(outer / count - np.outer(mean, mean))
            variance = np.maximum(variance, 0.0) + self.ridge * max(variance.mean(), 1e-12)
            self.rotation.assign(vectors / np.sqrt(variance))
        return len(mean)

    def call(self, keys):
        keys = ops.cast(keys, "float32")
        if self.mode == "none":
            return keys
        keys = keys - self.mean
        return ops.matmul(keys, self.rotation) if self.mode == "whiten" else keys

    def compute_output_shape(self, keys_shape):
        return keys_shape

    def get_config(self):
        return {**super().get_config(), "mode": self.mode, "ridge": self.ridge}

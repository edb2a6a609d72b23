"""Centering and whitening of memory keys, as a layer over `core.Normalization`."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from reloop2_keras.backend import Shape, Tensor, full_product
from reloop2_keras.core.normalization import Normalization
from reloop2_keras.core.shown import shows
from reloop2_keras.layers.shown_state import ShownState


@shows("mode", "ridge")
@keras.saving.register_keras_serializable(package="reloop2")
class KeyNormalization(ShownState):
    """Subtract the mean key of the training data, and optionally whiten.

    Keys after a ReLU live in one orthant, so most signed projections see the same sign and
    SimHash collides too much; centering mends that (ours; docs/method.md, section 2). Whitening
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

    def __init__(self, mode: str = "center", ridge: float = 0.1, **kwargs: Any) -> None:
        super().__init__(Normalization(mode, ridge), **kwargs)

    def build(self, keys_shape: Shape) -> None:
        if self.core.dim is None:
            self.core.build(keys_shape[-1])
        self.SHOWN = self.LEGACY = tuple(self.core.state())
        self._show()

    def adapt(self, keys: Tensor | Iterable[Tensor]) -> int:
        """Fit mean (and rotation) to keys, an array (rows, dim) or an iterable of such arrays.

        Returns:
            int, dim.

        Raises:
            ValueError: if there are no rows, or a key is not finite.
        """
        chunks = [keys] if hasattr(keys, "shape") else keys
        dim = self.core.fit(ops.convert_to_numpy(chunk) for chunk in chunks)
        if not self.built:
            self.build((None, dim))
        self._changed()
        return dim

    def call(self, keys: Tensor) -> Tensor:
        keys = ops.cast(keys, "float32")
        if "mean" in self.SHOWN:
            keys = keys - self.shown_mean
        return full_product(keys, self.shown_rotation) if "rotation" in self.SHOWN else keys

    def compute_output_shape(self, keys_shape: Shape) -> Shape:
        return keys_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode, "ridge": self.ridge}

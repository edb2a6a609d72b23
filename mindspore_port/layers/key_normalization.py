"""Centering and whitening of memory keys, as a cell over `core.normalization.Normalization`."""

from collections.abc import Iterable
from typing import Any

from mindspore import Tensor, ops

from mindspore_port.layers.shown_state import ShownState
from mindspore_port.tensors import EXECUTOR, TensorLike, to_numpy
from reloop2_keras.core.normalization import Normalization
from reloop2_keras.core.shown import shows


@shows("mode", "ridge", "mean", "rotation")
class KeyNormalization(ShownState):
    """Subtract the mean key of the training data, and optionally whiten.

    What for, and the formulas: see `core.normalization.Normalization`.

    Args:
        mode: "none", "center" or "whiten".
        ridge: float, see there.

    Call arguments:
        keys: float32 Tensor (batch, dim).

    Returns:
        float32 (batch, dim). The input as it is until `adapt` was called.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> normalize = KeyNormalization("center")
        >>> normalize.adapt(np.array([[1.0, 3.0], [3.0, 5.0]]))
        2
        >>> normalize(Tensor([[2.0, 4.0]]))
        [[0.0, 0.0]]
    """

    core: Normalization

    def __init__(self, mode: str = "center", ridge: float = 0.1) -> None:
        super().__init__(Normalization(mode, ridge))
        self.SHOWN = {"none": (), "center": ("mean",), "whiten": ("mean", "rotation")}[mode]

    @property
    def built(self) -> bool:
        """bool: whether the core object has its arrays."""
        return self.mode == "none" or self.mean is not None

    def build(self, dim: int) -> None:
        """Allocate mean and rotation for keys of width `dim`; until `adapt`, the identity."""
        if not self.built:
            self.core.build(dim)
        self.sync()

    def adapt(self, keys: TensorLike | Iterable[TensorLike]) -> int:
        """Fit mean (and rotation) to keys, an array (rows, dim) or an iterable of such arrays.

        Returns:
            int, dim.

        Raises:
            ValueError: if there are no rows, or a key is not finite.
        """
        chunks = [keys] if hasattr(keys, "shape") else keys
        with EXECUTOR:  # an iterable may run a model
            dim = self.core.fit(to_numpy(chunk) for chunk in chunks)
            self.sync()
        return dim

    def construct(self, keys: Tensor) -> Tensor:
        if self.mode == "none":
            return keys
        keys = keys - self.shown_mean
        if self.mode == "whiten":
            keys = ops.matmul(keys, self.shown_rotation)
        return keys

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {"mode": self.mode, "ridge": self.ridge}

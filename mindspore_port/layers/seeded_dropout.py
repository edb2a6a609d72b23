"""Dropout that a seed and a step number decide, the same on every device and after a resume."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from reloop2_keras.core.arguments import number


class SeededDropout(nn.Cell):
    """Zero each activation with probability `rate` and scale the others; in training only.

    `nn.Dropout` draws from a state that neither `set_seed` nor a checkpoint restores. Here the
    mask is a hash of (seed, step, place), so that a resumed run repeats it.

    Args:
        rate: float in [0, 1).
        seed: int.

    Call arguments:
        x: float (batch, units).
        step: int32 scalar Tensor, another one for each training step.

    Returns:
        As `x`.

    Raises:
        ValueError: if `rate` is out of range.

    Example:
        >>> layer = SeededDropout(0.5).set_train()
        >>> layer(ops.ones((2, 4)), Tensor(0, ms.int32)).shape
        (2, 4)
    """

    def __init__(self, rate: float, seed: int = 0) -> None:
        super().__init__()
        self.rate = number("rate", rate, "[0, 1)")
        self.salt = Tensor(np.array(seed % 65_521 * 32_749, "int32"))
        self.threshold = int(self.rate * 2**24)
        self.set_train(False)  # a new cell says "train" and would keep that graph

    def construct(self, x: Tensor, step: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        place = ops.arange(x.shape[0] * x.shape[1]).astype(ms.int32)
        bits = _mix(place ^ _mix(step + self.salt))
        kept = (ops.bitwise_and(bits, 0xFFFFFF) >= self.threshold).reshape(x.shape)
        return x * kept.astype(x.dtype) / (1.0 - self.rate)


def _mix(x: Tensor) -> Tensor:
    """Spread the bits of int32 numbers (products wrap)."""
    x = (x ^ ops.bitwise_right_shift(x, 15)) * 0x2C1B3C6D
    x = (x ^ ops.bitwise_right_shift(x, 12)) * 0x297A2D39
    return x ^ ops.bitwise_right_shift(x, 15)

"""Dropout whose masks a seed and a step number decide, the same on every backend."""

import math
from typing import Any

import keras
from keras import ops

from reloop2_keras.backend import Shape, Tensor
from reloop2_keras.core.arguments import number

_STATE = "seed_and_step"  # of a layer's entry in a file


@keras.saving.register_keras_serializable(package="reloop2")
class SeededDropout(keras.layers.Layer):
    """Zero each activation with probability `rate` and scale the others; in training only.

    The mask is a hash of (seed, step, place), as in `mindspore_port.layers.SeededDropout`, and the
    step counts the layer's calls in training. Files of weights and models hold both numbers, which
    those of `keras.layers.Dropout` do not: a resumed run has the masks of one never stopped.

    Args:
        rate: float in [0, 1).
        seed: int, or None: drawn from Python's random numbers, see `keras.utils.set_random_seed`.
        **kwargs: passed to `keras.layers.Layer` (`name`, `dtype`).

    Call arguments:
        inputs: float, of any shape, (batch, units) say.
        training: bool.

    Returns:
        As `inputs`.

    Raises:
        ValueError: if `rate` is out of range.

    Example:
        >>> SeededDropout(0.5, seed=1)(np.ones((2, 4), "float32"), training=True).shape
        (2, 4)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = number("rate", rate, "[0, 1)")
        self.seed = seed
        # Keras' own place for such a state: no weight, so that files of weights stay as they were
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        seed_and_step = ops.cast(self.seed_generator.next(), "int32")
        salt = ops.mod(seed_and_step[0], 65_521) * 32_749
        shape = ops.shape(inputs)
        place = ops.arange(math.prod(shape), dtype="int32")
        bits = _mix(ops.bitwise_xor(place, _mix(seed_and_step[1] + salt)))
        kept = ops.bitwise_and(bits, 0xFFFFFF) >= int(self.rate * 2**24)
        kept = ops.cast(ops.reshape(kept, shape), inputs.dtype)
        return inputs * kept / (1.0 - self.rate)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def save_own_variables(self, store: Any) -> None:
        """Write seed and step, which `keras.layers.Dropout` leaves out."""
        store[_STATE] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: Any) -> None:
        """Take up seed and step; files of earlier versions hold none."""
        if _STATE in store.keys():
            self.seed_generator.state.assign(store[_STATE][()])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def _mix(x: Tensor) -> Tensor:
    """Spread the bits of int32 numbers (products wrap)."""
    x = ops.bitwise_xor(x, ops.bitwise_right_shift(x, 15)) * 0x2C1B3C6D
    x = ops.bitwise_xor(x, ops.bitwise_right_shift(x, 12)) * 0x297A2D39
    return ops.bitwise_xor(x, ops.bitwise_right_shift(x, 15))

"""Matrix products that a memory's reading may not round away."""

import keras
from keras import ops

from reloop2_keras.backend.tensors import Tensor

_BACKEND = keras.backend.backend()

if _BACKEND == "jax":
    import jax

    def full_product(x: Tensor, y: Tensor) -> Tensor:
        """Return x @ y in float32, whatever the device does to be faster.

        JAX on a GPU multiplies with the ten bits of TF32. A reading that the host wrote in float32
        then differs by 6e-4 (measured on an H100), and a key near a plane falls into another
        bucket. PyTorch takes all bits unless it is told otherwise. TensorFlow on a GPU does not:
        call `tf.config.experimental.enable_tensor_float_32_execution(False)` there.

        Args:
            x: float32 (..., n, m).
            y: float32 (m, k) or (m,).

        Example:
            >>> full_product(ops.ones((2, 3)), ops.ones((3, 1))).shape
            (2, 1)
        """
        with jax.default_matmul_precision("highest"):
            return ops.matmul(x, y)

else:

    def full_product(x: Tensor, y: Tensor) -> Tensor:
        """Return x @ y in float32; see the form for JAX, the only one that needs to ask for it."""
        return ops.matmul(x, y)

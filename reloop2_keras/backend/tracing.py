"""Whether Python runs for real now, or records a graph that others will run."""

import keras
import numpy as np

# Keras has no public word for it
from keras.src.backend.common.stateless_scope import in_stateless_scope

from reloop2_keras.backend.tensors import Tensor

_BACKEND = keras.backend.backend()


def has_values(x: Tensor) -> bool:
    """Whether x holds numbers that can be looked at: neither a placeholder nor a Keras tensor."""
    if isinstance(x, np.ndarray | list | tuple):
        return True
    return keras.ops.is_tensor(x) and not is_traced(x)


if _BACKEND == "tensorflow":
    import tensorflow as tf

    def is_tracing() -> bool:
        """Whether values that are assigned now would become part of a graph."""
        return in_stateless_scope() or not tf.executing_eagerly()

    def is_traced(x: Tensor) -> bool:
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return not tf.executing_eagerly() or not hasattr(x, "numpy")

elif _BACKEND == "torch":
    import torch

    def is_tracing() -> bool:
        """Whether values that are assigned now would become part of a graph."""
        return in_stateless_scope() or torch.compiler.is_compiling()

    def is_traced(x: Tensor) -> bool:
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return x.device.type == "meta" or torch.compiler.is_compiling()

elif _BACKEND == "jax":
    import jax

    _ZERO = np.zeros((), "float32")

    def is_tracing() -> bool:
        """Whether values that are assigned now would become part of a graph."""
        # under somebody's own jit a constant is a tracer, and must not end up in a variable
        return in_stateless_scope() or isinstance(jax.numpy.asarray(_ZERO), jax.core.Tracer)

    def is_traced(x: Tensor) -> bool:
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return isinstance(x, jax.core.Tracer)

else:  # a backend keras may add later still works, only slower

    def is_tracing() -> bool:
        """Whether values that are assigned now would become part of a graph."""
        return in_stateless_scope()

    def is_traced(x: Tensor) -> bool:
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return True

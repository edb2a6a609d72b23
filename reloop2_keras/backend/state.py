"""In-place state changes that keras.ops has no word for."""

import keras
import numpy as np

_BACKEND = keras.backend.backend()

if _BACKEND == "tensorflow":
    import tensorflow as tf

    # XLA writes into the variable's own buffer, and ten times as fast as TensorFlow's kernel
    @tf.function(jit_compile=True)
    def _xla_add(table, indices, updates):
        table.scatter_nd_add(tf.expand_dims(indices, -1), updates)

    def _scatter_add(variable, indices, updates):
        _xla_add(variable.value, *_padded(indices, updates))

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return not tf.executing_eagerly() or not hasattr(x, "numpy")

elif _BACKEND == "torch":
    import torch

    def _scatter_add(variable, indices, updates):
        with torch.no_grad():
            table, indices = variable.value, indices.to(torch.int64)
            if table.device.type == "cpu" and table.shape[1] <= 4:
                # scalar by scalar: index_add_ pays for each row what a row of 20 would cost
                width = table.shape[1]
                indices = indices[:, None] * width + torch.arange(width)
                table.view(-1).scatter_add_(0, indices.view(-1), updates.reshape(-1))
            else:
                table.index_add_(0, indices, updates)

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return x.device.type == "meta" or torch.compiler.is_compiling()

elif _BACKEND == "jax":
    import jax

    # The old table is donated: XLA may write into it instead of copying.
    _jax_add = jax.jit(lambda t, i, u: t.at[i].add(u, mode="drop"), donate_argnums=0)

    def _scatter_add(variable, indices, updates):
        variable.assign(_jax_add(variable.value, *_padded(indices, updates)))

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return isinstance(x, jax.core.Tracer)

else:  # a backend keras may add later still works, only slower

    def _scatter_add(variable, indices, updates):
        variable.assign(
            keras.ops.scatter_update(variable, indices[:, None], updates, reduction="add")
        )

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return True


def _padded(indices, updates):
    """Fill up with zeros added to row 0, to a length that few others share: a shape compiles once.

    Lengths are multiples of an eighth of the next power of two, so that at most a seventh is lost.
    """
    rows = indices.shape[0]
    step = max(128, 1 << max(0, (rows - 1).bit_length() - 3))
    spare = -rows % step
    if spare:
        indices = np.pad(keras.ops.convert_to_numpy(indices), (0, spare))
        updates = np.pad(keras.ops.convert_to_numpy(updates), ((0, spare), (0, 0)))
        indices = keras.ops.convert_to_tensor(indices, "int32")
        updates = keras.ops.convert_to_tensor(updates)
    return indices, updates


def scatter_add(variable, indices, updates):
    """Add rows to a table in place: `variable[indices[i]] += updates[i]`.

    Repeated indices add up. Call it outside a traced step (`observe`, not `call`): under JAX the
    variable gets a new value, and the buffer of the old one may be reused.

    Args:
        variable: `keras.Variable`, float32 (rows, width).
        indices: int32 (n,), each in [0, rows).
        updates: float32 (n, width).
    """
    _scatter_add(
        variable,
        keras.ops.convert_to_tensor(indices, "int32"),
        keras.ops.convert_to_tensor(updates, variable.dtype),
    )


def concrete(x):
    """Return a scalar tensor as a Python int, or None while a graph is being traced."""
    value = getattr(x, "value", x)
    if keras.tree.is_nested(value) or isinstance(value, keras.KerasTensor) or is_traced(value):
        return None
    return int(keras.ops.convert_to_numpy(value))

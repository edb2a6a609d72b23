"""In-place state changes that keras.ops has no word for."""

import keras

_BACKEND = keras.backend.backend()

if _BACKEND == "tensorflow":
    import tensorflow as tf

    def _scatter_add(variable, indices, updates):
        # tf.Variable adds in place; a keras assign would copy the whole table.
        variable.value.scatter_nd_add(tf.expand_dims(indices, -1), updates)

    def _is_traced(x):
        return not tf.executing_eagerly() or not hasattr(x, "numpy")

elif _BACKEND == "torch":
    import torch

    def _scatter_add(variable, indices, updates):
        with torch.no_grad():
            variable.value.index_add_(0, indices.to(torch.int64), updates)

    def _is_traced(x):
        return x.device.type == "meta"

elif _BACKEND == "jax":
    import jax

    # The old table is donated: XLA may write into it instead of copying.
    _jax_add = jax.jit(lambda t, i, u: t.at[i].add(u, mode="drop"), donate_argnums=0)

    def _scatter_add(variable, indices, updates):
        variable.assign(_jax_add(variable.value, indices, updates))

    def _is_traced(x):
        return isinstance(x, jax.core.Tracer)

else:  # a backend keras may add later still works, only slower

    def _scatter_add(variable, indices, updates):
        variable.assign(
            keras.ops.scatter_update(variable, indices[:, None], updates, reduction="add")
        )

    def _is_traced(x):
        return True


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
    if keras.tree.is_nested(value) or isinstance(value, keras.KerasTensor) or _is_traced(value):
        return None
    return int(keras.ops.convert_to_numpy(value))

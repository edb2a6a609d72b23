"""In-place state changes that keras.ops has no word for."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

_BACKEND = keras.backend.backend()

if _BACKEND == "tensorflow":
    import tensorflow as tf

    # XLA writes into the variable's own buffer, and ten times as fast as TensorFlow's kernel
    @tf.function(jit_compile=True)
    def _xla_add(table, indices, updates):
        shape = (*indices.shape, updates.shape[-1])
        updates = tf.broadcast_to(updates[:, None] if len(updates.shape) == 2 else updates, shape)
        # column by column, so that what is written to in a row lies close together
        updates = tf.reshape(tf.transpose(updates, (1, 0, 2)), (-1, shape[-1]))
        table.scatter_nd_add(tf.reshape(tf.transpose(indices), (-1, 1)), updates)

    def _scatter_add(variable, indices, updates):
        _xla_add(variable.value, *_padded(indices, updates))

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return not tf.executing_eagerly() or not hasattr(x, "numpy")

elif _BACKEND == "torch":
    import torch

    _MANY = 1 << 18  # entries from which on threads pay

    def _scatter_add(variable, indices, updates):
        table = variable.value
        # the same memory where both are NumPy's or the table's already
        indices = torch.as_tensor(indices, device=table.device)
        updates = torch.as_tensor(updates, device=table.device, dtype=table.dtype)
        columns = indices.shape[1]
        threads = min(torch.get_num_threads(), columns)
        if table.device.type != "cpu" or indices.numel() < _MANY or threads < 2:
            _add_columns(table, indices, updates)
            return
        # no two columns share a row, and scatter_add_ works on one core: a thread a range of them
        edges = np.linspace(0, columns, threads + 1).astype(int)
        with ThreadPoolExecutor(threads) as pool:
            jobs = [
                pool.submit(
                    _add_columns,
                    table,
                    indices[:, start:stop],
                    updates[:, start:stop] if updates.ndim == 3 else updates,
                )
                for start, stop in zip(edges[:-1], edges[1:], strict=True)
            ]
        for job in jobs:
            job.result()

    @torch.no_grad()
    def _add_columns(table, indices, updates):
        # column by column, so that what is written to in a row lies close together
        shape, width = (indices.shape[1], len(indices)), table.shape[1]
        indices = indices.t().to(torch.int64).reshape(-1)
        if table.device.type != "cpu" or width > 4:
            updates = updates.transpose(0, 1) if updates.ndim == 3 else updates
            updates = updates.expand(*shape, width).reshape(-1, width)
            table.index_add_(0, indices, updates)
            return
        # number by number: index_add_ pays for each row what a row of 20 would cost
        table = table.view(-1, width)
        if width == 2:
            # a pair is one complex number, added in a fifth of the time
            table, updates = (
                torch.view_as_complex(table),
                torch.view_as_complex(updates.contiguous()),
            )
            parts = [(table, updates)]
        else:
            indices = indices.mul_(width)
            parts = [(table.view(-1)[i:], updates[..., i]) for i in range(width)]
        for part, numbers in parts:
            numbers = numbers.t() if numbers.ndim == 2 else numbers
            part.scatter_add_(0, indices, numbers.expand(shape).reshape(-1))

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return x.device.type == "meta" or torch.compiler.is_compiling()

elif _BACKEND == "jax":
    import jax
    import jax.numpy as jnp

    def _columns(table, indices, updates):
        shape = (*indices.shape, table.shape[1])
        updates = jnp.broadcast_to(updates[:, None] if updates.ndim == 2 else updates, shape)
        # column by column, so that what is written to in a row lies close together
        updates = updates.transpose(1, 0, 2).reshape(-1, table.shape[1])
        return table.at[indices.T.reshape(-1)].add(updates, mode="drop")

    # The old table is donated: XLA may write into it instead of copying.
    _jax_add = jax.jit(_columns, donate_argnums=0)

    def _scatter_add(variable, indices, updates):
        variable.assign(_jax_add(variable.value, *_padded(indices, updates)))

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return isinstance(x, jax.core.Tracer)

else:  # a backend keras may add later still works, only slower

    def _scatter_add(variable, indices, updates):
        updates = np.broadcast_to(
            updates[:, None] if updates.ndim == 2 else updates,
            (*indices.shape, updates.shape[-1]),
        )
        updates, indices = updates.reshape(-1, updates.shape[-1]), indices.reshape(-1, 1)
        variable.assign(keras.ops.scatter_update(variable, indices, updates, reduction="add"))

    def is_traced(x):
        """Whether x is a placeholder of a graph being traced, and not a value."""
        return True


def _padded(indices, updates):
    """Fill up with zeros added to row 0, to a length that few others share: a shape compiles once.

    Lengths are multiples of an eighth of the next power of two, so that at most a seventh is lost.
    """
    rows = indices.shape[0]
    step = max(16, 1 << max(0, (rows - 1).bit_length() - 3))
    spare = -rows % step
    if spare:
        indices = np.pad(indices, ((0, spare), (0, 0)))
        updates = np.pad(updates, ((0, spare), *((0, 0),) * (updates.ndim - 1)))
    return indices, updates


def scatter_add(variable, indices, updates):
    """Add rows to a table in place: `variable[indices[i, k]] += updates[i, k]`.

    Repeated indices in a column add up. Call it outside a traced step (`observe`, not `call`):
    under JAX the variable gets a new value, and the buffer of the old one may be reused.

    Args:
        variable: `keras.Variable`, float32 (rows, width).
        indices: int32 array (n, columns), each in [0, rows). Two columns hold different rows.
        updates: float32 array (n, columns, width), or (n, width) to add the same in each column.
    """
    indices = np.asarray(keras.ops.convert_to_numpy(indices), "int32")
    _scatter_add(variable, indices, np.asarray(keras.ops.convert_to_numpy(updates), "float32"))


def concrete(x):
    """Return a scalar tensor as a Python int, or None while a graph is being traced."""
    value = getattr(x, "value", x)
    if keras.tree.is_nested(value) or isinstance(value, keras.KerasTensor) or is_traced(value):
        return None
    return int(keras.ops.convert_to_numpy(value))

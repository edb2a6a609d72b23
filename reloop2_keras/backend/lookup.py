"""Table lookups, and how a row-sparse training step gets hold of them."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import keras
from keras import ops

from reloop2_keras.backend.tensors import Tensor

_BACKEND = keras.backend.backend()
_capture = threading.local()


def take_or_nan(take: Callable[[Tensor, Tensor], Tensor], table: Tensor, ids: Tensor) -> Tensor:
    """Return `take(table, ids)`, and NaN for an id out of range, which `take` is not asked for.

    Args:
        take: function of (table, ids).
        table: float tensor (rows, width).
        ids: integer tensor (...).
    """
    kept = ops.clip(ids, 0, table.shape[0] - 1)
    return ops.where(ops.expand_dims(kept == ids, -1), take(table, kept), float("nan"))


if _BACKEND == "torch":
    import torch

    def _take(table, ids):
        # what ops.take does, less three passes over the ids; negative ids raise
        if ids.device.type == "cpu":
            return torch.nn.functional.embedding(ids, table)
        # a GPU would raise later, somewhere else, and be of no use to the process from then on
        return take_or_nan(lambda rows, kept: torch.nn.functional.embedding(kept, rows), table, ids)

elif _BACKEND == "tensorflow":
    import tensorflow as tf

    def _take(table, ids):
        if tf.config.list_physical_devices("GPU"):  # whose kernel gives zeros, and no error
            return take_or_nan(tf.gather, table, ids)
        return tf.gather(table, ids)

else:

    def _take(table, ids):
        # JAX counts a negative id from the end, another row's answer; it gives NaN beyond the end
        ids = ops.where(ids < 0, table.shape[0], ids)
        return ops.take(table, ids, axis=0)


def take_rows(table: Tensor, ids: Tensor) -> Tensor:
    """Return `table[ids]`, both tensors.

    An id out of range raises; on JAX, and on a GPU of any backend, it gives NaN.
    """
    return _take(table, ids)


def gather_rows(variable: keras.Variable, ids: Tensor, scale: Tensor, dtype: str) -> Tensor:
    """Look up rows of a table and scale them: `variable[ids] * scale`, differentiable.

    Within `captured_lookups` the gradient goes to the looked-up rows and not to the table.

    Args:
        variable: `keras.Variable` (rows, width).
        ids: int32 (...), each in [0, rows); see `take_rows`.
        scale: float (...).
        dtype: str, of the result.

    Returns:
        (..., width), of `dtype`.
    """
    lookup = getattr(_capture, "lookup", None)
    if lookup is not None and not isinstance(ids, keras.KerasTensor):
        rows = lookup(variable, ids, scale)
        if rows is not None:
            return ops.cast(rows, dtype)
    if isinstance(ids, keras.KerasTensor):
        rows = ops.take(variable, ids, axis=0)
    else:
        rows = take_rows(variable.value, ids)
    return ops.cast(rows, dtype) * ops.expand_dims(ops.cast(scale, dtype), -1)


@contextlib.contextmanager
def captured_lookups(
    lookup: Callable[[keras.Variable, Tensor, Tensor], Tensor | None],
) -> Iterator[None]:
    """While open, `gather_rows` asks `lookup(variable, ids, scale)` first; None means: not mine."""
    before = getattr(_capture, "lookup", None)
    _capture.lookup = lookup
    try:
        yield
    finally:
        _capture.lookup = before

"""Table lookups, and how a row-sparse training step gets hold of them."""

import contextlib
import threading

import keras
from keras import ops

_BACKEND = keras.backend.backend()
_capture = threading.local()

if _BACKEND == "torch":
    import torch

    def _take(table, ids):
        # what ops.take does, less three passes over the ids; negative ids raise
        return torch.nn.functional.embedding(ids, table)

elif _BACKEND == "tensorflow":
    import tensorflow as tf

    def _take(table, ids):
        return tf.gather(table, ids)

else:

    def _take(table, ids):
        return ops.take(table, ids, axis=0)


def gather_rows(variable, ids):
    """Look up rows of a table: `variable[ids]`, differentiable.

    Within `captured_lookups` the gradient goes to the looked-up rows and not to the table.

    Args:
        variable: `keras.Variable` (rows, width).
        ids: int32 (...), each in [0, rows). An id out of range raises on TensorFlow and PyTorch
            but gives NaN on JAX.

    Returns:
        (..., width), of the variable's dtype.
    """
    if isinstance(ids, keras.KerasTensor):
        return ops.take(variable, ids, axis=0)
    lookup = getattr(_capture, "lookup", None)
    if lookup is not None:
        rows = lookup(variable, ids)
        if rows is not None:
            return rows
    return _take(variable.value, ids)


@contextlib.contextmanager
def captured_lookups(lookup):
    """While open, `gather_rows` asks `lookup(variable, ids)` first; None means: not mine."""
    before = getattr(_capture, "lookup", None)
    _capture.lookup = lookup
    try:
        yield
    finally:
        _capture.lookup = before

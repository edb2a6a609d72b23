"""Rows as lines of Vowpal Wabbit's text format, made a column at a time."""

import string
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# The largest float32 is VW's own mark of a row without a label: it is predicted, not learnt.
UNLABELED = "3.4028235e38"
_NAMES = string.ascii_letters + string.digits


def namespaces(count: int) -> list[str]:
    """Return a namespace for each field; the first 62 differ in their first character.

    VW tells namespaces apart by their first character where it crosses them.

    Example:
        >>> namespaces(3), namespaces(63)[-1]
        (['a', 'b', 'c'], 'a1')
    """
    pool = len(_NAMES)
    return [_NAMES[i % pool] + (str(i // pool) if i >= pool else "") for i in range(count)]


def lines(
    hashes: np.ndarray,
    values: np.ndarray,
    numeric: Sequence[int] = (),
    labels: np.ndarray | None = None,
    offsets: np.ndarray | None = None,
) -> bytes:
    r"""Return rows as text, a line each: label, weight and offset, then a namespace a field.

    Args:
        hashes: int32 (rows, fields), of raw values; digits, which VW takes as they are.
        values: float32 (rows, fields).
        numeric: columns that are one feature with a value; their hash is not written.
        labels: (rows,) of 0 and 1; None for rows to predict.
        offsets: float (rows,), logits of a base (VW's `initial`); None for none.

    Example:
        >>> lines(np.int32([[7, 0]]), np.float32([[1, 0.5]]), [1], [1], [0.25])
        b'1 1 0.25 |a 7 |b v:0.5\n'
        >>> lines(np.int32([[7]]), np.float32([[1]]))
        b' |a 7\n'
    """
    rows, fields = hashes.shape
    if labels is not None:
        parts = [pa.array(np.where(np.asarray(labels) == 1, "1", "-1").tolist(), pa.string())]
    else:
        parts = [pa.array([""] * rows if offsets is None else [UNLABELED] * rows, pa.string())]
    if offsets is not None:
        parts += [pa.scalar(" 1 "), _text(np.asarray(offsets, "float32"))]
    for column, name in enumerate(namespaces(fields)):
        if column in numeric:
            parts += [pa.scalar(f" |{name} v:"), _text(values[:, column])]
        else:
            parts += [pa.scalar(f" |{name} "), _text(hashes[:, column].astype("int32"))]
    joined = pc.binary_join_element_wise(*parts, pa.scalar("\n"), pa.scalar(""))
    # A text column's bytes lie one after the other: the file as it will be.
    return joined.buffers()[2].to_pybytes() if rows else b""


def _text(column):
    column = np.ascontiguousarray(column)
    if column.dtype.kind == "i":
        column = column.view("uint32")
    return pa.array(column).cast(pa.string())

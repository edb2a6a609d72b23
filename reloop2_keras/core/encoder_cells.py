"""What a raw value became, remembered: most values of a request were seen lately. Ours.

A cell is a value's id, float and hash, 12 bytes. What is remembered is what the encoder made of the
same value before, so that it is the same to the bit, whether a value is known here or not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

KEPT = 131_072  # values of all fields together; some 200 bytes each
CELL = 12
# Of one such value there is one text and one number. A Boolean equals 1, a NumPy number may equal
# one that has more digits: they are encoded each time.
PLAIN = frozenset({str, int, type(None)})
KNOWN = PLAIN | {float}


class Cells:
    """Cells of the raw values that came lately, for each field.

    Floats are apart: 1e16 equals the integer 10**16, and their texts differ. Where a field's values
    are too many, all of them are let go of at once. Used by several threads.

    Args:
        fields: int >= 1.

    Example:
        >>> cells = Cells(2)
        >>> values, found = ["a", 7], [None, None]
        >>> cells.keep([(0, "a"), (1, 7)], [b"a" * 12, b"b" * 12])
        >>> cells.of(["a", 7])
        [b'aaaaaaaaaaaa', b'bbbbbbbbbbbb']
        >>> cells.of(["b", True])
        [None, None]
    """

    def __init__(self, fields: int) -> None:
        self._limit = max(1, KEPT // fields)
        self._plain: list[dict[Any, bytes]] = [{} for _ in range(fields)]
        self._floats: list[dict[Any, bytes]] = [{} for _ in range(fields)]
        self._gets = [kept.get for kept in self._plain]
        self._both = [(a.get, b.get) for a, b in zip(self._plain, self._floats, strict=True)]

    def of(self, values: Sequence[Any]) -> list[bytes | None]:
        """Return the cells of a row's values, one a field; None for what is not known."""
        kinds = set(map(type, values))
        if kinds <= PLAIN:
            return [get(value) for get, value in zip(self._gets, values, strict=True)]
        return [
            get(value)
            if (kind := type(value)) in PLAIN
            # 0.0 and -0.0 are equal, and their cells differ
            else (get_float(value or repr(value)) if kind is float else None)
            for (get, get_float), value in zip(self._both, values, strict=True)
        ]

    def keep(self, values: Sequence[tuple[int, Any]], cells: Sequence[bytes]) -> None:
        """Remember the cells of (field, value)."""
        for (field, value), cell in zip(values, cells, strict=True):
            kind = type(value)
            if kind not in KNOWN or value != value:  # NaN equals nothing: it would not be found
                continue
            kept = (self._floats if kind is float else self._plain)[field]
            if len(kept) >= self._limit:
                kept.clear()
            kept[(value or repr(value)) if kind is float else value] = cell


def packed(ids: np.ndarray, values: np.ndarray | float, hashes: np.ndarray) -> list[bytes]:
    """Return cells of ids int32 (n,), values float32 (n,) or one for all, hashes int32 (n,)."""
    cells = np.empty((len(ids), 3), "int32")
    cells[:, 0], cells[:, 2] = ids, hashes
    cells.view("float32")[:, 1] = values
    whole = cells.tobytes()
    return [whole[at : at + CELL] for at in range(0, len(whole), CELL)]


def unpacked(
    cells: Sequence[Any], rows: int, fields: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids int32, values float32 and hashes int32, (rows, fields) each, of rows' cells.

    Example:
        >>> cells = packed(np.int32([3]), 0.5, np.int32([-7]))
        >>> [array.tolist() for array in unpacked(cells, 1, 1)]
        [[[3]], [[0.5]], [[-7]]]
    """
    parts = np.frombuffer(b"".join(cells), "int32").reshape(rows, fields, 3)
    ids, values, hashes = parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]
    return ids.copy(), values.copy().view("float32"), hashes.copy()

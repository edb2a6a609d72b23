"""Large arrays most of whose rows are one row, kept as the others: tables of hashed rows."""

import numpy as np

LEAST = 1 << 14  # entries; below that nothing is worth the trouble
WIDEST = 64  # columns of what is taken for rows; other arrays are looked at entry by entry
MOST = 0.4  # of the rows may differ: a place takes 4 or 8 bytes beside its row
SAMPLE = 64


def thinned(array: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return (the one row, places of the others, the others); None if there are too many.

    Bits are compared, so that -0.0 and every NaN come back as they were.

    Args:
        array: of numbers.

    Returns:
        None, or three arrays: (1, m) of the array's dtype, int32 or int64 (n,), that dtype (n, m),
        where m is the length of the last axis, or 1 if that is the only one or a long one.

    Example:
        >>> table = np.zeros(40_000); table[7] = 3
        >>> value, places, others = thinned(table)
        >>> value, places, others
        (array([[0.]]), array([7], dtype=int32), array([[3.]]))
        >>> bool((filled((40_000,), value, places, others) == table).all())
        True
    """
    if array.size < LEAST or array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        return None
    width = array.shape[-1] if array.ndim > 1 and array.shape[-1] <= WIDEST else 1
    rows = np.ascontiguousarray(array).reshape(-1, width)
    bits = rows.view(f"u{rows.dtype.itemsize}")
    sample = bits[:: max(len(bits) // SAMPLE, 1)]
    found, counts = np.unique(sample, axis=0, return_counts=True)
    if counts.max() < (1 - MOST) / 2 * len(sample):
        return None
    common = found[counts.argmax()]
    differs = bits[:, 0] != common[0]
    for column in range(1, width):
        differs |= bits[:, column] != common[column]
    if np.count_nonzero(differs) > MOST * len(bits):
        return None
    places = np.flatnonzero(differs)
    kind = "int32" if len(bits) < 2**31 else "int64"
    return common[None].view(rows.dtype), places.astype(kind), rows[places]


def filled(
    shape: tuple[int, ...], value: np.ndarray, places: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """Return the array that `thinned` was given.

    Args:
        shape: of the array.
        value, places, others: what `thinned` returned.
    """
    count = int(np.prod(shape, dtype="int64")) // value.shape[1]
    rows = np.repeat(value, count, axis=0)
    rows[places] = others
    return rows.reshape(shape)

"""Large arrays most of whose entries are one value, kept as the others: tables of hashed rows."""

import numpy as np

LEAST = 1 << 14  # entries; below that nothing is worth the trouble
MOST = 0.25  # of the entries may differ: a place takes 4 bytes beside its value
SAMPLE = 64


def thinned(array: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return (the one value, places of the others, the others); None if there are too many.

    Bits are compared, so that -0.0 and every NaN come back as they were.

    Args:
        array: of numbers.

    Returns:
        None, or three arrays: (1,) of the array's dtype, int32 or int64 (n,), that dtype (n,).

    Example:
        >>> table = np.zeros(40_000); table[7] = 3
        >>> value, places, others = thinned(table)
        >>> value, places, others
        (array([0.]), array([7], dtype=int32), array([3.]))
        >>> bool((filled((40_000,), value, places, others) == table).all())
        True
    """
    if array.size < LEAST or array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        return None
    flat = np.ascontiguousarray(array).reshape(-1)
    bits = flat.view(f"u{flat.dtype.itemsize}")
    found, counts = np.unique(bits[:: max(bits.size // SAMPLE, 1)], return_counts=True)
    if counts.max() < (1 - MOST) * counts.sum():
        return None
    common = found[counts.argmax()]
    differs = bits != common
    if np.count_nonzero(differs) > MOST * bits.size:
        return None
    places = np.flatnonzero(differs)
    value = np.array([common], bits.dtype).view(flat.dtype)
    return value, places.astype("int32" if bits.size < 2**31 else "int64"), flat[places]


def filled(
    shape: tuple[int, ...], value: np.ndarray, places: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """Return the array that `thinned` was given.

    Args:
        shape: of the array.
        value, places, others: what `thinned` returned.
    """
    flat = np.repeat(value, int(np.prod(shape, dtype="int64")))
    flat[places] = others
    return flat.reshape(shape)

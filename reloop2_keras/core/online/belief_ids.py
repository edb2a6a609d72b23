"""What one belief is called in a delta (ours)."""

import numpy as np


def ids_of(tables: np.ndarray, words: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return what beliefs are called in a delta: table * 2^32 + word, turned; int64 (n,).

    A word is turned so that the bits that say where it lives come first. Then what is ascending in
    ids is so in memory, too, and to merge and to take in goes through it in its order.

    Args:
        tables: integers (n,).
        words: int32 (n,).
        bits: integers (n,), of each one's table: it has 2^bits places.

    Example:
        >>> ids = ids_of(np.array([0, 1]), np.array([7, -1], "int32"), np.array([4, 3]))
        >>> [hex(one) for one in ids.tolist()]
        ['0x70000000', '0x1ffffffff']
        >>> words_of(ids, np.array([4, 3])).tolist()
        [7, -1]
    """
    plain, up = words.view("uint32").astype("int64"), 32 - bits
    return (tables.astype("int64") << 32) | ((plain << up) & 0xFFFFFFFF) | (plain >> bits)


def words_of(ids: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Return the words, int32 (n,), that `ids_of` was given."""
    turned, up = ids & 0xFFFFFFFF, 32 - bits
    return (((turned << bits) & 0xFFFFFFFF) | (turned >> up)).astype("uint32").view("int32")

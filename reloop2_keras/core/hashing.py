"""Hashes of texts: those of `pandas.util.hash_array`, halves folded into one; without pandas.

pandas takes SipHash-2-4 of the UTF-8 bytes (J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast
short-input PRF", 2012) under a fixed key, then the finalizer of SplitMix64 (G. Steele, D. Lea,
C. Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from collections.abc import Sequence

import numpy as np

KEY = b"0123456789123456"  # pandas' own
FINAL = np.uint64(0xFF)


def hash_text(texts: Sequence[str | None]) -> np.ndarray:
    """Hash texts; the same text has the same hash in every file, process and machine.

    Args:
        texts: sequence of str; None counts as "".

    Returns:
        NumPy int32 (len(texts),).

    Example:
        >>> hash_text(["68fd1e64", "", None]).tolist()
        [38002838, 1313577986, 1313577986]
    """
    wide = hash_bytes([(text or "").encode("utf-8") for text in texts])
    folded = (wide ^ (wide >> np.uint64(32))) & np.uint64(0xFFFFFFFF)
    return folded.astype("uint32").view("int32")


def hash_bytes(values: Sequence[bytes]) -> np.ndarray:
    """Return the 64-bit hashes of `pandas.util.hash_array`: NumPy uint64 (len(values),).

    Example:
        >>> hash_bytes([b"", b"a"]).tolist()
        [1760245841805064774, 13950350942979735504]
    """
    lengths = np.array([len(value) for value in values], "int64")
    hashes = np.empty(len(lengths), "uint64")
    # values of as many words of eight bytes go through the rounds together
    words = lengths // 8
    for count in np.unique(words):
        rows = np.flatnonzero(words == count)
        width = 8 * (int(count) + 1)
        padded = b"".join(values[row].ljust(width, b"\0") for row in rows)
        blocks = np.frombuffer(padded, "<u8").reshape(len(rows), -1).astype("uint64")
        blocks[:, -1] |= (lengths[rows].astype("uint64") & FINAL) << np.uint64(56)
        hashes[rows] = _siphash(blocks)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        hashes = (hashes ^ (hashes >> np.uint64(shift))) * np.uint64(factor)
    return hashes ^ (hashes >> np.uint64(31))


def _siphash(blocks):
    k0, k1 = np.frombuffer(KEY, "<u8").astype("uint64")
    starts = [(k0, 0x736F6D6570736575), (k1, 0x646F72616E646F6D)]
    starts += [(k0, 0x6C7967656E657261), (k1, 0x7465646279746573)]
    v = [np.full(len(blocks), key ^ np.uint64(constant)) for key, constant in starts]
    for block in blocks.T:
        v[3] = v[3] ^ block
        _rounds(v, 2)
        v[0] = v[0] ^ block
    v[2] = v[2] ^ FINAL
    _rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _rounds(v, count):
    # additions of uint64 arrays wrap around, as they must
    for _ in range(count):
        v[0] = v[0] + v[1]
        v[2] = v[2] + v[3]
        v[1] = _rotated(v[1], 13) ^ v[0]
        v[3] = _rotated(v[3], 16) ^ v[2]
        v[0] = _rotated(v[0], 32) + v[3]
        v[2] = v[2] + v[1]
        v[3] = _rotated(v[3], 21) ^ v[0]
        v[1] = _rotated(v[1], 17) ^ v[2]
        v[2] = _rotated(v[2], 32)


def _rotated(x, by):
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))

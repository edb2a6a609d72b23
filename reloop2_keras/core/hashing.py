"""Hashes of texts: those of `pandas.util.hash_array`, halves folded into one; without pandas.

pandas takes SipHash-2-4 of the UTF-8 bytes (J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast
short-input PRF", 2012) under a fixed key, then the finalizer of SplitMix64 (G. Steele, D. Lea,
C. Flood, "Fast splittable pseudorandom number generators", 2014).

A request has a few texts, for which NumPy's hundreds of calls take .5 ms whatever their number; so
Numba, where it is installed, goes through them one by one.
"""

from collections.abc import Sequence

import numpy as np

from reloop2_keras.core.compiled import COMPILED, jit

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
    if COMPILED and len(values):
        lengths = np.array([len(value) for value in values], "int64")
        # a byte more, so that the buffer is never empty
        data = np.frombuffer(b"".join(values) + b"\0", "uint8")
        hashes = np.empty(len(lengths), "uint64")
        _hash_each(data, lengths, *np.frombuffer(KEY, "<u8").astype("uint64"), hashes)
        return hashes
    return hash_bytes_numpy(values)


def hash_bytes_numpy(values: Sequence[bytes]) -> np.ndarray:
    """See `hash_bytes`."""
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


@jit
def _hash_each(data, lengths, k0, k1, hashes):
    start = 0
    for i in range(len(lengths)):
        length = lengths[i]
        v0, v1 = k0 ^ np.uint64(0x736F6D6570736575), k1 ^ np.uint64(0x646F72616E646F6D)
        v2, v3 = k0 ^ np.uint64(0x6C7967656E657261), k1 ^ np.uint64(0x7465646279746573)
        words = length // 8 + 1
        for word in range(words + 1):
            rounds, block = 2, np.uint64(0)
            if word == words:
                rounds, v2 = 4, v2 ^ np.uint64(0xFF)
            else:
                for byte in range(min(8, length - 8 * word)):
                    block |= np.uint64(data[start + 8 * word + byte]) << np.uint64(8 * byte)
                if word == words - 1:
                    block |= np.uint64(length & 0xFF) << np.uint64(56)
                v3 ^= block
            for _ in range(rounds):
                v0, v2 = v0 + v1, v2 + v3
                v1 = ((v1 << np.uint64(13)) | (v1 >> np.uint64(51))) ^ v0
                v3 = ((v3 << np.uint64(16)) | (v3 >> np.uint64(48))) ^ v2
                v0 = ((v0 << np.uint64(32)) | (v0 >> np.uint64(32))) + v3
                v2 = v2 + v1
                v3 = ((v3 << np.uint64(21)) | (v3 >> np.uint64(43))) ^ v0
                v1 = ((v1 << np.uint64(17)) | (v1 >> np.uint64(47))) ^ v2
                v2 = (v2 << np.uint64(32)) | (v2 >> np.uint64(32))
            v0 ^= block
        start += length
        mixed = v0 ^ v1 ^ v2 ^ v3
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashes[i] = mixed ^ (mixed >> np.uint64(31))


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

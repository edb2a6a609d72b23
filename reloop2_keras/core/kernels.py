"""Tables of sums: where a row lives in each, what is read there, and how rows are added."""

import math
import mmap

import numpy as np

from reloop2_keras.core.compiled import COMPILED, jit, over

_COLUMNS = 8  # tables that a thread adds to at a time
_HASHED = 1 << 10  # rows hashed at a time without Numba
_LARGE = 1 << 22  # bytes of a table from which on its pages count


def zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Return float64 zeros; a large table lies in large pages where the system has them.

    Rows lie anywhere in a table. Looking up where each one's page of 4 KiB is costs as much as
    the read: on Linux, with pages of 2 MiB, reads of a cold table took two thirds of the time.

    Example:
        >>> zeros((2, 2)).tolist()
        [[0.0, 0.0], [0.0, 0.0]]
    """
    size = 8 * math.prod(shape)
    if size < _LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(shape)
    try:
        space = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        space.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them
        return np.zeros(shape)
    return np.frombuffer(space, "float64").reshape(shape)


@jit
def _hash_rows(keys, columns, ends, bits, step, out, start, stop):
    mask = (1 << bits) - 1
    for i in range(start, stop):
        first = 0
        for k in range(len(ends)):
            mixed = np.uint32(keys[i, columns[first]])
            for c in range(first + 1, ends[k]):
                mixed = np.uint32(
                    np.uint32(mixed * np.uint32(16777619)) ^ np.uint32(keys[i, columns[c]])
                )
            first = ends[k]
            mixed = np.uint32(mixed ^ np.uint32((k * 0x9E3779B9) & 0xFFFFFFFF))
            mixed = np.uint32(mixed * np.uint32(0x85EBCA6B))
            mixed = np.uint32(mixed ^ (mixed >> np.uint32(13)))
            mixed = np.uint32(mixed * np.uint32(0xC2B2AE35))
            mixed = np.uint32(mixed ^ (mixed >> np.uint32(16)))
            out[i, k] = np.int32((mixed & np.uint32(mask)) + k * step)


def hash_rows_numpy(
    keys: np.ndarray, columns: np.ndarray, ends: np.ndarray, bits: int, step: int | None = None
) -> np.ndarray:
    """See `hash_rows`; table k begins at k * step, by default 2^bits."""
    step = 1 << bits if step is None else step
    ends = np.asarray(ends, "int64")
    firsts = np.zeros_like(ends)
    firsts[1:] = ends[:-1]
    # the further columns of crosses: the second of all, then the third of those that have one
    further = [np.flatnonzero(ends - firsts > n) for n in range(1, max(ends - firsts, default=0))]
    salts = (np.arange(len(ends)) * 0x9E3779B9).astype("uint32")
    out = np.empty((len(keys), len(ends)), "int32")
    # All tables at once, as one row is hashed again and again by a server; and some rows at once,
    # as what is made on the way should fit the cache.
    for start in range(0, len(keys), _HASHED):
        words = keys[start : start + _HASHED].view("uint32")
        mixed = words[:, columns[firsts]]
        for n, tables in enumerate(further, 1):
            column = columns[firsts[tables] + n]
            mixed[:, tables] = (mixed[:, tables] * np.uint32(16777619)) ^ words[:, column]
        mixed ^= salts
        for factor, shift in ((0x85EBCA6B, 13), (0xC2B2AE35, 16)):
            mixed *= np.uint32(factor)
            mixed ^= mixed >> np.uint32(shift)
        mixed &= np.uint32((1 << bits) - 1)
        out[start : start + _HASHED] = mixed + np.arange(len(ends)) * step
    return out


def hash_rows(keys: np.ndarray, columns: np.ndarray, ends: np.ndarray, bits: int) -> np.ndarray:
    """Hash rows of integers into buckets of tables (ours; FNV-1a, then murmur3's finalizer).

    Args:
        keys: int32 (rows, F), contiguous.
        columns: int64, the columns of all tables, one table after the other.
        ends: int64 (tables,), where each table's columns end in `columns`.
        bits: int; 2^bits buckets a table.

    Returns:
        int32 (rows, tables), of table k in [k * 2^bits, (k + 1) * 2^bits).

    Example:
        >>> keys = np.array([[7, 9], [7, 8]], "int32")
        >>> bool((hash_rows(keys, np.arange(2), np.arange(1, 3), 4)[:, 0] < 16).all())
        True
    """
    if not COMPILED:
        return hash_rows_numpy(keys, columns, ends, bits)
    out = np.empty((len(keys), len(ends)), "int32")
    job = _hash_rows
    over(len(keys), out.size, lambda a, b: job(keys, columns, ends, bits, 1 << bits, out, a, b))
    return out


def hash_words(keys: np.ndarray, columns: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Hash rows of integers to one word a table, see `hash_rows`, none of them 0.

    A word tells the values of a column apart (0 and 1 are one), and those of a cross nearly so.

    Args:
        keys, columns, ends: see `hash_rows`.

    Returns:
        int32 (rows, tables).
    """
    if COMPILED:
        out = np.empty((len(keys), len(ends)), "int32")
        over(len(keys), out.size, lambda a, b: _hash_rows(keys, columns, ends, 32, 0, out, a, b))
    else:
        out = hash_rows_numpy(keys, columns, ends, 32, 0)
    out[out == 0] = 1
    return out


@jit
def _read_ratios(sums, buckets, prior, bound, out, start, stop):
    for i in range(start, stop):
        for k in range(buckets.shape[1]):
            b = buckets[i, k]
            ratio = sums[b, 0] / (sums[b, 1] + prior)
            out[i, k] = np.float32(min(bound, max(-bound, ratio)))


def read_ratios_numpy(
    sums: np.ndarray, buckets: np.ndarray, prior: float, bound: float
) -> np.ndarray:
    """See `read_ratios`."""
    held = np.take(sums, buckets, axis=0)
    ratio = held[..., 0] / (held[..., 1] + prior)
    return np.clip(ratio, -bound, bound).astype("float32")


def read_ratios(sums: np.ndarray, buckets: np.ndarray, prior: float, bound: float) -> np.ndarray:
    """Read first sum / (second sum + prior), within +-bound.

    Args:
        sums: float64 (all buckets, 2).
        buckets: int32 (rows, tables).
        prior: float > 0.
        bound: float > 0.

    Returns:
        float32 (rows, tables).
    """
    if not COMPILED:
        return read_ratios_numpy(sums, buckets, prior, bound)
    out = np.empty(buckets.shape, "float32")
    over(len(buckets), out.size, lambda a, b: _read_ratios(sums, buckets, prior, bound, out, a, b))
    return out


@jit
def _add_columns(sums, buckets, updates, start, stop):
    each, width = updates.shape[1] > 1, sums.shape[1]
    # a few columns at a time: the pages of their tables then fit the processor's list of pages
    for first in range(start, stop, _COLUMNS):
        last = min(stop, first + _COLUMNS)
        for i in range(buckets.shape[0]):
            for k in range(first, last):
                b, update = np.uint32(buckets[i, k]), k if each else 0
                sums[b, 0] += updates[i, update, 0]
                sums[b, 1] += updates[i, update, 1]
                if width > 2:
                    sums[b, 2] += updates[i, update, 2]


def add_rows_numpy(sums: np.ndarray, buckets: np.ndarray, updates: np.ndarray) -> None:
    """See `add_rows`."""
    for part in range(sums.shape[1]):
        numbers = np.broadcast_to(updates[:, :, part], buckets.shape)
        np.add.at(sums[:, part], buckets.reshape(-1), numbers.reshape(-1))


def add_rows(sums: np.ndarray, buckets: np.ndarray, updates: np.ndarray) -> None:
    """Add rows to their buckets, in their order: `sums[buckets[i, k]] += updates[i, k]`.

    Args:
        sums: float64 (all buckets, width), changed in place; width is 2 or 3.
        buckets: int32 (rows, columns); two columns share no bucket.
        updates: float64 (rows, columns, width), or (rows, 1, width) to add the same to each column.
    """
    if not COMPILED:
        add_rows_numpy(sums, buckets, updates)
        return
    # columns share no bucket, so that threads by column write to different places
    over(buckets.shape[1], buckets.size, lambda a, b: _add_columns(sums, buckets, updates, a, b))


@jit
def _pack_signs(projected, bits, out, start, stop):
    for i in range(start, stop):
        column = 0
        for k in range(out.shape[1]):
            bucket = np.int32(k << bits)
            for bit in range(bits):
                bucket |= np.int32(projected[i, column + bit] > 0.0) << np.int32(bit)
            column += bits
            out[i, k] = bucket


def pack_signs_numpy(projected: np.ndarray, bits: int, out: np.ndarray) -> None:
    """See `pack_signs`."""
    powers = np.float32(2.0) ** np.arange(bits, dtype="float32")
    # sums of 20 powers of two are exact in float32
    signs = (projected > 0).astype("float32").reshape(-1, bits)
    out[...] = (signs @ powers).reshape(out.shape) + (np.arange(out.shape[1]) << bits)


def pack_signs(projected: np.ndarray, bits: int, out: np.ndarray) -> None:
    """Make buckets of signs: bit l of column k is whether `projected[:, k * bits + l] > 0`.

    Args:
        projected: float32 (rows, columns * bits).
        bits: int.
        out: int32 (rows, columns), written to: of column k in [k * 2^bits, (k + 1) * 2^bits).
    """
    if not COMPILED:
        pack_signs_numpy(projected, bits, out)
        return
    over(len(out), projected.size // 4, lambda a, b: _pack_signs(projected, bits, out, a, b))


@jit
def _within_tables(buckets, bits):
    wrong = np.int32(0)
    for i in range(buckets.shape[0]):
        row = buckets[i]
        for k in range(row.shape[0]):
            wrong |= np.int32(row[k] >> bits) ^ np.int32(k)
    return wrong == 0


def within_tables_numpy(buckets: np.ndarray, bits: int) -> bool:
    """See `within_tables`."""
    return bool((buckets >> bits == np.arange(buckets.shape[1])).all())


def within_tables(buckets: np.ndarray, bits: int) -> bool:
    """Return whether all buckets of column k lie in [k * 2^bits, (k + 1) * 2^bits).

    Args:
        buckets: integers (rows, columns).
        bits: int.
    """
    # other kinds are rare, and each would be compiled when it is met
    if COMPILED and buckets.dtype == np.int32 and buckets.flags.carray:
        return bool(_within_tables(buckets, bits))
    return within_tables_numpy(buckets, bits)

"""What the paper's memories read: attention over buckets, and the nearest rows held."""

import numpy as np

from reloop2_keras.core.compiled import COMPILED, jit, over

_CHUNK = 64  # columns that one comparison leaves out
_QUERIES, _KEYS = 2048, 512  # a block of products


@jit
def _read_means(sums, buckets, scale, means, found, start, stop):
    arrays = buckets.shape[1]
    logits = np.empty(arrays)
    for i in range(start, stop):
        top = -1.0
        for k in range(arrays):
            logits[k] = sums[buckets[i, k], 0] * scale
            top = max(top, logits[k])
        label, probability, total = 0.0, 0.0, 0.0
        if top > 0.0:
            for k in range(arrays):
                if logits[k] > 0.0:
                    b = buckets[i, k]
                    weight = np.exp(logits[k] - top)
                    total += weight
                    label += weight * (sums[b, 1] / sums[b, 0])
                    probability += weight * (sums[b, 2] / sums[b, 0])
            means[i, 0] = np.float32(label / total)
            means[i, 1] = np.float32(probability / total)
            found[i] = np.float32(1.0)
        else:
            means[i, 0] = np.float32(0.0)
            means[i, 1] = np.float32(0.0)
            found[i] = np.float32(0.0)


def read_means_numpy(
    sums: np.ndarray, buckets: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """See `read_means`."""
    means = np.zeros((len(buckets), 2), "float32")
    found = np.zeros(len(buckets), "float32")
    for start in range(0, len(buckets), 256):  # what a block needs stays in the cache
        block = buckets[start : start + 256]
        held = np.take(sums, block, axis=0)
        count = held[..., 0]
        logits = np.where(count > 0, count * scale, -np.inf)
        top = logits.max(axis=1, keepdims=True)
        any_row = np.isfinite(top[:, 0])
        weight = np.exp(logits - np.where(np.isfinite(top), top, 0.0))
        total = weight.sum(axis=1)
        safe = np.where(count > 0, count, 1.0)
        for part in (0, 1):
            mean = (weight * (held[..., 1 + part] / safe)).sum(axis=1)
            means[start : start + 256, part] = mean / np.where(any_row, total, 1.0)
        found[start : start + 256] = any_row
    return means, found


def read_means(
    sums: np.ndarray, buckets: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Attention over the means of buckets: softmax(count * scale), empty buckets left out.

    Args:
        sums: float64 (all buckets, 3): count, sum of labels, sum of predictions.
        buckets: int32 (rows, arrays).
        scale: float > 0, 1 / (rows in each array * tau).

    Returns:
        (means float32 (rows, 2), 0 where nothing was found; found float32 (rows,), 1 where
        anything was).
    """
    if not COMPILED:
        return read_means_numpy(sums, buckets, scale)
    means = np.empty((len(buckets), 2), "float32")
    found = np.empty(len(buckets), "float32")
    over(
        len(buckets),
        buckets.size,
        lambda a, b: _read_means(sums, buckets, scale, means, found, a, b),
    )
    return means, found


@jit
def _top_rows(similarity, weight, offset, best, index, start, stop):
    k = best.shape[1]
    for i in range(start, stop):
        # a sorted list of the k best; most columns are below all of them
        values, found = best[i], index[i]
        held = k
        while held > 0 and found[held - 1] < 0:
            held -= 1
        for first in range(0, similarity.shape[1], _CHUNK):
            row = similarity[i, first : first + _CHUNK]
            if held == k:
                # without a branch inside, so that many columns are compared at once
                above, bound = np.int32(0), values[k - 1]
                for j in range(row.shape[0]):
                    above += np.int32(row[j] > bound)
                if above == 0:
                    continue
            for j in range(row.shape[0]):
                value = row[j]
                if (held == k and value <= values[k - 1]) or weight[first + j] <= 0.0:
                    continue
                place = held if held < k else k - 1
                while place > 0 and values[place - 1] < value:
                    values[place] = values[place - 1]
                    found[place] = found[place - 1]
                    place -= 1
                values[place] = value
                found[place] = offset + first + j
                held = min(k, held + 1)


def top_rows_numpy(similarity: np.ndarray, weight: np.ndarray, k: int) -> np.ndarray:
    """See `top_rows`."""
    masked = np.where(weight > 0, similarity, -np.inf)
    index = np.argsort(-masked, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(masked, index, 1) > -np.inf, index, -1)


def top_rows(similarity: np.ndarray, weight: np.ndarray, k: int) -> np.ndarray:
    """Find the k most similar rows of a positive weight, best first; ties: the lowest index.

    Args:
        similarity: float32 (queries, held).
        weight: float32 (held,).
        k: int <= held.

    Returns:
        int64 (queries, k); -1 where there are fewer than k.

    Example:
        >>> top_rows(np.float32([[0.1, 0.9, 0.9, 0.5]]), np.float32([1, 1, 1, 0]), 3)
        array([[1, 2, 0]])
    """
    if not COMPILED:
        return top_rows_numpy(similarity, weight, k)
    best, index = _no_rows(len(similarity), k)
    _add_top_rows(similarity, weight, 0, best, index)
    return index


def _no_rows(queries, k):
    return np.zeros((queries, k), "float32"), np.full((queries, k), -1, "int64")


def _add_top_rows(similarity, weight, offset, best, index):
    over(
        len(similarity),
        similarity.size,
        lambda a, b: _top_rows(similarity, weight, offset, best, index, a, b),
    )


def nearest_rows_numpy(
    queries: np.ndarray, keys: np.ndarray, weight: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """See `nearest_rows`."""
    similarity, index = np.empty((len(queries), k), "float32"), np.empty((len(queries), k), "int64")
    for start in range(0, len(queries), 512):
        part = slice(start, start + 512)
        block = queries[part] @ keys.T
        index[part] = top_rows_numpy(block, weight, k)
        similarity[part] = np.take_along_axis(block, np.maximum(index[part], 0), axis=1)
    return similarity, index


def nearest_rows(
    queries: np.ndarray, keys: np.ndarray, weight: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k keys of a positive weight with the largest products with each query.

    Args:
        queries: float32 (queries, width).
        keys: float32 (held, width).
        weight: float32 (held,).
        k: int <= held.

    Returns:
        (products float32 (queries, k), best first; index int64 (queries, k), -1 where there are
        fewer than k; ties: the lowest index).

    Example:
        >>> keys = np.float32([[1, 0], [0, 1], [0.6, 0.8]])
        >>> nearest_rows(np.float32([[0, 2]]), keys, np.ones(3, "float32"), 2)[1]
        array([[1, 2]])
    """
    if not COMPILED:
        return nearest_rows_numpy(queries, keys, weight, k)
    best, index = _no_rows(len(queries), k)
    # products stay in the cache until they are looked at, and always lie in the same memory
    rows, columns = min(_QUERIES, len(queries)), min(_KEYS, len(keys))
    space = np.empty(rows * columns, "float32")
    for start in range(0, len(queries), _QUERIES):
        part = slice(start, start + _QUERIES)
        for first in range(0, len(keys), _KEYS):
            block = keys[first : first + _KEYS]
            shape = len(queries[part]), len(block)
            products = space[: shape[0] * shape[1]].reshape(shape)
            np.matmul(queries[part], block.T, out=products)
            _add_top_rows(products, weight[first : first + _KEYS], first, best[part], index[part])
    return best, index

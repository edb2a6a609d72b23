"""Which worker a row of a stream goes to: a function of the row alone (ours)."""

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer
from reloop2_keras.core.kernels import hash_rows_numpy

BITS = 24  # of a hash, many times as many values as workers


def by_turns(first: int, rows: int, workers: int) -> np.ndarray:
    """Return each row's worker, int64 (rows,): row n of the stream goes to worker n mod N.

    Args:
        first: int, the first row's number in the stream.
        rows: int.
        workers: int >= 1, N.

    Example:
        >>> by_turns(4, 3, 3).tolist()
        [1, 2, 0]
    """
    workers = integer("workers", workers, 1, MOST_ROWS)
    return (first + np.arange(rows)) % workers


def by_value(hashes: np.ndarray, column: int, workers: int) -> np.ndarray:
    """Return each row's worker, int64 (rows,): rows of one value, a user say, go to one worker.

    What is known of such a value is then never out of date.

    Args:
        hashes: integers (rows, F), hashes of raw values.
        column: int, the column of the value.
        workers: int >= 1.

    Raises:
        ValueError: if there is no such column.

    Example:
        >>> part = by_value(np.array([[7, 1], [7, 2], [9, 1]]), 0, workers=4)
        >>> bool(part[0] == part[1])
        True
    """
    workers, hashes = integer("workers", workers, 1, MOST_ROWS), np.asarray(hashes)
    column = integer("column", column, 0, hashes.shape[1] - 1)
    own = np.ascontiguousarray(hashes[:, column : column + 1], "int32")
    mixed = hash_rows_numpy(own, np.array([0]), np.array([1]), BITS)[:, 0]
    return mixed.astype("int64") % workers

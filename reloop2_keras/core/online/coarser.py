"""Coarser bins of numbers as further columns of hashes, for tables of several granularities."""

from collections.abc import Sequence

import numpy as np

from reloop2_keras.core.arguments import columns as checked_columns
from reloop2_keras.core.arguments import integer, sequence
from reloop2_keras.core.hashing import hash_text

MOST_BINS = 4096  # what data_scripts makes at most


def with_coarser_bins(
    hashes: np.ndarray, columns: Sequence[int], bins: int, steps: Sequence[int] = (4,)
) -> np.ndarray:
    """Return hashes with one more column for each of the columns and steps.

    A dataset that was prepared with `--bins` has numbers as hashes of nested bins: of 32 bins,
    each 4 neighbors are one of 8. A table of the 8 knows something after a quarter of the rows.
    Tables of both share the credit, and crosses may take either. Measured (docs/method.md, section
    4b): it gains on a log made of smooth effects of numbers, nothing on the synthetic log, and
    loses on the flights, so `Online` does not do so by itself; try it on the validation period.

    Args:
        hashes: int32 (rows, width), as a dataset has them.
        columns: of the numeric fields.
        bins: int in [2, 4096], what the dataset was prepared with.
        steps: ints in [2, bins], how many neighbors become one.

    Returns:
        int32 (rows, width + columns * steps); a missing number stays what it is, a value.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> fine = hash_text(["q0", "q3", "q4", ""])[:, None]
        >>> wide = with_coarser_bins(fine, [0], bins=32)
        >>> [bool(wide[0, 1] == wide[row, 1]) for row in range(4)]
        [True, True, False, False]
    """
    hashes = np.asarray(hashes)
    if hashes.ndim != 2 or hashes.dtype.kind not in "iu":
        raise ValueError(
            "`hashes` must be integers (rows, width). "
            f"Received: shape {hashes.shape}, dtype {hashes.dtype}"
        )
    bins = integer("bins", bins, 2, MOST_BINS)
    steps = [integer("steps", step, 2, bins) for step in sequence("steps", steps, "integers")]
    columns = checked_columns("columns", columns, hashes.shape[1] - 1)
    fine = hash_text([f"q{number}" for number in range(bins)])
    order = np.argsort(fine)
    parts = [hashes.astype("int32", copy=False)]
    for column in columns:
        values = parts[0][:, column]
        place = order[np.minimum(np.searchsorted(fine, values, sorter=order), bins - 1)]
        known = fine[place] == values
        for step in steps:
            coarse = hash_text([f"q{number // step} by {step}" for number in range(bins)])
            parts.append(np.where(known, coarse[place], values)[:, None])
    return np.ascontiguousarray(np.concatenate(parts, axis=1))

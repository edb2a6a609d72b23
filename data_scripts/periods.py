"""Cut a log's rows into periods, and each period into files."""

import numpy as np

from data_scripts.errors import InputError
from data_scripts.writer import FILE_ROWS


def period_sizes(
    rows: int,
    train_fraction: float,
    validation_fraction: float,
    slots: int,
    train_rows: int | None = None,
) -> list[int]:
    """Return the periods' sizes: [training, validation, slot 0, slot 1, …]; they sum to `rows`.

    Raises:
        InputError: if a period were left without rows.

    Example:
        >>> period_sizes(100, 0.5, 0.2, 3)
        [50, 20, 10, 10, 10]
    """
    train = int(rows * train_fraction) if train_rows is None else train_rows
    validation = int(rows * validation_fraction)
    rest = rows - train - validation
    if train < 1 or validation < 1 or rest < slots:
        share = "train_fraction" if train_rows is None else "train_rows"
        raise InputError(
            f"expected rows for training, validation and {slots} slots, found {rows} rows "
            f"(training {train}, validation {validation}, left {rest}); "
            f"change `{share}`, `validation_fraction` or `slots`"
        )
    cuts = np.linspace(0, rest, slots + 1).astype(int)
    return [train, validation, *np.diff(cuts).tolist()]


def plan_files(sizes: list[int], file_rows: int = FILE_ROWS) -> list[list[tuple[str, int]]]:
    """Return each period's files as (name, rows), in the order of the stream.

    Args:
        sizes: what `period_sizes` returned.
        file_rows: rows of a training or validation file, at most; a slot is one file.

    Example:
        >>> plan_files([5, 2, 1, 1], file_rows=4)[0]
        [('train/000.parquet', 4), ('train/001.parquet', 1)]
    """
    train, validation, *slots = sizes
    periods = []
    for period, rows in (("train", train), ("validation", validation)):
        starts = range(0, rows, file_rows)
        parts = [min(file_rows, rows - start) for start in starts]
        periods.append(list(zip(_names(period, len(parts)), parts, strict=True)))
    periods += [[pair] for pair in zip(_names("slots", len(slots)), slots, strict=True)]
    return periods


def _names(folder, count):
    # Equal numbers of digits (three or more) make names sort as numbers do, and no name is the
    # beginning of another.
    digits = max(3, len(str(count - 1)))
    return [f"{folder}/{i:0{digits}d}.parquet" for i in range(count)]

"""Row groups of a prepared dataset's files as NumPy arrays, checked on the way in."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

FEATURES = ("feature_ids", "feature_values", "feature_hashes")


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """Rows of one file that are read at once.

    Attributes:
        path: the file.
        index: int, which row group of the file.
        rows: int.
    """

    path: Path
    index: int
    rows: int

    def load(self, num_ids: int, columns: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return a dict of arrays: feature columns (rows, F), others (rows,).

        Args:
            num_ids: int; every id must be in [0, num_ids).
            columns: names to read, or None for all.

        Raises:
            ValueError: naming file and value for an id out of range or a label not 0 or 1.
        """
        arrays = storage_of(self.path).read(self.path, self.index, columns)
        found = len(next(iter(arrays.values())))
        if found != self.rows:
            raise ValueError(f"{self.path}: expected {self.rows} rows, found {found}")
        return check_arrays(arrays, self.path, num_ids)


@dataclasses.dataclass(frozen=True)
class Storage:
    """How files of one ending are read.

    Attributes:
        rows: function of a path; returns the number of rows of each of its row groups.
        read: function of a path, a row group's number and names of columns (None: all); returns a
            dict of arrays.
    """

    rows: Callable[[Path], list[int]]
    read: Callable[[Path, int, Sequence[str] | None], dict[str, np.ndarray]]


def storage_of(path: Path) -> Storage:
    """Return how a file is read, by its ending.

    Raises:
        ValueError: if the ending is unknown.
    """
    if path.suffix not in STORAGES:
        raise ValueError(f"{path}: expected a file of {', '.join(STORAGES)}, found {path.suffix!r}")
    return STORAGES[path.suffix]


def row_groups(paths: Iterable[Path | str | RowGroup]) -> list[RowGroup]:
    """Return the row groups of files, one file after the other; row groups stay as they are."""
    groups = []
    for path in paths:
        if isinstance(path, RowGroup):
            groups.append(path)
            continue
        path = Path(path)
        rows = storage_of(path).rows(path)
        groups += [RowGroup(path, index, number) for index, number in enumerate(rows)]
    return groups


def _parquet_rows(path):
    import pyarrow.parquet as pq

    meta = pq.read_metadata(path)
    return [meta.row_group(index).num_rows for index in range(meta.num_row_groups)]


def _read_parquet(path, index, columns):
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        table = file.read_row_group(index, columns=columns)
    arrays = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name in FEATURES:
            width = column.type.list_size
            arrays[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        else:
            arrays[name] = column.to_numpy(zero_copy_only=False)
    return arrays


# A package that reads another kind of file adds it here.
STORAGES = {".parquet": Storage(_parquet_rows, _read_parquet)}


def check_arrays(arrays: dict[str, np.ndarray], path: Path, num_ids: int) -> dict[str, np.ndarray]:
    """Return arrays as they are if all ids are in [0, num_ids) and all labels 0 or 1.

    Raises:
        ValueError: naming the file and the value.
    """
    ids, label = arrays.get("feature_ids"), arrays.get("label")
    if ids is not None and ids.size and (ids.min() < 0 or ids.max() >= num_ids):
        bad = ids[(ids < 0) | (ids >= num_ids)][0]
        raise ValueError(f"{path}: feature_ids must be in [0, {num_ids}), found {bad}")
    if label is not None and label.size and not np.isin(label, (0, 1)).all():
        bad = label[~np.isin(label, (0, 1))][0]
        raise ValueError(f"{path}: label must be 0 or 1, found {bad}")
    return arrays

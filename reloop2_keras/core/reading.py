"""Row groups of a prepared dataset's files as NumPy arrays, checked on the way in."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from reloop2_keras.core import parquet
from reloop2_keras.core.array_checks import FieldRanges, check_types, check_values
from reloop2_keras.core.files import compare_checksum, compare_checksum_once


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """Rows of one file that are read at once.

    Attributes:
        path: the file.
        index: int, which row group of the file.
        rows: int.
        sha256: of the file, compared before it is read: at each reading, where the file holds no
            checksums itself, or else once. None: nothing is compared.
    """

    path: Path
    index: int
    rows: int
    sha256: str | None = None

    def load(
        self, ranges: FieldRanges, columns: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Return a dict of arrays: feature columns (rows, F), others (rows,).

        Args:
            ranges: the ids that each field may have.
            columns: names to read, or None for all.

        Raises:
            FileNotFoundError: if the file is gone.
            ValueError: naming the file and what is wrong: a checksum that differs, a null,
                an id out of its field's range, a label not 0 or 1, a value not finite, another
                number of rows.
        """
        where = f"{self.path}: row group {self.index}"
        storage = storage_of(self.path)
        if self.sha256 is not None:
            compare = compare_checksum if storage.index_suffix else compare_checksum_once
            compare(self.path, self.sha256)
        arrays = storage.read(self.path, self.index, columns)
        types = {name: _type(array) for name, array in arrays.items()}
        check_types(types, where, ranges.width, [*arrays] if columns is None else columns)
        found = {len(array) for array in arrays.values()}
        if found != {self.rows}:
            raise ValueError(f"{where}: expected {self.rows} rows, found {sorted(found)}")
        check_values(arrays, where, ranges)
        return arrays


def _type(array):
    return array.dtype.name, array.shape[1] if array.ndim == 2 else None


@dataclasses.dataclass(frozen=True)
class Storage:
    """How files of one ending are read.

    Attributes:
        summarize: function of a path; returns what the file says of itself without its rows
            being read: (rows of each row group, column -> (type, width of a fixed list or None)).
        read: function of a path, a row group's number and names of columns (None: all); returns a
            dict of arrays.
        index_suffix: ending of a second file that belongs to each, or None. Such files hold no
            checksums: those of dataset.json are compared when they are opened and read.
    """

    summarize: Callable[[Path], tuple[list[int], dict[str, tuple[str, int | None]]]]
    read: Callable[[Path, int, Sequence[str] | None], dict[str, np.ndarray]]
    index_suffix: str | None = None


def storage_of(path: Path) -> Storage:
    """Return how a file is read, by its ending.

    Raises:
        ValueError: if the ending is unknown.
    """
    if path.suffix not in STORAGES:
        raise ValueError(f"{path}: expected a file of {', '.join(STORAGES)}, found {path.suffix!r}")
    return STORAGES[path.suffix]


def row_groups(
    paths: Iterable[Path | str | RowGroup],
    width: int | None = None,
    columns: Sequence[str] | None = None,
) -> list[RowGroup]:
    """Return the row groups of files, one file after the other; row groups stay as they are.

    Args:
        paths: files, or row groups.
        width: int, number of fields, if known.
        columns: names of all columns, if known.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, for one that cannot be read or has other columns.
    """
    groups = []
    for path in paths:
        if isinstance(path, RowGroup):
            groups.append(path)
            continue
        path = Path(path)
        sizes, types = storage_of(path).summarize(path)
        check_types(types, str(path), width, columns)
        groups += [RowGroup(path, index, rows) for index, rows in enumerate(sizes)]
    return groups


# A package that reads another kind of file adds it here.
STORAGES = {".parquet": Storage(parquet.summarize, parquet.read)}

"""Rows of a Parquet file, and a position from which reading goes on (ours)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reloop2_keras.core.array_checks import one_line
from reloop2_keras.core.serving.file_rows import MOVED, Piece, Position

BLOCK = 1 << 20


class ParquetRows:
    """Rows of a Parquet file; see `file_rows.RowFile`.

    A position is the number of rows, and the SHA-256 of the schema and of the file's bytes up to
    the end of the row group where the last of them lies.

    Args:
        path: of a file.

    Attributes:
        names: list of str, its columns.
        size: int, rows.

    Raises:
        ValueError: naming the file, if it is not whole, or two columns share a name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # a column chunk is read by pages: a row group may be larger than the memory
            self._file = pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path}: expected a whole Parquet file: {one_line(error)}") from error
        meta = self._file.metadata
        self.schema, self.size = self._file.schema_arrow, meta.num_rows
        self.names = list(self.schema.names)
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            self.close()
            raise ValueError(f"{path}: expected one column of each name, found twice: {twice}")
        self._wanted = self.names
        groups = [meta.row_group(i) for i in range(meta.num_row_groups)]
        self._upto = np.cumsum([0] + [group.num_rows for group in groups])
        self._ends = [0, *np.maximum.accumulate([_end(group) for group in groups])]
        self._row = 0
        self._rows: Iterator[pa.RecordBatch] | None = None
        self._rest: pa.Table | None = None
        self._forget()

    def _forget(self):
        about = self.schema.remove_metadata().to_string(show_field_metadata=False)
        self._digest, self._hashed = hashlib.sha256(about.encode()), 0

    def want(self, names: Sequence[str]) -> None:
        """Say which columns to read, before the first row."""
        self._wanted = list(names)

    def _batches(self, count: int) -> Iterator[pa.RecordBatch]:
        first = int(np.searchsorted(self._upto, self._row, "right")) - 1
        skip = self._row - int(self._upto[min(first, len(self._upto) - 1)])
        groups = list(range(first, len(self._upto) - 1))
        for batch in self._file.iter_batches(count, row_groups=groups, columns=self._wanted):
            if skip >= len(batch):
                skip -= len(batch)
                continue
            yield batch.slice(skip)
            skip = 0

    def read(self, count: int) -> Piece | None:
        """Return the next rows, `count` or what is left; None if there is none.

        Raises:
            ValueError: naming the file, if it is damaged.
        """
        if self._row >= self.size:
            return None
        if self._rows is None:
            self._rows = self._batches(min(count, 1 << 16))
        parts, found = [], 0
        try:
            while found < count and self._row + found < self.size:
                part, self._rest = self._rest, None
                if part is None:
                    part = pa.Table.from_batches([next(self._rows)])
                if len(part) > count - found:
                    self._rest, part = part.slice(count - found), part.slice(0, count - found)
                parts.append(part)
                found += len(part)
        except (pa.ArrowException, OSError, StopIteration) as error:
            raise ValueError(
                f"{self.path}: expected a whole Parquet file, found damage behind row "
                f"{self._row + found}: {one_line(error)}"
            ) from error
        first, self._row = self._row, self._row + found
        table = pa.concat_tables(parts)
        if not self._wanted:
            table = pa.table({})
        lines = np.arange(first + 1, first + found + 1)
        return Piece(first, found, table, np.arange(found), lines, [])

    def _checksum(self) -> str:
        """SHA-256 of what holds the rows so far."""
        end = int(self._ends[int(np.searchsorted(self._upto, self._row, "left"))])
        with self.path.open("rb") as file:
            file.seek(self._hashed)
            while left := end - self._hashed:
                data = file.read(min(left, BLOCK))
                if not data:
                    raise ValueError(f"{self.path}: {MOVED}: it is shorter now")
                self._digest.update(data)
                self._hashed += len(data)
        return self._digest.hexdigest()

    def position(self) -> Position:
        """Return where reading stands, as plain values that `seek` takes."""
        return {"row": self._row, "sha256": self._checksum()}

    def seek(self, position: Mapping[str, Any] | None) -> None:
        """Go on from a position, if what stands before it is as it was; None: the first row.

        Raises:
            ValueError: naming the file, if it is another one.
        """
        if position is None:
            self._row, self._rows, self._rest = 0, None, None
            self._forget()
            return
        if position["row"] > self.size:
            raise ValueError(
                f"{self.path}: {MOVED}: expected more than {position['row']} rows, found "
                f"{self.size}"
            )
        self._row, self._rows, self._rest = position["row"], None, None
        self._forget()
        if (found := self._checksum()) != position["sha256"]:
            raise ValueError(
                f"{self.path}: {MOVED}: of what holds its first {position['row']} rows expected "
                f"sha256 {position['sha256']}, found {found}"
            )

    def done(self) -> int:
        """Return how many rows are read."""
        return self._row

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _end(group: Any) -> int:
    """Where the bytes of a row group end."""
    ends = [4]  # behind the mark at the file's beginning
    for k in range(group.num_columns):
        column = group.column(k)
        starts = [column.data_page_offset]
        if column.has_dictionary_page and column.dictionary_page_offset:
            starts.append(column.dictionary_page_offset)
        ends.append(min(starts) + column.total_compressed_size)
    return max(ends)

"""Write rows in stream order to Parquet files; row groups do not depend on the chunks."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_scripts.errors import InputError
from reloop2_keras.core.array_checks import one_line
from reloop2_keras.core.files import file_checksum, writing

ROW_GROUP = 65_536
FILE_ROWS = 4 * ROW_GROUP  # rows of a training file
# With checksums a reader that compares them finds a flipped bit.
FORMAT = {"compression": "zstd", "write_page_checksum": True}


class PeriodWriter:
    """Cuts a stream of column dicts into the files of a plan.

    Args:
        folder: `pathlib.Path`, existing.
        plan: list of (file name, rows), in stream order.
        place: path that `folder` will have in the end, for messages. None: as it is.
    """

    def __init__(
        self, folder: Path, plan: Iterable[tuple[str, int]], place: Path | None = None
    ) -> None:
        self._folder, self._plan = folder, list(plan)
        self._place = Path(folder if place is None else place)
        self._parts: list[dict[str, np.ndarray]] = []
        self._buffered, self._left = 0, 0
        self._file: pq.ParquetWriter | None = None
        self._taken, self._written = 0, 0  # rows of all files, rows in the open file
        self._done: dict[str, dict[str, Any]] = {}

    def write(self, columns: dict[str, np.ndarray]) -> None:
        """Take a dict of NumPy arrays with equal numbers of rows; matrices become fixed lists.

        Raises:
            InputError: for more rows than planned. OSError: naming the file, if it cannot be
                written.
        """
        rows = len(columns["label"])
        self._taken += rows
        start = 0
        while start < rows:
            if self._left == 0:
                self._open()
            # Rows go to the open group until it or the file is full.
            room = min(ROW_GROUP - self._buffered, self._left)
            stop = min(rows, start + room)
            self._parts.append({name: array[start:stop] for name, array in columns.items()})
            self._buffered += stop - start
            self._left -= stop - start
            start = stop
            if self._buffered == ROW_GROUP or self._left == 0:
                self._flush()

    def finish(self) -> dict[str, dict[str, Any]]:
        """Return a dict file name -> {"name", "rows", "sha256"}, rows as they were written.

        Raises:
            InputError: for fewer rows than planned.
        """
        if self._taken != self._planned():
            self._changed(f"{self._taken:,}")
        return self._done

    def _planned(self):
        return sum(rows for _, rows in self._plan)

    def _changed(self, found: str) -> NoReturn:
        raise InputError(
            f"expected {self._planned():,} rows, as many as were counted first, found {found}: "
            "the log changed while it was read"
        )

    def _open(self):
        if len(self._done) == len(self._plan):
            self._changed("more")
        self._name, self._left = self._plan[len(self._done)]
        self._path = self._folder / self._name
        with writing(self._place / self._name):
            self._path.parent.mkdir(exist_ok=True)
        self._file, self._written = None, 0

    def _flush(self):
        columns = {
            name: _column(np.concatenate([part[name] for part in self._parts]))
            for name in self._parts[0]
        }
        # Columns without nulls need no marks for them, which reads and writes a fifth faster.
        fields = [pa.field(name, column.type, False) for name, column in columns.items()]
        table = pa.table(list(columns.values()), schema=pa.schema(fields))
        with writing(self._place / self._name):
            if self._file is None:
                self._file = pq.ParquetWriter(self._path, table.schema, **FORMAT)
            self._file.write_table(table, row_group_size=ROW_GROUP)
            self._written += table.num_rows
            self._parts, self._buffered = [], 0
            if self._left == 0:
                self._file.close()
                self._file = None
                _check_rows(self._path, self._written)
                self._done[self._name] = {
                    "name": self._name,
                    "rows": self._written,
                    "sha256": file_checksum(self._path),
                }
                self._written = 0

    def close(self) -> None:
        """Close an unfinished file after an error; a second error must not hide the first."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _check_rows(path, rows):
    """What was written is opened again: what is cut off at its end would get a checksum, too."""
    try:
        found = pq.read_metadata(path).num_rows
    except pa.ArrowException as error:
        raise OSError(f"what was written does not verify: {one_line(error)}") from error
    if found != rows:
        raise OSError(f"what was written does not verify: {found} rows, not {rows}")


def _column(array):
    if array.ndim == 1:
        return pa.array(array)
    flat = pa.array(array.reshape(-1))
    kind = pa.list_(pa.field("element", flat.type, nullable=False), array.shape[1])
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)

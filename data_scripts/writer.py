"""Rows in stream order -> Parquet files of fixed row groups, whatever the chunks were."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 65_536
FILE_ROWS = 4 * ROW_GROUP  # rows of a training file


class PeriodWriter:
    """Cuts a stream of column dicts into the files of a plan.

    Args:
        folder: `pathlib.Path`, existing.
        plan: list of (file name, rows), in stream order.
    """

    def __init__(self, folder, plan):
        self._folder, self._plan = folder, list(plan)
        self._parts, self._buffered = [], 0
        self._file, self._left = None, 0
        self.files = []

    def write(self, columns):
        """Take a dict of NumPy arrays with equal numbers of rows; matrices become fixed lists."""
        rows = len(columns["label"])
        start = 0
        while start < rows:
            if self._left == 0:
                self._open()
            # fill up a row group or finish the file, whichever comes first
            room = min(ROW_GROUP - self._buffered, self._left)
            stop = min(rows, start + room)
            self._parts.append({name: array[start:stop] for name, array in columns.items()})
            self._buffered += stop - start
            self._left -= stop - start
            start = stop
            if self._buffered == ROW_GROUP or self._left == 0:
                self._flush()

    def _open(self):
        name, self._left = self._plan[len(self.files)]
        path = self._folder / name
        path.parent.mkdir(exist_ok=True)
        self.files.append({"name": name, "rows": self._left})
        self._path, self._file = path, None

    def _flush(self):
        columns = {
            name: _column(np.concatenate([part[name] for part in self._parts]))
            for name in self._parts[0]
        }
        # a null cannot be: Parquet then spares its marks, which read and write a fifth faster
        fields = [pa.field(name, column.type, False) for name, column in columns.items()]
        table = pa.table(list(columns.values()), schema=pa.schema(fields))
        if self._file is None:
            self._file = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._file.write_table(table, row_group_size=ROW_GROUP)
        self._parts, self._buffered = [], 0
        if self._left == 0:
            self.close()
            self.files[-1]["sha256"] = checksum(self._path)

    def close(self):
        """Close the open file, if any; also after an error."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _column(array):
    if array.ndim == 1:
        return pa.array(array)
    flat = pa.array(array.reshape(-1))
    kind = pa.list_(pa.field("element", flat.type, nullable=False), array.shape[1])
    return pa.FixedSizeListArray.from_arrays(flat, type=kind)


def checksum(path):
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

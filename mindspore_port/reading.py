"""Files of a prepared dataset as NumPy arrays, checked on the way in."""

import dataclasses
from pathlib import Path

import numpy as np

FEATURES = ("feature_ids", "feature_values", "feature_hashes")


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """Rows of one file that are read at once.

    Attributes:
        path: the file, `.parquet` or `.mindrecord`.
        index: int, which row group of a Parquet file; a MindRecord file is one group.
        rows: int.
    """

    path: Path
    index: int
    rows: int

    def load(self, num_ids, columns=None):
        """Return a dict of arrays, feature columns as (rows, F).

        Args:
            num_ids: int; every id must be in [0, num_ids).
            columns: names to read, or None for all.

        Raises:
            ValueError: naming file and value for an id out of range or a label not 0 or 1.
        """
        if self.path.suffix == ".mindrecord":
            arrays = read_mindrecord(self.path, columns)
        else:
            arrays = _read_parquet(self.path, self.index, columns)
        found = len(arrays["label"])
        if found != self.rows:
            raise ValueError(f"{self.path}: expected {self.rows} rows, found {found}")
        return _checked(arrays, self.path, num_ids)


def row_groups(path, rows):
    """Return the row groups of a file; `rows` is what dataset.json says of it."""
    if path.suffix == ".mindrecord":
        return [RowGroup(path, 0, rows)]
    import pyarrow.parquet as pq

    meta = pq.read_metadata(path)
    return [RowGroup(path, g, meta.row_group(g).num_rows) for g in range(meta.num_row_groups)]


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


def read_mindrecord(path, columns=None, batch_rows=65_536):
    """Read ONE MindRecord file through `mindspore.dataset`, rows in the file's order.

    The file stands in a list: `MindDataset("file")` would read its sibling shards as well, and a
    memory would then hold the rows it is scored on (method.md, section 7.2).

    Returns:
        dict of arrays, every column of the file or those named.
    """
    import mindspore.dataset as ds

    columns = None if columns is None else list(columns)
    rows = ds.MindDataset([str(path)], columns_list=columns, shuffle=False, num_parallel_workers=1)
    batches = rows.batch(batch_rows, drop_remainder=False)
    parts = list(batches.create_dict_iterator(num_epochs=1, output_numpy=True))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _checked(arrays, path, num_ids):
    ids, label = arrays["feature_ids"], arrays["label"]
    if ids.size and (ids.min() < 0 or ids.max() >= num_ids):
        bad = ids[(ids < 0) | (ids >= num_ids)][0]
        raise ValueError(f"{path}: feature_ids must be in [0, {num_ids}), found {bad}")
    if label.size and not np.isin(label, (0, 1)).all():
        raise ValueError(f"{path}: label must be 0 or 1, found {label[~np.isin(label, (0, 1))][0]}")
    return arrays

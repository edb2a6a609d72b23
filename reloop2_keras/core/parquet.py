"""Parquet files as NumPy arrays: fixed lists as matrices, nulls refused, checksums compared."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reloop2_keras.core.array_checks import damage_named

NUMPY_NAMES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def summarize(path: Path) -> tuple[list[int], dict[str, tuple[str, int | None]]]:
    """Return the rows of each row group, and each column's type and width, from the footer.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it is no whole Parquet file.
    """
    with damage_named(path, "a Parquet file"):
        meta = pq.read_metadata(path)
        rows = [meta.row_group(index).num_rows for index in range(meta.num_row_groups)]
        return rows, {field.name: _kind(field.type) for field in meta.schema.to_arrow_schema()}


def _kind(kind):
    if pa.types.is_fixed_size_list(kind):
        return _kind(kind.value_type)[0], kind.list_size
    return NUMPY_NAMES.get(str(kind), str(kind)), None


def read(path: Path, index: int, columns: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Return a row group's columns: fixed lists as (rows, width), others as (rows,).

    Each page is compared with its checksum, where the file has them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, for a page or a type that cannot be read, or a null.
    """
    columns = None if columns is None else list(columns)
    with damage_named(path, f"a Parquet file whose row group {index} can be read"):
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read_row_group(index, columns=columns)
        parts = {name: table.column(name).combine_chunks() for name in table.column_names}
    arrays = {}
    for name, column in parts.items():
        width = None
        if pa.types.is_fixed_size_list(column.type):
            width = column.type.list_size
            nulls, column = column.null_count, column.flatten()
        else:
            nulls = column.null_count
        if nulls or column.null_count:
            raise ValueError(
                f"{path}: row group {index}: column {name}: expected no null, "
                f"found {nulls or column.null_count}"
            )
        with damage_named(path, f"numbers in column {name}"):
            array = column.to_numpy(zero_copy_only=False)
            arrays[name] = array if width is None else array.reshape(-1, width)
    return arrays

"""Columns of a pandas, Polars or Arrow table as distinct Python values; through Arrow alone.

Such tables hand themselves over by Arrow's PyCapsule interface (`__arrow_c_stream__`), so that none
of their libraries is imported here. Ours.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from reloop2_keras.core.text import canonical_text

EXPECTED = "a dict, a list of dicts, or a table of pandas, Polars or Arrow"


def is_table(rows: Any) -> bool:
    """Whether an object is a table that Arrow can read."""
    return hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__")


class RawTable:
    """A table of raw values, read a column at a time.

    Args:
        rows: an object with Arrow's PyCapsule interface.

    Attributes:
        names: list of str, its columns; a pandas index is none of them.
        rows: int.

    Raises:
        ValueError: if two columns have one name.
    """

    def __init__(self, rows: Any) -> None:
        self._columns: dict[str, Any]
        # pandas puts its index beside the columns, and takes no column of several types
        columns = getattr(rows, "columns", None)
        if columns is not None and type(rows).__module__.partition(".")[0] == "pandas":
            self.names = [str(name) for name in columns]
            self._columns = {str(name): rows.iloc[:, place] for place, name in enumerate(columns)}
            self.rows = len(rows)
        else:
            table = pa.table(rows)
            self.names = table.column_names
            self._columns = dict(zip(self.names, table.columns, strict=True))
            self.rows = table.num_rows
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"`rows` must have one column of each name. Received twice: {twice}")

    def has(self, name: str) -> bool:
        """Whether there is a column of a name."""
        return name in self._columns

    def distinct(self, name: str) -> tuple[np.ndarray, list]:
        """Return (codes, values): `values[codes[i]]` is row i's value, in a column.

        Returns:
            NumPy int64 (rows,), and a list without repetitions where the column has one type.
        """
        array = self._array(name)
        if array is None:  # objects of several types: no dictionary tells 1 from True
            return np.arange(self.rows), self._columns[name].tolist()
        if pa.types.is_nested(array.type):  # lists: the reader of a value says that it takes none
            return np.arange(self.rows), array.to_pylist()
        coded = _plain(array).dictionary_encode(null_encoding="encode")
        return coded.indices.to_numpy().astype("int64"), _values(coded.dictionary)

    def floats(self, name: str) -> np.ndarray | None:
        """Return a column of numbers as NumPy float64 (rows,), NaN where null; else None."""
        array = self._array(name)
        if array is None or not (pa.types.is_integer(array.type) or _is_float(array.type)):
            return None
        if array.null_count == 0:
            return array.to_numpy(zero_copy_only=False).astype("float64")
        return array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)

    def _array(self, name):
        """A column as one Arrow array, None if it has values of several types."""
        column = self._columns[name]
        if isinstance(column, pa.ChunkedArray):
            array = column.combine_chunks()
            # some versions of Arrow leave chunks where there are several, or none
            return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
        try:
            array = pa.array(column, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
            return None
        if isinstance(array, pa.ChunkedArray):
            return pa.concat_arrays(array.chunks) if array.num_chunks else pa.nulls(0)
        # of objects of several types Arrow makes one: floats of integers, days of times
        sure = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean)
        kept = column.dtype != object or any(test(array.type) for test in sure)
        return array if kept or pa.types.is_integer(array.type) else None


def _is_float(kind):
    return pa.types.is_floating(kind)


def _plain(array):
    """An array of a type that can be told apart and read value by value."""
    if pa.types.is_dictionary(array.type):
        # Arrow takes no rows of views of texts, which Polars' categories are
        array = _plain(array.dictionary).take(array.indices)
    kind = array.type
    if kind == pa.string_view():
        return array.cast(pa.large_string())
    if kind == pa.binary_view():
        return array.cast(pa.large_binary())
    if pa.types.is_float16(kind):
        return array.cast(pa.float32())
    if pa.types.is_date64(kind):
        return array.cast(pa.date32())
    return array


def _values(array) -> list:
    kind = array.type
    if pa.types.is_float32(kind):  # NumPy's keeps its own digits, Python's float has more
        return list(array.to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind):  # Python's has no nanoseconds
        zone = "" if kind.tz is None else "+00:00"  # Arrow holds all of them in UTC
        times = array.cast(pa.timestamp(kind.unit)).to_numpy(zero_copy_only=False)
        texts = [canonical_text(value) for value in times]
        return [text and text + zone for text in texts]
    return array.to_pylist()


def mapped(codes: np.ndarray, values: Sequence, function: Callable[[Any], Any], where: str) -> list:
    """Return `function` of each distinct value; what it raises names the first row of the value.

    Raises:
        ValueError: "row 7: field user: expected …, found …".
    """
    found = []
    for code, value in enumerate(values):
        try:
            found.append(function(value))
        except (TypeError, ValueError) as error:
            rows = np.flatnonzero(codes == code)
            if len(rows):  # else a value that no row has
                raise refusal(int(rows[0]), where, value, error) from None
            found.append(None)
    return found


def refusal(row: int, where: str, value: Any, error: Exception) -> ValueError:
    """Return the error of a raw value that makes no field."""
    reason = str(error)
    found = "" if "Received" in reason else f", found {str(value)[:60]!r}"
    return ValueError(f"row {row}: {where}: {reason}{found}")

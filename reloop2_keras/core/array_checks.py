"""What the columns of a prepared dataset must be: types and widths, then the values."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer

FEATURES = ("feature_ids", "feature_values", "feature_hashes")
INTEGERS = ("int64", "int32")
# MindRecord has no uint8, so its labels are int32
TYPES = {
    "label": ("uint8", "int32"),
    "group": INTEGERS,
    "time": INTEGERS,
    "true_probability": ("float32", "float64"),
    "feature_ids": ("int32",),
    "feature_values": ("float32",),
    "feature_hashes": ("int32",),
}


@dataclasses.dataclass(frozen=True, eq=False)
class FieldRanges:
    """The ids that each field may have.

    Attributes:
        names: names of the fields, or None where the fields are not known.
        first, stop: int64 (F,), or (1,) for all fields: ids are in [first, stop).

    Example:
        >>> ranges = FieldRanges.of_fields(
        ...     [{"name": "user", "offset": 0, "cardinality": 5},
        ...      {"name": "item", "offset": 5, "cardinality": 3}])
        >>> ranges.check(np.array([[4, 5], [5, 5]], "int32"), "log.parquet")
        Traceback (most recent call last):
        ValueError: log.parquet, row 1: feature_ids of field 'user' must be in [0, 5), found 5
    """

    names: tuple[str, ...] | None
    first: np.ndarray
    stop: np.ndarray

    @classmethod
    def of_fields(cls, fields: Sequence[Mapping[str, Any]]) -> "FieldRanges":
        """Each field has the ids [offset, offset + cardinality)."""
        first = np.array([field["offset"] for field in fields], "int64")
        sizes = np.array([field["cardinality"] for field in fields], "int64")
        return cls(tuple(field["name"] for field in fields), first, first + sizes)

    @classmethod
    def of_ids(cls, num_ids: int) -> "FieldRanges":
        """Any field may have any of the ids [0, num_ids)."""
        return cls(
            None, np.zeros(1, "int64"), np.array([integer("num_ids", num_ids, 1, MOST_ROWS)])
        )

    @classmethod
    def of(cls, num_ids: int, fields: Sequence[Mapping[str, Any]] | None) -> "FieldRanges":
        """The fields' ranges where the fields are known, else all ids for each of them."""
        return cls.of_ids(num_ids) if fields is None else cls.of_fields(fields)

    @property
    def width(self) -> int | None:
        """The number of fields, or None."""
        return None if self.names is None else len(self.names)

    def check(self, ids: np.ndarray, where: str) -> None:
        """Raise a ValueError that names `where`, row and field of an id out of range."""
        if not ids.size:
            return
        # a column's extremes first: they take less than a comparison of every id
        if (ids.min(axis=0) >= self.first).all() and (ids.max(axis=0) < self.stop).all():
            return
        row, column = np.argwhere((ids < self.first) | (ids >= self.stop))[0].tolist()
        name = column if self.names is None else repr(self.names[column])
        first, stop = (np.broadcast_to(x, ids.shape[1])[column] for x in (self.first, self.stop))
        raise ValueError(
            f"{where}, row {row}: feature_ids of field {name} must be in [{first}, {stop}), "
            f"found {ids[row, column]}"
        )


def check_types(
    columns: Mapping[str, tuple[str, int | None]],
    where: str,
    width: int | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Check the columns of a file before it is read.

    Args:
        columns: name -> (type of a value, width of a fixed list or None).
        where: names the file.
        width: int, number of fields; None: the widths must only be equal.
        names: columns that must be there, and no other. None: at least label, ids and values.

    Raises:
        ValueError: naming `where`, what was expected and what was found.

    Example:
        >>> check_types({"label": ("uint8", None)}, "log.parquet", names=["label", "group"])
        Traceback (most recent call last):
        ValueError: log.parquet: expected columns group, label, found label
    """
    if names is None:
        missing = {"label", "feature_ids", "feature_values"} - set(columns)
        if missing:
            raise ValueError(f"{where}: expected columns {_list(missing)}, found {_list(columns)}")
    elif set(names) != set(columns):
        raise ValueError(f"{where}: expected columns {_list(names)}, found {_list(columns)}")
    for name, (kind, length) in columns.items():
        if name in TYPES and kind not in TYPES[name]:
            words = " or ".join(TYPES[name])
            raise ValueError(f"{where}: column {name}: expected {words}, found {kind}")
        if name not in FEATURES and length is not None:
            raise ValueError(f"{where}: column {name}: expected one value a row, found {length}")
        if name in FEATURES:
            width = length if width is None else width
            if length != width or not width:
                found = "no fixed list" if length is None else length
                raise ValueError(
                    f"{where}: column {name}: expected lists of {width}, a value for each field, "
                    f"found {found}"
                )


def _list(names):
    return ", ".join(sorted(names))


def check_values(arrays: Mapping[str, np.ndarray], where: str, ranges: FieldRanges) -> None:
    """Check the values of columns: ids in their field's range, labels 0 or 1, the rest finite.

    Raises:
        ValueError: naming `where`, row, what was expected and what was found.
    """
    for name, array in arrays.items():
        if not array.size:
            continue
        if name == "feature_ids":
            ranges.check(array, where)
        elif name == "label":
            good = array <= 1 if array.dtype.kind == "u" else (array == 0) | (array == 1)
            _all(good, array, where, "label must be 0 or 1")
        elif array.dtype.kind == "f":
            # NaN and infinity show in the extremes; where they do, find the row
            low, high = array.min(), array.max()
            if not (np.isfinite(low) and np.isfinite(high)):
                _all(np.isfinite(array), array, where, f"{name} must be finite")
            if name == "true_probability" and not (low >= 0 and high <= 1):
                _all((array >= 0) & (array <= 1), array, where, f"{name} must be in [0, 1]")


def _all(good, array, where, rule):
    if not good.all():
        place = tuple(np.argwhere(~good)[0].tolist())
        raise ValueError(f"{where}, row {place[0]}: {rule}, found {array[place]}")


def one_line(error: Exception) -> str:
    r"""Return what a reader says of a file, in one line of characters that can be printed.

    Example:
        >>> one_line(ValueError("no such type: \x0f\nReading a page failed.\n"))
        'no such type: ? Reading a page failed.'
    """
    text = " ".join(str(error).split())[:300]
    return "".join(c if c.isprintable() else "?" for c in text) or type(error).__name__


@contextlib.contextmanager
def damage_named(path: Path, expected: str) -> Iterator[None]:
    """Turn whatever a reader raises over a damaged file into a ValueError that names the file.

    That a file is missing, forbidden or too large for the memory is no damage and stays.

    Example:
        >>> with damage_named("log.parquet", "a Parquet file"):
        ...     raise IndexError("no such row group")
        Traceback (most recent call last):
        ValueError: log.parquet: expected a Parquet file, found: no such row group
    """
    try:
        yield
    except Exception as error:
        if type(error) in (FileNotFoundError, PermissionError, MemoryError):
            raise
        found = one_line(error)
        raise ValueError(f"{path}: expected {expected}, found: {found}") from error

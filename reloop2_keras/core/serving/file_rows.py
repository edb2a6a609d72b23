"""Raw rows of a file, some at a time, and a position from which reading goes on (ours)."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

Position = dict[str, Any]
MOVED = "expected the file that was begun, found another one where it had been read"


@dataclasses.dataclass(frozen=True)
class Format:
    """How delimited text is to be read, as preparation reads it.

    Attributes:
        separator: one character; None: comma for .csv, tab for any other text.
        quote: the character around values that hold separators, "" for none; None: `"` for .csv.
        multiline: bool, whether quoted values may hold line breaks.
        columns: names of the columns, of a file without a header; None: its first line.

    Raises:
        ValueError: if an argument is none of these.
    """

    separator: str | None = None
    quote: str | None = None
    multiline: bool = False
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for name, value in (("separator", self.separator), ("quote", self.quote)):
            known = value is None or (len(value) == 1 and value.isascii() and value not in "\r\n\0")
            if not known and (value or name == "separator"):
                raise ValueError(f"`{name}` must be one ASCII character. Received: {value!r}")


@dataclasses.dataclass
class Piece:
    """Rows that stand one after the other in a file.

    Attributes:
        first: int, the number of the first, from 0.
        rows: int, how many, bad ones included.
        table: `pyarrow.Table` of those that have the file's columns; the wanted ones alone.
        places: int64 (table.num_rows,), their places among the rows.
        lines: int64 (rows,), where each begins: a line of text, or a row of Parquet, from 1.
        bad: list of (place, message), of rows that are not in `table`.
    """

    first: int
    rows: int
    table: pa.Table
    places: np.ndarray
    lines: np.ndarray
    bad: list[tuple[int, str]]


class RowFile(Protocol):
    """A file of rows; see `TextRows` and `ParquetRows`."""

    path: Path
    names: list[str]
    schema: pa.Schema
    size: int

    def want(self, names: Sequence[str]) -> None:
        """Say which columns to read, before the first row."""
        ...

    def read(self, count: int) -> Piece | None:
        """Return the next rows, `count` or what is left; None if there is none."""
        ...

    def position(self) -> Position:
        """Return where reading stands, as plain values that `seek` takes."""
        ...

    def seek(self, position: Mapping[str, Any] | None) -> None:
        """Go on from a position, if what stands before it is as it was; None: the first row."""
        ...

    def done(self) -> int:
        """Return how much of `size` is read, for a bar to show."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def open_rows(path: str | os.PathLike, form: Format | None = None) -> RowFile:
    """Return the rows of a file: Parquet by its name's ending, else delimited text.

    Args:
        path: .parquet, .csv, or any other text (tab), the latter two also as .gz or .zst.
        form: `Format` of text.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it is empty, damaged, or of another kind.
    """
    from reloop2_keras.core.serving.parquet_rows import ParquetRows
    from reloop2_keras.core.serving.text_rows import TextRows

    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "none"
        raise FileNotFoundError(f"{path}: expected a file, found {found}")
    if path.suffix.lower() in (".parquet", ".pq"):
        return ParquetRows(path)
    if {".json", ".jsonl", ".ndjson"} & {suffix.lower() for suffix in path.suffixes[-2:]}:
        raise ValueError(f"{path}: expected CSV, delimited text or Parquet, found JSON")
    return TextRows(path, form or Format())


def pieces(file: RowFile, count: int) -> Iterator[Piece]:
    """Yield what is left of a file, `count` rows at a time."""
    while (piece := file.read(count)) is not None:
        yield piece

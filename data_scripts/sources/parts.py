"""Parts of a log that can be read apart from each other: whole rows of one file."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:  # `errors` knows chunks of the package that this module is in.
    from data_scripts.errors import Errors


@dataclasses.dataclass(frozen=True)
class Part:
    """Some whole rows of one file.

    Attributes:
        file: int, its place among the files of the log.
        start, stop: bytes of a text, or row groups of a Parquet file; `stop` None: the whole file,
            which can only be read from its beginning.
        line: int, that of its first row; 1 as long as nobody has counted.
        rows: int, rows that are there, good or bad, where that is known without reading; or None.
    """

    file: int
    start: int = 0
    stop: int | None = None
    line: int = 1
    rows: int | None = None


@dataclasses.dataclass(frozen=True)
class Parts:
    """How a source is read in parts.

    Attributes:
        cut: function of a number of bytes -> the `Part`s of the log in order, of about so many.
        read: function (part, chunk_rows, errors, seen) -> iterator of frames, as `Source.chunks`.
        begin: function that returns what rows further up say about later ones (`Seen`), as it is
            before the first row; or None where they say nothing.
    """

    cut: Callable[[int], list[Part]]
    read: "Callable[[Part, int, Errors, Any], Iterator[pl.DataFrame]]"
    begin: Callable[[], Any] = lambda: None

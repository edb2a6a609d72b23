"""Careful reader of delimited text: every value as text, every bad row with its line."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv

from data_scripts.errors import InputError
from data_scripts.sources import multiline, quotes
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.inputs import block_size, blocks
from data_scripts.sources.parts import Part
from reloop2_keras.core.array_checks import one_line

CARRIAGE = "expected line ends of LF or CR LF, not a CR within a line"
STRAY = "expected a separator after the closing quote"


@dataclasses.dataclass(frozen=True)
class Format:
    """How delimited text is to be read.

    Attributes:
        separator: one character.
        quote: the character around values that hold separators, doubled within; "" for none.
        multiline: bool, whether quoted values may hold line breaks.
        written: str, what stands in the file for `separator` if that is more than one character
            ("::"); `separator` is then a character that no value holds. Not with `multiline`.
        encoding: str, of the file; one that leaves line ends as they are ("latin-1").
    """

    separator: str
    quote: str = ""
    multiline: bool = False
    written: str = ""
    encoding: str = "utf-8"

    def __post_init__(self):
        for name, value in (("separator", self.separator), ("quote", self.quote)):
            if not (len(value) == 1 and value.isascii() and value not in "\r\n\0"):
                if name == "separator" or value:
                    raise ValueError(f"`{name}` must be one ASCII character. Received: {value!r}")
        if self.separator == self.quote:
            raise ValueError(f"`separator` and `quote` must differ. Received: {self.quote!r}")
        if self.multiline and not self.quote:
            raise ValueError("`multiline` needs `quote`, around values that hold line breaks")

    def plain(self, block: bytes) -> bytes:
        """Return a block of whole lines as UTF-8 with one-character separators."""
        if self.encoding != "utf-8":
            block = block.decode(self.encoding).encode("utf-8")
        return (
            block.replace(self.written.encode(), self.separator.encode()) if self.written else block
        )


def read_header(path: Path, form: Format) -> list[str]:
    """Return the names in a file's first line.

    Raises:
        InputError: if there are none, or the line is no UTF-8.
    """
    if form.multiline:
        for chunk in multiline.read(path, form, None, 1):
            for line, reason, value, _ in chunk.found:
                message = value if reason is None else f"{reason}, found {value!r}"
                raise InputError(f"{path}:{line}: {message}")
            return list(chunk.frame.row(0))
    _, _, block = next(blocks(path, 1 << 16))
    first = block.split(b"\n", 1)[0].removesuffix(b"\r")
    try:
        text = first.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:1: expected UTF-8, found {first[:40]!r}") from error
    if "\r" in text:
        raise InputError(f"{path}:1: {CARRIAGE}, found {text[:60]!r}")
    wrong = form.quote and quotes.quote_fault(text, form.separator, form.quote)
    if wrong:
        raise InputError(f"{path}:1: {_opened(form) if wrong == quotes.OPEN else STRAY}")
    return next(quotes.csv_reader([text], form.separator, form.quote), [])


def read_delimited(
    path: Path,
    form: Format,
    names: list[str],
    wanted: list[str],
    header: bool,
    chunk_rows: int,
    part: Part | None = None,
) -> Iterator[Chunk]:
    """Yield a `Chunk` of String columns for each block of a file.

    Args:
        path: `pathlib.Path`.
        form: `Format`.
        names: names of all columns, in order.
        wanted: names of the columns to read, each of which is there once.
        header: bool, whether the first line names the columns.
        chunk_rows: int, rows a chunk, about.
        part: `Part` to read alone, a whole file where values may hold line breaks; None: all.
    """
    if form.multiline:
        for chunk in multiline.read(path, form, len(names), chunk_rows, header):
            chunk.frame = chunk.frame.select(
                pl.col(f"column_{names.index(name)}").alias(name) for name in wanted
            )
            yield chunk
        return
    for first, count, block in blocks(path, block_size(chunk_rows), part):
        if header and first == 1:
            block = block[block.find(b"\n") + 1 or len(block) :]
            first, count = 2, count - 1
        if count:
            yield parse_block(path, form, names, wanted, first, count, form.plain(block))


def parse_block(
    path: Path,
    form: Format,
    names: list[str],
    wanted: list[str],
    first: int,
    count: int,
    block: bytes,
) -> Chunk:
    """Return the `Chunk` of a block of `count` whole lines; `first` is the number of the first."""
    array = np.frombuffer(block, "uint8")
    ends = np.flatnonzero(array == ord("\n"))
    if len(ends) < count:
        ends = np.append(ends, len(block))  # The last line has no line end.
    starts = np.append(0, ends[:-1] + 1)
    numbers = np.arange(first, first + count)
    wrong = _wrong_lines(form, len(names), array, block, starts, ends)
    if wrong:
        good = np.ones(count, bool)
        good[list(wrong)] = False
        kept = np.flatnonzero(good)
        block = b"".join(block[starts[i] : ends[i] + 1] for i in kept)
        numbers, first_numbers = numbers[good], numbers
    frame, ragged = _parse(path, form, names, wanted, block, len(numbers), first)
    lines = np.delete(numbers, [row for row, _ in ragged]) if ragged else numbers
    chunk = Chunk(path, frame, lines, count)
    for i, (reason, value) in wrong.items():
        if reason == quotes.OPEN:
            chunk.stop(first_numbers[i], _opened(form))
        else:
            chunk.note(first_numbers[i], reason, value)
    for row, found in ragged:
        chunk.note(numbers[row], f"expected {len(names)} columns", found)
    return chunk


def _opened(form):
    return quotes.OPENED.format(where="in this line", quote=form.quote)


def _wrong_lines(form, columns, array, block, starts, ends):
    """Find what Arrow does not report: dict line of the block -> (reason, value)."""
    wrong = {}

    def text(i):
        return block[starts[i] : ends[i]].removesuffix(b"\r").decode("utf-8", "replace")

    if columns > 1:  # Arrow takes an empty line for a row of empty values.
        sizes = ends - starts
        for i in np.flatnonzero(sizes <= 1):
            if not text(i):
                wrong[i] = (f"expected {columns} columns", "an empty line")
    if not block.isascii():
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
                try:
                    block[start:end].decode("utf-8")
                except UnicodeDecodeError as error:
                    line = block[start:end]
                    found = line[max(0, error.start - 10) : error.end + 10]
                    wrong[i] = ("expected UTF-8", found)
    if b"\r" in block:  # Arrow takes a CR for a line end.
        at = np.flatnonzero(array == ord("\r"))
        at = at[at + 1 < len(array)]
        for i in np.unique(np.searchsorted(ends, at[array[at + 1] != ord("\n")])):
            wrong.setdefault(i, (CARRIAGE, text(i)))
    if form.quote:
        for i in quotes.suspicious_lines(array, ends, form.separator, form.quote):
            found = None if i in wrong else quotes.quote_fault(text(i), form.separator, form.quote)
            if found:
                wrong[i] = (found if found == quotes.OPEN else STRAY, text(i))
    return wrong


def _parse(path, form, names, wanted, block, rows, first):
    """Frame of a block without wrong lines, and (row, columns found) of rows of other widths."""
    if not rows:
        return pl.DataFrame(schema=dict.fromkeys(wanted, pl.String)), []
    ragged = []

    def skip(row):
        ragged.append((row.number - 1, row.actual_columns))
        return "skip"

    if block.startswith(b"\xef\xbb\xbf"):
        block = b"\xef\xbb\xbf" + block  # Arrow drops one mark, and this one is text.
    # Columns are chosen by position, because two may have the same name.
    places = [str(names.index(name)) for name in wanted]
    try:
        table = csv.read_csv(
            pa.BufferReader(block),
            # Arrow numbers bad rows only with one thread and one block.
            csv.ReadOptions(
                use_threads=False,
                block_size=len(block) + 1,
                column_names=[str(i) for i in range(len(names))],
            ),
            csv.ParseOptions(
                delimiter=form.separator,
                quote_char=form.quote or False,
                double_quote=bool(form.quote),
                ignore_empty_lines=False,
                invalid_row_handler=skip,
            ),
            csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()),
                include_columns=places,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}:{first}: {one_line(error)}") from error
    frame = pl.DataFrame(pl.from_arrow(table))
    frame.columns = list(wanted)
    return frame, ragged

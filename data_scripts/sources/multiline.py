"""Delimited text whose quoted values hold line breaks: records by Python's reader, with lines."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from data_scripts.sources import quotes
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.inputs import LONGEST, block_size, blocks

if TYPE_CHECKING:  # `delimited` imports this module.
    from data_scripts.sources.delimited import Format


def read(
    path: Path, form: "Format", columns: int | None, chunk_rows: int, header: bool = False
) -> Iterator[Chunk]:
    """Yield a `Chunk` of `column_0`, `column_1`, … for every `chunk_rows` records.

    A value whose quote closes too early, or never, stops the run and is not skipped as a bad row,
    because nobody knows where the next row begins.

    Args:
        path: `pathlib.Path`.
        form: `delimited.Format` with a quote.
        columns: int, or None: as many as the first record has.
        chunk_rows: int.
        header: bool, whether to leave out the first record.
    """
    lines = _Lines(path, block_size(chunk_rows))
    records = quotes.csv_reader(lines, form.separator, form.quote)
    rows, places, wrong, count = [], [], [], 0
    while True:
        line = records.line_num + 1
        lines.record.clear()
        stop = None
        try:
            row = next(records, None)
        except csv.Error as error:
            row, stop = None, _why(error, line, lines, form)
        if header and row is not None:
            header = False
            continue
        if row is not None:
            columns = columns or len(row)
            row = row or [""]  # Python's reader gives no values for an empty line.
            count += 1
            text = "".join(row)
            if not text.isascii() and (found := _no_text(text)):
                wrong.append((line, "expected UTF-8", found))
            elif len(row) != columns or (columns > 1 and not text and len(row) == 1):
                found = "an empty line" if row == [""] else len(row)
                wrong.append((line, f"expected {columns} columns", found))
            else:
                rows.append(row)
                places.append(line)
            if count < chunk_rows:
                continue
        if count or stop:
            schema = {f"column_{i}": pl.String for i in range(columns or 0)}
            data = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
            frame = pl.DataFrame(dict(zip(schema, data, strict=True)), schema=schema)
            chunk = Chunk(path, frame, places, count)
            for item in wrong:
                chunk.note(*item)
            if stop:
                chunk.stop(*stop)
            yield chunk
        if row is None:
            return
        rows, places, wrong, count = [], [], [], 0


class _Lines:
    """Iterates over the lines of a file as text; keeps those of the record that is being read."""

    def __init__(self, path, size) -> None:
        self.record: list[str] = []
        self._lines = self._read(path, size)

    def __iter__(self):
        return self

    def __next__(self):
        line = next(self._lines)
        self.record.append(line)
        return line

    @staticmethod
    def _read(path, size):
        for _, _, block in blocks(path, size):
            # Bytes that are not UTF-8 become lone surrogates, by which their row is found later.
            text = block.decode("utf-8", "surrogateescape")
            start = 0
            while (end := text.find("\n", start) + 1) > 0:
                yield text[start:end]
                start = end
            if start < len(text):
                yield text[start:]


def _no_text(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raw = text.encode("utf-8", "surrogateescape")
        place = len(text[: error.start].encode("utf-8"))
        return raw[max(0, place - 10) : place + 11]
    return None


def _why(error, line, lines, form):
    text = "".join(lines.record)
    place = quotes.opening_line(text, line, form.separator, form.quote)
    if "new-line character" in str(error):
        return (
            line,
            f"expected line ends of LF or CR LF, not a CR within a line, found {text[:60]!r}",
        )
    if "field limit" in str(error):
        return place, f"expected a value of less than {LONGEST >> 20} MB; is a quote missing?"
    if "unexpected end" in str(error):
        return place, quotes.OPENED.format(where="in this file", quote=form.quote)
    return place, "expected a separator or a line end after the quoted value that begins here"

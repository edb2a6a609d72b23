"""Streaming reader of delimited text: every value as text, every bad row with its line."""

import bisect

import polars as pl
import pyarrow as pa
from pyarrow import csv

from data_scripts.errors import InputError

BLOCK = 1 << 20  # bytes; Arrow reads 32 blocks ahead, so that large ones cost much memory
BYTES_A_ROW = 256  # to turn rows of a chunk into bytes of a block


def read_delimited(path, separator, columns, header, quote, chunk_rows, errors):
    """Yield (DataFrame of String columns, function row -> line of the file) for each chunk.

    Args:
        path: `pathlib.Path`.
        separator: one character.
        columns: names of all columns without a header, or of those wanted with one.
        header: bool, whether the first line names the columns.
        quote: the quote character, or None.
        chunk_rows: int, rows a chunk, about.
        errors: `Errors`.

    Raises:
        InputError: for an empty file, a missing column, or a wrong number of columns.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a file, found none")
    if path.stat().st_size == 0:
        raise InputError(f"{path}:1: expected rows, found an empty file")
    bad_lines = []

    def on_bad_row(row):
        errors.add(path, row.number, f"expected {row.expected_columns} columns", row.actual_columns)
        bad_lines.append(row.number)
        return "skip"

    raised = []

    def handler(row):
        try:
            return on_bad_row(row)
        except InputError as error:  # Arrow would swallow it
            raised.append(error)
            return "error"

    names = _header(path, separator, quote, columns) if header else list(columns)
    try:
        reader = csv.open_csv(
            path,
            # one thread: rows get their numbers only then
            read_options=csv.ReadOptions(
                use_threads=False,
                block_size=min(BLOCK, max(4096, chunk_rows * BYTES_A_ROW)),
                column_names=None if header else names,
            ),
            parse_options=csv.ParseOptions(
                delimiter=separator,
                quote_char=quote or False,
                double_quote=bool(quote),
                ignore_empty_lines=False,
                invalid_row_handler=handler,
            ),
            convert_options=csv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                include_columns=list(columns),
                strings_can_be_null=False,
            ),
        )
        first, parts, rows = 0, [], 0
        for batch in reader:
            parts.append(batch)
            rows += len(batch)
            if rows >= chunk_rows:
                yield _frame(parts), _numbering(first + header, bad_lines)
                first, parts, rows = first + rows, [], 0
        if rows:
            yield _frame(parts), _numbering(first + header, bad_lines)
    except pa.ArrowInvalid as error:
        if raised:
            raise raised[0] from None
        raise _diagnosed(path, error) from None


def count_lines(path):
    """Return the number of lines, or None for files that only a careful reader can count.

    Args:
        path: `pathlib.Path` of a file whose fields hold no line breaks.
    """
    if not path.is_file():
        return None
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            if b"\r" in block:  # may end lines by itself
                return None
            lines += block.count(b"\n")
            last = block[-1:]
    return (lines + (last != b"\n")) or None


def _frame(batches):
    return pl.from_arrow(pa.Table.from_batches(batches).combine_chunks())


def _numbering(before, bad_lines):
    """Function row of a chunk -> line of the file; `before` good lines came before the chunk."""

    def line_of(row):
        # bad lines are not among the rows: step over those that came before
        line = before + row + 1
        for bad in bad_lines[: bisect.bisect_right(bad_lines, line + len(bad_lines))]:
            line += bad <= line
        return line

    return line_of


def _header(path, separator, quote, columns):
    with path.open("rb") as file:
        first = file.readline()
    try:
        names = first.decode("utf-8-sig").rstrip("\r\n").split(separator)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:1: expected UTF-8, found {first[:40]!r}") from error
    names = [name.strip(quote or "") for name in names]
    missing = [name for name in columns if name not in names]
    if missing:
        raise InputError(f"{path}:1: expected a column {missing[0]!r}, found {', '.join(names)}")
    return names


def _diagnosed(path, error):
    """Slow and careful: find the line that is no UTF-8, or give Arrow's own words."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as broken:
                found = line[max(0, broken.start - 10) : broken.end + 10]
                return InputError(f"{path}:{number}: expected UTF-8, found {found!r}")
    return InputError(f"{path}: {error}")


def numbers(frame, column, path, line_of, errors, keep, integer=False):
    """Parse a text column as numbers, empty as null; rows that are neither are taken off `keep`.

    Args:
        frame: DataFrame of String columns.
        column: str.
        path, line_of, errors: to name bad rows.
        keep: list of one bool Series, changed in place.
        integer: bool, whether only whole numbers will do.

    Returns:
        Float64 Series.
    """
    text = frame[column].str.strip_chars()
    text = text.set(text == "", None)
    parsed = text.cast(pl.Int64 if integer else pl.Float64, strict=False).cast(pl.Float64)
    bad = text.is_not_null() & (parsed.is_null() | ~parsed.is_finite().fill_null(False))
    kind = "an integer" if integer else "a number"
    reject(bad, frame[column], path, line_of, errors, keep, f"expected {kind} in column {column}")
    return parsed


def reject(bad, values, path, line_of, errors, keep, reason):
    """Note the rows where `bad` is true and take them off `keep`; none is noted twice."""
    bad = bad & keep[0]
    if bad.any():
        for row in bad.arg_true().to_list():
            errors.add(path, line_of(row), reason, values[row])
        keep[0] = keep[0] & ~bad

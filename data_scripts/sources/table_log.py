"""Any CSV, TSV, JSON-lines or Parquet files, by column names."""

import os
from collections.abc import Iterable, Iterator

import polars as pl

from data_scripts.errors import Errors, InputError
from data_scripts.sources import json_lines, parquet
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.cuts import cut_lines, cut_row_groups
from data_scripts.sources.delimited import Format, read_delimited, read_header
from data_scripts.sources.inputs import expand_paths, short_names, suffixes
from data_scripts.sources.layout import Layout
from data_scripts.sources.parts import Part, Parts
from data_scripts.sources.seen import Seen
from data_scripts.sources.source import Source
from data_scripts.sources.times import Times, check_form
from data_scripts.sources.values import group_codes, labels, numbers
from data_scripts.text import canonical
from reloop2_keras.core.labels import LabelRule
from reloop2_keras.core.raw_columns import RawColumns


def table(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    label: str,
    time: str | None = None,
    categorical: Iterable[str] = (),
    numeric: Iterable[str] = (),
    group: str | None = None,
    positive: str | None = None,
    sort: bool = False,
    time_format: str = "auto",
    separator: str | None = None,
    quote: str | None = None,
    multiline: bool = False,
    layout: Layout | None = None,
) -> Source:
    """Read a table by column names.

    Args:
        path: file, or several in the order of time, or a glob (in the order of the numbers in
            the names): .csv (comma), .parquet, .json and .jsonl (an object a line), any other text
            (tab); text also as .gz or .zst.
        label: column of the label: 0 and 1, or False and True, or anything that `positive` fits.
        time: column of the time (see `times.FORMS`; turned to Unix seconds). Rows must be in its
            order. None: the file's order is time.
        categorical: columns read as tokens.
        numeric: columns read as numbers.
        group: column for gAUC (the user, say).
        positive: such as ">=4", or words as "yes" or "click,purchase" or "!=view": which labels
            count as a click.
        sort: bool, whether to sort by time first; holds the table's used columns in memory.
        time_format: "auto", "seconds", "milliseconds", "microseconds", "nanoseconds", or a
            pattern of strptime.
        separator: one character, or None: by the file's name.
        quote: the character around values that hold separators, "" for none; None: '"' in .csv,
            none in other files.
        multiline: bool, whether quoted values may hold line breaks.
        layout: `Layout`, for files without a header, and for columns that are worked out of others
            or stand in a second file; the loaders of well-known logs use it.

    Returns:
        `Source`.

    Raises:
        ValueError: if an argument does not fit; InputError, on reading, for bad rows.
    """
    paths = expand_paths(path)
    categorical, numeric = list(categorical), list(numeric)
    _check(label, time, categorical, numeric, group, sort)
    rule = LabelRule.parse(positive)
    check_form(time_format)
    layout = Layout() if layout is None else layout
    forms = [layout.form or _form(path, separator, quote, multiline) for path in paths]
    fields = [(n, "categorical") for n in categorical] + [(n, "numeric") for n in numeric]
    given = layout.from_sides()
    own_categorical = [name for name in categorical if name not in given]
    own_numeric = [name for name in numeric if name not in given]
    roles = [(label, "label")] + ([(time, "time")] if time else [])
    roles += [(name, "categorical") for name in own_categorical + ([group] if group else [])]
    roles += [(name, "numeric") for name in own_numeric]
    wanted = layout.in_file(name for name, _ in roles)

    def canonical_frame(chunk: Chunk, times: Times | None) -> pl.DataFrame:
        columns = [labels(chunk, label, rule).alias("label")]
        if group:
            columns.append(group_codes(chunk.frame[group]).alias("group"))
        if times:
            columns.append(times.seconds(chunk).alias("time"))
        columns += [numbers(chunk, name).alias(name) for name in own_numeric]
        columns += [canonical(chunk.frame[name]).alias(name) for name in own_categorical]
        return pl.DataFrame(columns)

    def good_rows(chunk: Chunk, errors: Errors, seen: Seen) -> pl.DataFrame:
        chunk.frame = layout.derive(chunk.frame)
        frame = canonical_frame(chunk, seen.times)
        if not sort:
            seen.check_order(chunk, frame)
        frame = errors.keep_good_rows(chunk, frame, limited=not sort)
        seen.take(chunk, frame)
        return frame

    def begin() -> Seen:
        return Seen(paths[0], label, positive, time, time_format)

    def chunks(chunk_rows: int, errors: Errors | None) -> Iterator[pl.DataFrame]:
        errors, seen, frames = errors or Errors(), begin(), []
        sides = [side.load(numeric) for side in layout.sides]

        def slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
            """Put the side tables' columns beside a slice at a time, which saves memory."""
            for part in frame.iter_slices(chunk_rows):
                for side in sides:
                    part = side.beside(part)
                yield part

        for chunk in read(map(Part, range(len(paths))), chunk_rows):
            frame = good_rows(chunk, errors, seen)
            if sort:
                frames.append(frame)
                continue
            if errors.left == 0:
                seen.check_end()  # The caller may not ask for another frame.
            yield from slices(frame)
            if errors.left == 0:
                return
        seen.check_end()
        if frames:
            whole = pl.concat(frames).sort("time", maintain_order=True)
            yield from slices(whole)

    def read(parts: Iterable[Part], chunk_rows: int) -> Iterator[Chunk]:
        return _read(paths, forms, wanted, roles, layout.header, chunk_rows, parts)

    def read_part(
        part: Part, chunk_rows: int, errors: Errors, seen: Seen
    ) -> Iterator[pl.DataFrame]:
        for chunk in read([part], chunk_rows):
            yield from good_rows(chunk, errors, seen).iter_slices(chunk_rows)
            if errors.left == 0:
                return

    def cut(size: int) -> list[Part]:
        return [
            part
            for file, pair in enumerate(zip(paths, forms, strict=True))
            for part in _cut(file, *pair, size)
        ]

    extras = tuple(name for name, used in (("group", group), ("time", time)) if used)
    options = {
        "label": label,
        "time": time,
        "categorical": categorical,
        "numeric": numeric,
        "group": group,
        "positive": positive,
        "sort": sort,
        "time_format": time_format,
        "separator": separator,
        "quote": quote,
        "multiline": multiline,
    }
    files = (*paths, *(side.path for side in layout.sides))
    others = tuple(name for name in (time, group) if name)
    raw = RawColumns(label, positive, others, derived=layout.made(), sides=layout.keys())
    # What is sorted, or looks rows up in a second file, is read as a whole.
    parts = None if sort or layout.sides else Parts(cut, read_part, begin)
    return Source("table", fields, chunks, extras, options, paths=files, raw=raw, parts=parts)


def _check(label, time, categorical, numeric, group, sort):
    fields = categorical + numeric
    if not fields:
        raise ValueError(
            "`categorical` and `numeric` must name at least one column. Received: none"
        )
    if label in fields:
        raise ValueError(f"`label` must not be a field too, which would give it away: {label!r}")
    if sort and not time:
        raise ValueError("`sort` needs `time`, the column to sort by")
    # A field must not have the name of another column of the dataset.
    taken = ["label"] + ["group"] * bool(group) + ["time"] * bool(time)
    twice = sorted({name for name in fields if (fields + taken).count(name) > 1})
    if twice:
        raise ValueError(f"columns {twice} are used twice or named like label, group, time")


def _form(path, separator, quote, multiline):
    """`Format` of delimited text, None for Parquet and JSON lines."""
    if parquet.is_parquet(path) or json_lines.is_json_lines(path):
        return None
    comma = suffixes(path)[0] == ".csv"
    if quote is None:
        quote = '"' if comma else ""
    if separator is None:
        separator = "," if comma else "\t"
    return Format(separator, quote, multiline)


def _read(paths, forms, wanted, roles, header, chunk_rows, parts):
    """Yield the chunks of parts of files, after a look at the columns of each file."""
    names = [
        list(header) if header else _names(*pair, wanted, roles)
        for pair in zip(paths, forms, strict=True)
    ]
    told = short_names(paths)
    for part in parts:
        path, form, columns = paths[part.file], forms[part.file], names[part.file]
        if form is None and json_lines.is_json_lines(path):
            read = json_lines.read_json_lines(path, wanted, chunk_rows, part)
        elif form is None:
            read = parquet.read_parquet(path, wanted, chunk_rows, part)
        else:
            read = read_delimited(path, form, columns, wanted, not header, chunk_rows, part)
        for chunk in read:
            chunk.name = told[part.file]
            yield chunk


def _cut(file, path, form, size):
    """The parts of one file; a file whose values may hold line breaks is one part."""
    if form is not None and form.multiline:
        return [Part(file)]
    if form is None and not json_lines.is_json_lines(path):
        return cut_row_groups(path, file)
    return cut_lines(path, file, size)


def _names(path, form, wanted, roles):
    as_json = form is None and json_lines.is_json_lines(path)
    if as_json:
        names = json_lines.read_keys(path)
    else:
        names = parquet.read_names(path) if form is None else read_header(path, form)
    where = str(path) if form is None else f"{path}:1"
    missing = [name for name in wanted if name not in names]
    if missing:
        known = "" if form is None else f" (separated by {form.separator!r}; see --separator)"
        shown = [name if len(name) <= 60 else f"{name[:57]}..." for name in names[:100]]
        found = ", ".join(map(repr, shown)) or "none"
        raise InputError(
            f"{where}: expected columns {', '.join(map(repr, missing))}, found {found}{known}"
        )
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise InputError(
            f"{where}: expected one column of each name, found several called "
            f"{', '.join(map(repr, twice))}"
        )
    if form is None and not as_json:
        parquet.check_types(path, roles)
    return names

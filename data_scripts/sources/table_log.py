"""Any CSV, TSV, JSON-lines or Parquet files, by column names."""

import os
from collections.abc import Iterable, Iterator

import polars as pl

from data_scripts.errors import Errors, InputError
from data_scripts.sources import json_lines, parquet
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.delimited import Format, read_delimited, read_header
from data_scripts.sources.inputs import expand_paths, short_names, suffixes
from data_scripts.sources.layout import Layout
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

    def check_order(chunk: Chunk, frame: pl.DataFrame, last: int | None) -> int | None:
        """Note the first row whose time is before that of the row above it; return the last."""
        good = frame.filter(chunk.keep)
        if not len(good):
            return last
        times = good["time"]
        previous = times.shift(1, fill_value=last)
        late = (times < previous).fill_null(False)
        if late.any():
            row = late.arg_true()[0]
            chunk.stop(
                chunk.lines[chunk.keep.to_numpy()][row],
                f"expected rows in the order of {time} (>= {previous[row]} as in the row before), "
                f"found {times[row]}; use --sort",
            )
        return times[-1]

    words_click = int(rule.compare != "!=")

    def check_end(fitting: int, times: Times | None) -> None:
        # A misspelled word would make a log without a click, or (with "!=") of clicks alone.
        if rule.words is not None and not fitting:
            raise InputError(
                f"{paths[0]}: expected labels in column {label} that --positive {positive!r} takes "
                f"for {'a' if words_click else 'no'} click, found none"
            )
        if times:
            times.check_clear()

    def chunks(chunk_rows: int, errors: Errors | None) -> Iterator[pl.DataFrame]:
        errors, times = errors or Errors(), Times(time, time_format) if time else None
        parts, last, fitting = [], None, 0
        sides = [side.load(numeric) for side in layout.sides]

        def slices(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
            """Put the side tables' columns beside a slice at a time, which saves memory."""
            for part in frame.iter_slices(chunk_rows):
                for side in sides:
                    part = side.beside(part)
                yield part

        for chunk in _read(paths, forms, wanted, roles, layout.header, chunk_rows):
            chunk.frame = layout.derive(chunk.frame)
            frame = canonical_frame(chunk, times)
            if time and not sort:
                last = check_order(chunk, frame, last)
            frame = errors.keep_good_rows(chunk, frame, limited=not sort)
            if times:
                times.watch(chunk, frame["time"])
            fitting += int((frame["label"] == words_click).sum())
            if sort:
                parts.append(frame)
                continue
            if errors.left == 0:
                check_end(fitting, times)  # The caller may not ask for another frame.
            yield from slices(frame)
            if errors.left == 0:
                return
        check_end(fitting, times)
        if parts:
            whole = pl.concat(parts).sort("time", maintain_order=True)
            yield from slices(whole)

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
    return Source("table", fields, chunks, extras, options, paths=files, raw=raw)


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


def _read(paths, forms, wanted, roles, header, chunk_rows):
    """Yield the chunks of all files, after a look at the columns of each."""
    names = [
        list(header) if header else _names(*pair, wanted, roles)
        for pair in zip(paths, forms, strict=True)
    ]
    for path, form, columns, name in zip(paths, forms, names, short_names(paths), strict=True):
        if form is None and json_lines.is_json_lines(path):
            read = json_lines.read_json_lines(path, wanted, chunk_rows)
        elif form is None:
            read = parquet.read_parquet(path, wanted, chunk_rows)
        else:
            read = read_delimited(path, form, columns, wanted, not header, chunk_rows)
        for chunk in read:
            chunk.name = name
            yield chunk


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

"""Any CSV, TSV or Parquet file, by column names."""

import operator
import re
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
from pandas.util import hash_array

from data_scripts.errors import InputError
from data_scripts.sources.delimited import numbers, read_delimited, reject
from data_scripts.sources.source import Source

ROW = "\0row"  # no column of a table is called so
OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def table(
    path, label, time=None, categorical=(), numeric=(), group=None, positive=None, sort=False
):
    """Read a table by column names.

    Args:
        path: .csv (comma), .tsv or .txt (tab), or .parquet.
        label: column of the label: 0 and 1, or any number together with `positive`.
        time: column of the time: numbers, or dates such as 2013-11-06 or 2013-11-06 12:30:00
            (turned to Unix seconds). Rows must be in its order. None: the file's order is time.
        categorical: columns read as tokens.
        numeric: columns read as numbers.
        group: column for gAUC (the user, say).
        positive: such as ">=4": which label values count as a click.
        sort: bool, whether to sort by time first; holds the table's used columns in memory.

    Returns:
        `Source`.

    Raises:
        ValueError: if an argument does not fit; InputError, on reading, for bad rows.
    """
    path = Path(path)
    categorical, numeric = list(categorical), list(numeric)
    if not categorical and not numeric:
        raise ValueError(
            "`categorical` and `numeric` must name at least one column. Received: none"
        )
    if label in (*categorical, *numeric):
        raise ValueError(f"`label` must not be a field too, which would give it away: {label!r}")
    if sort and not time:
        raise ValueError("`sort` needs `time`, the column to sort by")
    rule = re.fullmatch(r"\s*(>=|<=|==|!=|>|<)\s*(-?[\d.]+)\s*", positive) if positive else None
    if positive and not rule:
        raise ValueError(f'`positive` must be like ">=4". Received: {positive!r}')
    used = list(dict.fromkeys([label, *categorical, *numeric, *filter(None, (time, group))]))

    def canonical(frame, line_of, errors):
        keep = [pl.repeat(True, len(frame), eager=True)]
        value = numbers(frame, label, path, line_of, errors, keep)
        reject(value.is_null(), frame[label], path, line_of, errors, keep, "expected a label")
        if rule:
            clicked = OPERATORS[rule[1]](value, float(rule[2]))
        else:
            clicked = value == 1
            wrong = ~value.is_in([0.0, 1.0]).fill_null(True)
            reject(wrong, frame[label], path, line_of, errors, keep, "expected label 0 or 1")
        columns = [clicked.fill_null(False).cast(pl.UInt8).alias("label")]
        if group:
            columns.append(_group_codes(frame[group]).alias("group"))
        if time:
            seconds = _seconds(frame[time])
            reason = f"expected a time in column {time}"
            reject(seconds.is_null(), frame[time], path, line_of, errors, keep, reason)
            columns.append(seconds.alias("time"))
        for name in numeric:
            columns.append(numbers(frame, name, path, line_of, errors, keep).alias(f"{name}"))
        for name in categorical:
            text = frame[name]
            columns.append(text.set(text == "", None).alias(name))
        rows = pl.int_range(len(frame), eager=True).alias(ROW)
        return pl.DataFrame([*_unique(columns), rows]).filter(keep[0]), line_of

    def chunks(chunk_rows, errors):
        parts = (canonical(*part, errors) for part in _read(path, used, chunk_rows, errors))
        if sort:
            whole = pl.concat([frame for frame, _ in parts]).sort("time", maintain_order=True)
            parts = ((frame, None) for frame in whole.iter_slices(chunk_rows))
        last = None
        for frame, line_of in parts:
            if time and len(frame):
                previous = frame["time"].shift(1, fill_value=last)
                late = (frame["time"] < previous).fill_null(False)
                if late.any():
                    row = late.arg_true()[0]
                    raise InputError(
                        f"{path}:{line_of(frame[ROW][row])}: expected rows in the order of "
                        f"{time} (>= {previous[row]}), found {frame['time'][row]}; use --sort"
                    )
                last = frame["time"][-1]
            yield frame.drop(ROW)

    extras = tuple(name for name, used in (("group", group), ("time", time)) if used)
    options = {
        "label": label,
        "time": time,
        "categorical": categorical,
        "numeric": numeric,
        "group": group,
        "positive": positive,
        "sort": sort,
    }
    fields = [(n, "categorical") for n in categorical] + [(n, "numeric") for n in numeric]
    return Source("table", fields, chunks, extras, options, paths=(path,))


def _unique(columns):
    # a column may be a field and the label's or the time's name at once: fields keep theirs
    names = [column.name for column in columns]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"columns {sorted(twice)} are used twice or named like label, group, time")
    return columns


def _read(path, used, chunk_rows, errors):
    if path.suffix == ".parquet":
        if not path.is_file():
            raise InputError(f"{path}: expected a file, found none")
        file = pq.ParquetFile(path)
        missing = [name for name in used if name not in file.schema_arrow.names]
        if missing:
            found = ", ".join(file.schema_arrow.names)
            raise InputError(f"{path}: expected a column {missing[0]!r}, found {found}")
        first = 0
        for batch in file.iter_batches(chunk_rows, columns=used):
            frame = pl.from_arrow(batch).with_columns(pl.all().cast(pl.String).fill_null(""))
            yield frame, lambda row, first=first: first + row + 1  # the row: there are no lines
            first += len(batch)
        return
    separator = "," if path.suffix == ".csv" else "\t"
    yield from read_delimited(path, separator, used, True, '"', chunk_rows, errors)


def _group_codes(values):
    """Group names as int64 hashes: the same name gets the same code in every chunk."""
    return pl.Series(hash_array(values.to_numpy().astype(object)).view("int64"))


def _seconds(text):
    """Unix seconds of numbers or dates, null where unreadable; one form for the whole chunk."""
    text = text.set(text == "", None)
    readings = [text.cast(pl.Float64, strict=False).floor().cast(pl.Int64, strict=False)]
    for pattern in ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"):
        kind = pl.Datetime("us") if "H" in pattern else pl.Date
        dates = text.str.strptime(kind, pattern, strict=False).cast(pl.Datetime("us"))
        readings.append(dates.dt.epoch("s"))
    # the form that reads most rows: what it leaves out is what is wrong
    return min(readings, key=lambda reading: reading.null_count())

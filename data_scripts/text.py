"""`canonical_text` of whole columns: equal to it value by value, but fast."""

import polars as pl

from reloop2_keras.core.text import BOOLEANS, WHOLE, canonical_text, fraction_text


def canonical(column: pl.Series) -> pl.Series:
    """Return a column's canonical text (README of data_scripts): String Series, null is missing.

    Args:
        column: Series of strings, Booleans, numbers, decimals, dates or times.
    """
    kind = column.dtype
    if kind == pl.String:
        return _of_strings(column)
    if kind == pl.Boolean or kind.is_float() or kind.is_decimal():
        return _value_by_value(column)
    if isinstance(kind, pl.Datetime):
        return _of_times(column)
    text = column.cast(pl.String)  # These are integers, dates, categories, or nulls alone.
    return _of_strings(text) if kind in (pl.Categorical, pl.Enum) else text


def _of_strings(column):
    text = pl.col("text")
    odd = text.is_in(list(BOOLEANS)) | text.str.ends_with(".0") | (text == "")
    frame = pl.DataFrame({"text": column})
    if not frame.select(odd.any())["text"][0]:
        return column
    whole = text.str.extract(f"^{WHOLE.pattern}$", 1).replace("-0", "0")
    changed = pl.coalesce(whole, text.replace(BOOLEANS)).replace("", None)
    return frame.select(pl.when(odd).then(changed).otherwise(text).alias("text"))["text"].rename(
        column.name
    )


def _value_by_value(column):
    distinct = column.unique().drop_nulls()
    if column.dtype == pl.Float32:
        texts = [
            canonical_text(value) for value in distinct.to_numpy()
        ]  # NumPy's float32 keeps its own digits, Python's float has more.
    else:
        texts = [canonical_text(value) for value in distinct.to_list()]
    return column.replace_strict(
        distinct, pl.Series(texts, dtype=pl.String), default=None, return_dtype=pl.String
    )


def _of_times(column):
    zone = "" if column.dtype.time_zone is None else "+00:00"
    if zone:
        column = column.dt.convert_time_zone("UTC")
    seconds = column.dt.strftime("%Y-%m-%d %H:%M:%S")
    nanoseconds = column.dt.nanosecond()
    distinct = nanoseconds.unique().drop_nulls()
    fractions = nanoseconds.replace_strict(
        distinct,
        pl.Series([fraction_text(value) + zone for value in distinct.to_list()], dtype=pl.String),
        default=None,
        return_dtype=pl.String,
    )
    return seconds + fractions

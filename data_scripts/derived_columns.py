"""Columns that are made of another one, each distinct value once."""

import polars as pl

from data_scripts.factorize import factorize_text
from data_scripts.text import canonical
from reloop2_keras.core.derived import Derived


def derived_column(column: pl.Series, made: Derived) -> pl.Series:
    """Return what `made` makes of a column: as it is, or a String Series.

    A value that the step cannot take becomes null: such a row is bad by what the column itself is
    to the log (its time, say).

    Example:
        >>> titles = pl.Series("title", ["Up (2009)", None, "Up"])
        >>> derived_column(titles, Derived("title", "year_of_title")).to_list()
        ['2009', None, None]
    """
    if made.step == "same":
        return column
    text = column if column.dtype == pl.String else canonical(column)
    codes, distinct = factorize_text(text)
    values = [_made(made, value) for value in distinct.to_list()]
    return pl.Series(values, dtype=pl.String).gather(codes)


def _made(made, value):
    try:
        return made.of(value)
    except ValueError:
        return None

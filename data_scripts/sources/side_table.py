"""Columns that stand in a second file: one row for each user, item or ad, found by a key."""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from data_scripts.derived_columns import derived_column
from data_scripts.errors import Errors, InputError
from data_scripts.factorize import Lookup
from data_scripts.sources.delimited import Format, read_delimited, read_header
from data_scripts.sources.values import numbers
from data_scripts.text import canonical
from reloop2_keras.core.arguments import shown
from reloop2_keras.core.derived import Derived

CHUNK_ROWS = 65_536
KEY = "\0"  # a name that no column of a file has


@dataclasses.dataclass(frozen=True)
class SideTable:
    r"""A file with one row for each value of a field of the log; it is held in memory.

    Attributes:
        path: `pathlib.Path` of delimited text.
        key: str, its column that holds the values of the log's field `field`.
        field: str, one of the log's categorical fields.
        columns: dict name of a new field -> `Derived`, of a column of this file.
        form: `Format`.
        header: names of its columns, in order; None: its first line has them.

    Example:
        >>> year = Derived("title", "year_of_title")
        >>> side = SideTable(Path("movies.csv"), "movieId", "item", {"year": year})
    """

    path: Path
    key: str
    field: str
    columns: Mapping[str, Derived]
    form: Format = Format(",", '"')
    header: tuple[str, ...] | None = None

    def load(self, numeric: Collection[str]) -> "LoadedSide":
        """Read the file; the columns named in `numeric` become numbers, the others text.

        Raises:
            InputError: for a missing column, a bad row, or two rows of one key.
        """
        names = [name.strip() for name in self.header or read_header(self.path, self.form)]
        needed = {made.column for made in self.columns.values()}
        wanted = [self.key, *sorted(needed - {self.key})]
        missing = [name for name in wanted if names.count(name) != 1]
        if missing:
            found = ", ".join(map(shown, names[:40]))
            raise InputError(
                f"{self.path}:1: expected one column of each of the names "
                f"{', '.join(map(repr, missing))}, found {found}"
            )
        errors, parts = Errors(), []
        first = self.header is None
        for chunk in read_delimited(self.path, self.form, names, wanted, first, CHUNK_ROWS):
            key = canonical(chunk.frame[self.key])
            chunk.frame = chunk.frame.with_columns(
                derived_column(chunk.frame[made.column], made).alias(name)
                for name, made in self.columns.items()
            )
            columns = [
                numbers(chunk, name).alias(name)
                if name in numeric
                else canonical(chunk.frame[name]).alias(name)
                for name in self.columns
            ]
            chunk.reject(key.is_null(), key, f"expected a value in column {self.key}")
            frame = pl.DataFrame([key.alias(KEY), *columns])
            parts.append(errors.keep_good_rows(chunk, frame))
        rows = pl.concat(parts)
        twice = rows[KEY].filter(rows[KEY].is_duplicated())
        if len(twice):
            raise InputError(
                f"{self.path}: expected one row for each {self.key}, found several of {twice[0]!r}"
            )
        return LoadedSide(self.field, rows[KEY], rows.drop(KEY))


class LoadedSide:
    """The rows of a `SideTable`, to be put beside those of the log.

    Args:
        field: str, the log's field that is looked up.
        keys: String Series without nulls and repetitions.
        rows: DataFrame, a row for each key.
    """

    def __init__(self, field: str, keys: pl.Series, rows: pl.DataFrame) -> None:
        self._field, self._lookup, self._rows = field, Lookup(keys), rows

    def beside(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` with the columns of each row's key; missing where no row has the key."""
        at = self._lookup.find(frame[self._field])
        place = pl.Series(np.where(at < 0, 0, at)).set(pl.Series(at < 0), None)
        return frame.hstack([column.gather(place) for column in self._rows])

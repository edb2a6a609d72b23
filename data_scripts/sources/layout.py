"""What a log needs that names of its columns do not say."""

import dataclasses
from collections.abc import Iterable, Mapping

import polars as pl

from data_scripts.sources.delimited import Format
from data_scripts.sources.side_table import SideTable


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a log of known form differs from a plain table; used by the loaders of such logs.

    Attributes:
        header: names of the columns of files without a header line; None: the first line has them.
        form: `Format` of delimited text, instead of what its name and the options say.
        derived: dict name of a column -> Polars expression of the file's columns. It is worked out
            for each chunk, so it may not look at other rows.
        sides: `SideTable`s, whose columns are further fields.
    """

    header: tuple[str, ...] | None = None
    form: Format | None = None
    derived: Mapping[str, pl.Expr] = dataclasses.field(default_factory=dict)
    sides: tuple[SideTable, ...] = ()

    def from_sides(self) -> set[str]:
        """Return the names of the fields that the side tables give."""
        return {name for side in self.sides for name in side.columns}

    def in_file(self, names: Iterable[str]) -> list[str]:
        """Return the columns to read from the log so that all of `names` can be had.

        Example:
            >>> Layout(derived={"user": pl.col("reviewerID")}).in_file(["user", "overall"])
            ['reviewerID', 'overall']
        """
        found: list[str] = []
        for name in names:
            column = self.derived.get(name)
            found += [name] if column is None else column.meta.root_names()
        return list(dict.fromkeys(found))

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a chunk's rows with the derived columns."""
        return frame.with_columns(column.alias(name) for name, column in self.derived.items())

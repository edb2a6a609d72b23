"""What a log needs that names of its columns do not say."""

import dataclasses
from collections.abc import Iterable, Mapping

import polars as pl

from data_scripts.derived_columns import derived_column
from data_scripts.sources.delimited import Format
from data_scripts.sources.side_table import SideTable
from reloop2_keras.core.derived import Derived


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a log of known form differs from a plain table; used by the loaders of such logs.

    Attributes:
        header: names of the columns of files without a header line; None: the first line has them.
        form: `Format` of delimited text, instead of what its name and the options say.
        derived: dict name of a column -> `Derived`, of a column of the file.
        sides: `SideTable`s, whose columns are further fields.
    """

    header: tuple[str, ...] | None = None
    form: Format | None = None
    derived: Mapping[str, Derived] = dataclasses.field(default_factory=dict)
    sides: tuple[SideTable, ...] = ()

    def from_sides(self) -> set[str]:
        """Return the names of the fields that the side tables give."""
        return {name for side in self.sides for name in side.columns}

    def in_file(self, names: Iterable[str]) -> list[str]:
        """Return the columns to read from the log so that all of `names` can be had.

        Example:
            >>> Layout(derived={"user": Derived("reviewerID")}).in_file(["user", "overall"])
            ['reviewerID', 'overall']
        """
        found: list[str] = []
        for name in names:
            column = self.derived.get(name)
            found.append(name if column is None else column.column)
        return list(dict.fromkeys(found))

    def derive(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return a chunk's rows with the derived columns."""
        return frame.with_columns(
            derived_column(frame[made.column], made).alias(name)
            for name, made in self.derived.items()
        )

    def made(self) -> dict[str, Derived]:
        """Return all fields that are made of a column, of the log or of a second file."""
        every = dict(self.derived)
        for side in self.sides:
            every |= {
                name: made
                for name, made in side.columns.items()
                if (made.column, made.step) != (name, "same")
            }
        return every

    def keys(self) -> dict[str, str]:
        """Return for each field of a second file the field that it is found by."""
        return {name: side.field for side in self.sides for name in side.columns}

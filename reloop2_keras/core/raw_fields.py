"""Fields taken out of raw rows and tables, as they are or made of other columns. Ours."""

import collections
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import shown
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.raw_tables import RawTable, mapped

Row = Mapping[str, Any]
MOST, OTHERS = 1000, "(others)"  # names counted each: who sends rows makes up what names there are


class RawFields:
    """Takes fields and label out of rows; says or counts what is not as it should be.

    Args:
        names: names of the fields.
        raw: `RawColumns`.
        strict: bool, whether unknown and lacking names are errors; else they are counted.

    Attributes:
        known: tuple of str, the names that a row may have.
        ignored, lacking: `collections.Counter` name -> rows; of unknown names the first 1000, and
            all others as one.
    """

    def __init__(self, names: Sequence[str], raw: RawColumns, strict: bool) -> None:
        self.fields, self.raw, self._strict = list(names), raw, strict
        known = {*names, raw.label, *raw.others, *(made.column for made in raw.derived.values())}
        self.known, self._known = tuple(sorted(known)), frozenset(known)
        self.ignored: collections.Counter[str] = collections.Counter()
        self.lacking: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    def check_names(self, names: Iterable[str], rows: int, where: str) -> None:
        """Raise ValueError for names that are not known, or count them, by the mode."""
        unknown = {name for name in names if name not in self._known}
        if unknown and self._strict:
            found = ", ".join(sorted(map(shown, unknown))[:40])
            known = ", ".join(map(repr, self.known))
            raise ValueError(f"{where}: expected fields among {known}, found {found}")
        if unknown:
            with self._lock:
                for name in map(str, unknown):
                    full = len(self.ignored) >= MOST and name not in self.ignored
                    self.ignored[OTHERS if full else name] += rows

    def knows(self, row: Row) -> bool:
        """Whether all names of a row are known."""
        return row.keys() <= self._known

    def has(self, name: str, names: Iterable[str]) -> bool:
        """Whether a field, or what it is made of, is among the names of a row or a table."""
        made = self.raw.derived.get(name)
        return name in names or (made is not None and made.column in names)

    def is_made(self, name: str) -> bool:
        """Whether a field is made of a column of the raw log."""
        return name in self.raw.derived

    def is_given(self, name: str) -> bool:
        """Whether a row gives a field's raw value under its name, or it is missing; no more."""
        return name not in self.raw.derived and name not in self.raw.sides

    def reader(self, name: str) -> Callable[[Row], Any]:
        """Return the function that takes a field's raw value out of a row; None: missing."""
        made = self.raw.derived.get(name)
        if self.is_given(name):
            return lambda row: row.get(name)

        def read(row):
            if made is not None and made.column in row:
                return made.of(row[made.column])
            if name not in row and name in self.raw.sides:
                self._lacks(name, 1)
            return row.get(name)

        return read

    def given(self, name: str, row: Row) -> Any:
        """Return what a row gives for a field, as it stands there, for an error to show."""
        made = self.raw.derived.get(name)
        return row[made.column] if made is not None and made.column in row else row.get(name)

    def column(
        self, table: RawTable, name: str, function: Callable[[Any], Any]
    ) -> tuple[np.ndarray, list]:
        """Return (codes, values): `values[codes[i]]` is `function` of a field's value in row i.

        Raises:
            ValueError: naming row and field of a value that `function` refuses, or a field that
                the table lacks.
        """
        made, where = self.raw.derived.get(name), f"field {name}"
        if made is not None and made.column in table.names:
            codes, values = table.distinct(made.column)
            return codes, mapped(codes, values, lambda value: function(made.of(value)), where)
        if name not in table.names:
            try:
                self._lacks(name, table.rows)
            except ValueError as error:
                raise ValueError(f"{where}: {error}") from None
            return np.zeros(table.rows, "int64"), [function(None)]
        codes, values = table.distinct(name)
        return codes, mapped(codes, values, function, where)

    def _lacks(self, name, rows):
        if self._strict:
            made, key = self.raw.derived.get(name), self.raw.sides.get(name)
            ways = repr(name) + (f" or {made.column!r}" if made and made.column != name else "")
            second = f", which stood in a second file, found by {key!r}" if key else ""
            raise ValueError(f"expected {ways}{second}; None if it is missing. Received: nothing")
        with self._lock:
            self.lacking[name] += rows

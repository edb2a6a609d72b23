"""A file's rows as a model's arrays, bad rows told or counted (ours)."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reloop2_keras.core import arguments
from reloop2_keras.core.bad_rows import MAX_BAD, BadReasons
from reloop2_keras.core.encoder import Arrays, Encoder
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.serving.file_rows import Piece, RowFile
from reloop2_keras.core.serving.late_labels import BATCH

LISTED = 20  # bad rows that are kept to show
HINT = "--on-error skip leaves such rows out and counts them"
_TOLD = re.compile(r"(.+?:\d+): (.+?)(?:, found '?(.*?)'?)?", re.DOTALL)  # file:line: why
_ROW = re.compile(r"row (\d+): ")


class BadRows:
    """What is done about bad rows: the first one is an error, or all are counted.

    Args:
        on_error: "fail" or "skip".
        count: int, bad rows before.
        max_bad: float in [0, 1], the share of all rows that may be bad.
        reasons: of `BadReasons.plain`, as far as those of the rows before are known.

    Attributes:
        count: int.
        first: list of str, the first 20 since this object was made.
        reasons: `BadReasons`.

    Raises:
        ValueError: if an argument is none of these.
    """

    def __init__(
        self,
        on_error: str = "fail",
        count: int = 0,
        max_bad: float = MAX_BAD,
        reasons: Sequence[dict[str, Any]] = (),
    ) -> None:
        if on_error not in ("fail", "skip"):
            raise ValueError(f'`on_error` must be "fail" or "skip". Received: {on_error!r}')
        self.on_error, self.count = on_error, count
        self.first: list[str] = []
        self.max_bad, self.reasons = (
            arguments.number("max_bad", max_bad, "[0, 1]"),
            BadReasons(reasons),
        )

    def take(self, bad: list[tuple[int, str]]) -> None:
        """Note bad rows of a piece, (place, message) each.

        Raises:
            ValueError: the first one's message, unless they are skipped.
        """
        if bad and self.on_error == "fail":
            raise ValueError(f"{min(bad)[1]}; {HINT}")
        self.count += len(bad)
        room = max(0, LISTED - len(self.first))
        self.first += [message for _, message in sorted(bad)[:room]]
        for _, message in sorted(bad):
            told = _TOLD.fullmatch(message)
            place, reason, found = told.groups() if told else ("", message, None)
            self.reasons.add(reason, place, found)

    def check(self, path: Path, rows: int) -> None:
        """Raise ValueError, naming the file, if more than `max_bad` of its rows are bad."""
        try:
            self.reasons.check(rows, self.max_bad, self.count)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


@dataclasses.dataclass
class Encoded:
    """A piece of a file as arrays.

    Attributes:
        piece: `Piece`.
        places: int64 (n,), which of its rows are good.
        arrays: those of the good rows, see `Encoder.encode`.
    """

    piece: Piece
    places: np.ndarray
    arrays: Arrays

    def batches(self) -> Iterator[tuple[np.ndarray, Arrays]]:
        """Yield (places, arrays) of 256 rows of the file each, fewer where rows are bad.

        Rows of one batch are predicted together, and what a row is predicted depends on its batch
        in the last bit: so batches are counted from the file's first row.
        """
        for first in range(0, self.piece.rows, BATCH):
            at = slice(*np.searchsorted(self.places, (first, first + BATCH)).tolist())
            if at.stop > at.start:
                yield self.places[at], {name: array[at] for name, array in self.arrays.items()}


class FileArrays:
    """Reads a file's rows as the arrays of an encoder.

    Columns are found by name; those that the encoder does not know are not read.

    Args:
        file: `RowFile`.
        encoder: `Encoder`; a strict one must find all of its fields.
        label: bool, whether to read labels.
        copy: names of columns of the file to read besides.
        bad: `BadRows`.

    Raises:
        ValueError: naming the file, if columns are missing.
    """

    def __init__(
        self,
        file: RowFile,
        encoder: Encoder,
        label: bool,
        copy: Sequence[str] = (),
        bad: BadRows | None = None,
    ) -> None:
        self.file, self.encoder, self.bad = file, encoder, bad or BadRows()
        self.copy = list(copy)
        if missing := [name for name in self.copy if name not in file.names]:
            raise ValueError(f"{file.path}: expected columns {missing} to copy, {self._found()}")
        self._names = self._needed(label)
        file.want(list(dict.fromkeys([*self._names, *self.copy])))
        empty = pa.table({name: pa.array([], file.schema.field(name).type) for name in self._names})
        try:
            encoder.encode(empty)
        except ValueError as error:
            raise ValueError(f"{file.path}: {error}; {self._found()}") from None

    def _found(self) -> str:
        names = self.file.names
        more = f" and {len(names) - 40} more" if len(names) > 40 else ""
        return f"found columns {', '.join(map(arguments.shown, names[:40]))}{more}"

    def _needed(self, label: bool) -> list[str]:
        """The columns of the file that make the fields, and the label if it is asked for."""
        raw, names = RawColumns.of_json(self.encoder.description["raw"]), self.file.names

        def makes(name: str) -> set[str]:
            made = raw.derived.get(name)
            return {name} if made is None else {name, made.column}

        fields = set().union(*(makes(field["name"]) for field in self.encoder.fields))
        if not fields & set(names):
            raise ValueError(
                f"{self.file.path}: expected columns {sorted(fields)}, {self._found()}"
            )
        labels = makes(raw.label)
        if label and not labels & set(names):
            raise ValueError(
                f"{self.file.path}: expected a column of the label, {sorted(labels)}, "
                f"{self._found()}"
            )
        wanted = fields | labels if label else fields - (labels - fields)
        return [name for name in names if name in wanted]

    def encode(self, piece: Piece) -> Encoded:
        """Return a piece as arrays of its good rows; bad ones are told, or counted.

        Raises:
            ValueError: naming file, line, field, what was expected and found.
        """
        table = piece.table.select(self._names)
        places, bad = piece.places, list(piece.bad)
        try:
            arrays = self.encoder.encode(table)
        except ValueError:
            good = np.ones(len(table), bool)
            for first in range(0, len(table), BATCH):
                for row, message in self._faults(table.slice(first, BATCH)):
                    good[first + row], place = False, int(places[first + row])
                    bad.append((place, f"{self.file.path}:{piece.lines[place]}: {message}"))
            places = places[good]
            arrays = self.encoder.encode(table.filter(pa.array(good)))
        self.bad.take(bad)
        return Encoded(piece, places, arrays)

    def _faults(self, table: pa.Table) -> list[tuple[int, str]]:
        """Bad rows of a table and what is wrong with each: the first field that is."""
        found: list[tuple[int, str]] = []
        left = np.arange(len(table))
        while True:
            try:
                self.encoder.encode(table.take(pa.array(left)))
                return found
            except ValueError as error:
                told = _ROW.match(str(error))
                if told is None:
                    raise  # of no one row
                row = int(told[1])
                found.append((int(left[row]), str(error)[told.end() :]))
                left = np.delete(left, row)

    def copied(self, piece: Piece) -> pa.Table:
        """Return the columns to copy, of all rows of a piece; null where a row cannot be read."""
        table = piece.table.select(self.copy)
        if len(table) == piece.rows or not self.copy:
            return table
        index = np.full(piece.rows, -1)
        index[piece.places] = np.arange(len(table))
        return table.take(pa.array(index, mask=index < 0))

"""Tasks of workers that look at the log: lines are counted, rows are counted or put down."""

import copy
import dataclasses
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import polars as pl

from data_scripts.errors import Errors, InputError
from data_scripts.passes import Passes
from data_scripts.ray_units import How, Unit
from data_scripts.sources.cuts import lines_of
from data_scripts.sources.parts import Part
from data_scripts.sources.source import Source
from reloop2_keras.core.files import replaced

FILE_ROWS = 65_536  # rows of a file that is put down


@dataclasses.dataclass
class Outcome:
    """What was found in a part.

    Attributes:
        rows: int, good rows.
        errors: `Errors`, its bad ones.
        seen: `Seen`, or None.
        failed: text of the `InputError` that ended the reading; None if none did.
        beyond: int, good rows beyond the limit, of a source that sorts.
        files: list of (path, rows) that were put down.
    """

    rows: int
    errors: Errors
    seen: Any = None
    failed: str | None = None
    beyond: int = 0
    files: list[tuple[str, int]] = dataclasses.field(default_factory=list)


def count_lines(paths: Sequence[Path], parts: Sequence[Part]) -> list[tuple[int, bool]]:
    """Return for each part how many lines it has, and whether there is a CR in one of them."""
    return [lines_of(paths[part.file], part) for part in parts]


def count_rows(
    source: Source, how: How, parts: Sequence[Part], limit: int | None = None, put_down: str = ""
) -> list[Outcome]:
    """Read parts, each on its own; the first that fails is the last that is read."""
    outcomes = []
    for part in parts:
        outcome = read_part(source, how, part, limit, None, put_down)
        outcomes.append(outcome)
        if outcome.failed is not None:
            break
    return outcomes


def read_part(
    source: Source,
    how: How,
    part: Part,
    limit: int | None,
    seen: Any = None,
    put_down: str = "",
) -> Outcome:
    """Read one part, and put its good rows down where a name for their folder is given."""
    errors = Errors(how.on_error, limit, kept=inf)
    seen = copy.deepcopy(how.seen if seen is None else seen)
    outcome, held = Outcome(0, errors, seen), _Held(how, put_down)
    try:
        for frame in source.parts.read(part, how.chunk_rows, errors, seen):  # type: ignore[union-attr]
            outcome.rows += len(frame)
            held.take(frame)
    except InputError as error:
        outcome.failed = str(error)
    outcome.files = held.finish()
    return outcome


def read_whole(source: Source, how: How, limit: int | None, put_down: str) -> Outcome:
    """Read a source as a whole, as one process does, and put its rows down."""
    passes = Passes(source, limit, how.on_error, how.chunk_rows, progress=False)
    held = _Held(how, put_down)
    for frame in passes.frames("count rows"):
        held.take(frame)
    return Outcome(passes.rows, passes.errors, None, None, passes.beyond_limit, held.finish())


class _Held:
    """Rows on their way to files of `FILE_ROWS`."""

    def __init__(self, how, name):
        self._how, self._name, self._frames, self._files = how, name, [], []

    def take(self, frame):
        if self._name:
            self._frames.append(frame)
            while sum(map(len, self._frames)) >= FILE_ROWS:
                self._write(pl.concat(self._frames))

    def _write(self, frame):
        path = self._how.at("rows", self._name, f"{len(self._files):05d}.arrow")
        part = frame.head(FILE_ROWS)
        with replaced(path) as trial:
            part.write_ipc(trial, compression="lz4")
        self._files.append((str(path), len(part)))
        self._frames = [frame.slice(FILE_ROWS)] if len(frame) > FILE_ROWS else []

    def finish(self):
        if self._frames:
            self._write(pl.concat(self._frames))
        return self._files


def units_of(part: Part, outcome: Outcome, limit: int | None = None) -> list[Unit]:
    """Return what a part is read as from now on."""
    if outcome.files:
        return [Unit(rows, path=path) for path, rows in outcome.files]
    return [Unit(outcome.rows, part, limit)] if outcome.rows else []

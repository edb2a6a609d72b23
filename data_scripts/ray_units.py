"""What workers read: parts of the log, or rows that a worker put down on the way."""

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from data_scripts.errors import Errors, InputError
from data_scripts.sources.parts import Part
from data_scripts.sources.source import Source


@dataclasses.dataclass(frozen=True)
class Unit:
    """Good rows that follow each other, read by one worker at a time.

    Attributes:
        rows: int, good rows.
        part: `Part` of the log, or None.
        limit: int, good rows to read of that part at most; None: all.
        path: str, of a file of canonical columns that a worker wrote, where there is no `part`.
    """

    rows: int
    part: Part | None = None
    limit: int | None = None
    path: str = ""


@dataclasses.dataclass(frozen=True)
class How:
    """How a log is read, the same in all tasks.

    Attributes:
        chunk_rows: int, rows held at a time.
        on_error: "fail" or "skip".
        seen: what the source's rows are read with (`Seen`), or None.
        folder: str, where parts of the work are put down.
        identity: str, of the run.
    """

    chunk_rows: int
    on_error: str
    seen: Any
    folder: str
    identity: str = ""

    def at(self, *names: str) -> Path:
        """Return a path in the folder; the folder that it is in is made."""
        path = Path(self.folder, *names)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def frames(
    source: Source, how: How, units: Sequence[Unit], skip: int, take: int
) -> Iterator[pl.DataFrame]:
    """Yield the `take` good rows that follow the first `skip` ones of some units.

    Raises:
        InputError: for a bad row, and if a unit does not have as many rows as before.
    """
    for unit in _long(units):
        found = 0
        for frame in _unit_frames(source, how, unit):
            found += len(frame)
            dropped = min(skip, len(frame))
            skip -= dropped
            part = frame.slice(dropped, take)
            take -= len(part)
            if len(part):
                yield part
            if not take:
                return
        if found != unit.rows:
            raise InputError(
                f"expected {unit.rows:,} rows of a part, as many as were counted first, found "
                f"{found:,}: the log changed while it was read"
            )


def _long(units):
    """Units whose parts follow each other in a file as one: values in many rows repeat more."""
    done: list[Unit] = []
    for unit in units:
        last = done[-1] if done else None
        if last is not None and last.part and unit.part and last.limit is None:
            if (last.part.file, last.part.stop) == (unit.part.file, unit.part.start):
                part = dataclasses.replace(last.part, stop=unit.part.stop)
                done[-1] = Unit(last.rows + unit.rows, part)
                if unit.limit is not None:
                    done[-1] = dataclasses.replace(done[-1], limit=last.rows + unit.limit)
                continue
        done.append(unit)
    return done


def _unit_frames(source, how, unit):
    if unit.part is None:
        yield from read_frame(Path(unit.path)).iter_slices(how.chunk_rows)
        return
    seen = copy.deepcopy(how.seen)
    yield from source.parts.read(unit.part, how.chunk_rows, Errors(how.on_error, unit.limit), seen)


def read_frame(path: Path) -> pl.DataFrame:
    """Return what was put down in a file; Polars takes some names of files for patterns."""
    with path.open("rb") as file:
        return pl.read_ipc(file)


def grouped(units: Sequence[Unit], rows: int) -> list[tuple[int, int]]:
    """Return (start, stop) of runs of units that have about so many rows each.

    Example:
        >>> grouped([Unit(3), Unit(3), Unit(3), Unit(1)], 5)
        [(0, 2), (2, 4)]
    """
    groups, start, held = [], 0, 0
    for i, unit in enumerate(units):
        held += unit.rows
        if held >= rows:
            groups.append((start, i + 1))
            start, held = i + 1, 0
    return groups + [(start, len(units))] * (start < len(units))

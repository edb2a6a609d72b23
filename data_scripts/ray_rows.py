"""Count the rows of a log by several processes; bad ones are told as one process tells them."""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from data_scripts.errors import Errors, InputError
from data_scripts.passes import Passes
from data_scripts.ray_reading import (
    Outcome,
    count_lines,
    count_rows,
    read_part,
    read_whole,
    units_of,
)
from data_scripts.ray_units import How, Unit
from data_scripts.sources.parts import Part
from data_scripts.sources.source import Source

PART = 1 << 21  # bytes of a part; a file of the dataset begins within one, which is read twice then
TASK_PARTS = 16
LINES_PARTS = 64


class RowCount:
    """Counts rows when it is made; `passes` then holds what a first pass over the log would.

    Args:
        source: `Source`.
        passes: `Passes` over it.
        how: `How`.
        options: of `prepare`: `limit` and `on_error` are looked at.
        stage: `RayPreparation.stage`.

    Attributes:
        rows: int, good ones.
        units: list of `Unit`, what holds them.
        how: `How`, with what the first rows say about reading all others.
    """

    def __init__(
        self,
        source: Source,
        passes: Passes,
        how: How,
        options: Mapping[str, Any],
        stage: Callable[..., Any],
    ) -> None:
        self._source, self._passes, self._stage = source, passes, stage
        self._limit: int | None = options["limit"]
        self.how = how
        self.units: list[Unit] = []
        self._errors = Errors(how.on_error)
        parts = self._cut()
        if parts is None:
            self._whole()
        else:
            parts, lines = self._with_lines(parts)
            fast = source.count is not None and how.on_error == "fail" and lines is not None
            if fast:
                self._take_lines(parts)
            else:
                self._read(parts)
            passes.end(self.rows, self._errors)
            passes.counted(lines)

    @property
    def rows(self) -> int:
        """Good rows so far."""
        return sum(unit.rows for unit in self.units)

    def _cut(self):
        if self._source.parts is None:
            return None
        try:
            parts = self._source.parts.cut(PART)
            self.how = dataclasses.replace(self.how, seen=self._first_seen(parts))
            return parts
        except (InputError, OSError):
            self._passes.count()  # One process tells what is wrong, in the order of the log.
            raise

    def _first_seen(self, parts):
        """What rows are read with: the form of times, which the first one decides for all."""
        reader: Any = self._source.parts
        seen, errors = reader.begin(), Errors(self.how.on_error, self._limit)
        if seen is None:
            return None
        for part in parts:
            for _ in reader.read(part, self.how.chunk_rows, errors, seen):
                if seen.known():
                    break
            if seen.known() or errors.left == 0:
                break
        first = reader.begin()
        first.decide_as(seen)
        return first

    def _whole(self):
        items = [(self.how, self._limit, "whole")]
        (outcome,) = self._stage("read", read_whole, items, made=_files)
        self.units = units_of(Part(0), outcome)
        self._passes.end(outcome.rows, outcome.errors)
        self._passes.counted(None)

    def _with_lines(self, parts):
        """The parts with the numbers of their lines; and how many there are, if that is clear."""
        unknown = [i for i, part in enumerate(parts) if part.rows is None and part.stop is not None]
        paths = list(self._source.paths)
        groups = [unknown[i : i + LINES_PARTS] for i in range(0, len(unknown), LINES_PARTS)]
        items = [(paths, [parts[i] for i in group]) for group in groups]
        found = self._stage("count lines", count_lines, items, shared=False)
        lines, clear = {}, True
        for group, counts in zip(groups, found, strict=True):
            for i, (count, carriage) in zip(group, counts, strict=True):
                lines[i], clear = count, clear and not carriage
        done: list[Part] = []
        for i, part in enumerate(parts):
            if i in lines:
                before = done[-1] if done and done[-1].file == part.file else None
                line = 1 if before is None else before.line + (before.rows or 0)
                part = dataclasses.replace(part, line=line, rows=lines[i])
            done.append(part)
        all_text = len(lines) == len(parts) and self._source.count is not None
        return done, sum(lines.values()) if clear and all_text else None

    def _take_lines(self, parts):
        """Take lines for rows: a bad one fails the run later."""
        left = self._limit
        for part in parts:
            rows = part.rows if left is None else min(part.rows, left)
            self.units.append(Unit(rows, part, None if rows == part.rows else rows))
            left = None if left is None else left - rows
            if left == 0:
                break
        self._errors.rows_in = self.rows

    def _read(self, parts):
        """Read all parts, and put together what was found, in their order."""
        groups: list[list[Part]] = []
        for part in parts:
            whole = part.stop is None
            if groups and not whole and len(groups[-1]) < TASK_PARTS and groups[-1][0].stop:
                groups[-1].append(part)
            else:
                groups.append([part])
        items = []
        for number, group in enumerate(groups):
            down = f"{number:06d}" if group[0].stop is None else ""
            items.append((self.how, group, self._limit if down else None, down))
        seen = copy.deepcopy(self.how.seen)
        results = self._stage("count rows", count_rows, items, made=_files)
        for number, (group, outcomes) in enumerate(zip(groups, results, strict=False)):
            for part, outcome in zip(group, outcomes, strict=False):
                left = None if self._limit is None else self._limit - self.rows
                full = left is not None and outcome.rows >= left
                fits = seen is None or outcome.seen.fits_behind(seen)
                if full or not fits or (outcome.failed and left is not None):
                    outcome = self._again(part, left, seen, f"{number:06d}-again")
                    full = outcome.failed is None and outcome.rows == left
                self._errors.then(outcome.errors)
                if outcome.failed is not None:
                    self._fail(outcome.failed)
                if seen is not None:
                    seen.then(outcome.seen)
                self.units += units_of(part, outcome, left if full else None)
                if full:
                    results.close()
                    return self._end(seen)
        return self._end(seen)

    def _again(self, part, left, seen, name) -> Outcome:
        """Read a part with what came before it, up to what is left of the limit."""
        first = copy.deepcopy(self.how.seen)
        if first is not None:
            first.last = seen.last
        return read_part(self._source, self.how, part, left, first, name * (part.stop is None))

    def _end(self, seen):
        if seen is not None:
            try:
                seen.check_end()
            except InputError as error:
                self._fail(str(error))

    def _fail(self, text):
        self._passes.check_files()  # If a file changed, that is the cause to report.
        raise InputError(f"{text}{self._errors.told()}") from None


def _files(number: int, result: Any) -> list[Path]:
    outcomes = [result] if isinstance(result, Outcome) else result
    return [Path(path) for outcome in outcomes for path, _ in outcome.files]

"""Read the raw log several times; it must be the same log each time."""

import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from tqdm import tqdm

from data_scripts.errors import Errors, InputError
from data_scripts.prefetch import prefetched
from data_scripts.sources.source import Source

LOG = logging.getLogger(__name__)
LISTED = 10  # reasons that are shown


class Passes:
    """Reads a source several times, and tells when it is not the same log any more.

    Args:
        source: `Source`.
        limit: int, or None: rows to read.
        on_error: "fail" or "skip".
        chunk_rows: int, rows held at a time.
        progress: bool, or None to show bars on terminals only.

    Attributes:
        rows: int, good rows of the last pass that was read to its end; 0 before.
        errors: `Errors` of that pass.
        beyond_limit: int, good rows of that pass that were read and sorted, but are not among the
            first `limit`.
        no_bars: bool, or None: only where there is no terminal; as tqdm's `disable`.
    """

    def __init__(
        self,
        source: Source,
        limit: int | None = None,
        on_error: str = "fail",
        chunk_rows: int = 65_536,
        progress: bool | None = None,
    ) -> None:
        self._source, self._limit, self._on_error = source, limit, on_error
        self._chunk_rows, self.no_bars = chunk_rows, None if progress is None else not progress
        self._paths = [path for path in source.paths if path.exists()]
        self._before = [_state(path) for path in self._paths]
        self.rows, self.errors, self.beyond_limit = 0, Errors(on_error), 0

    def count(self) -> int:
        """Return the number of good rows, by reading all unless the source knows it faster."""
        lines = self._lines()
        if lines is not None and self._on_error == "fail":
            # Any bad row fails the run later, so the number of rows is the number of lines.
            return lines if self._limit is None else min(lines, self._limit)
        for _ in self.frames("count rows"):
            pass
        return self.counted(lines)

    def counted(self, lines: int | None) -> int:
        """Return the rows of the last pass, the first one, if they are as many as there are lines.

        Args:
            lines: int, what was counted apart from reading; None: nothing was.

        Raises:
            InputError: if there is no row, or a row was lost.
        """
        self._check_lines(lines)
        if not self.rows:
            paths = ", ".join(map(str, self._paths))
            bad = f"{self.errors.total:,} bad ones alone" if self.errors.total else "none"
            why = f" ({self.errors.reasons.main()})" if self.errors.total else ""
            raise InputError(f"{paths}: expected rows, found {bad}{why}")
        return self.rows

    def check_bad(self, max_bad: float) -> None:
        """Tell why rows of the last pass were skipped, as a warning of this module's logger.

        Raises:
            InputError: naming share and main reason, if more than `max_bad` of all rows are bad.
        """
        total, paths = self.errors.total, ", ".join(map(str, self._paths))
        if not total:
            return
        read = self.rows + total + self.beyond_limit
        try:
            self.errors.reasons.check(read, max_bad)
        except ValueError as error:
            raise InputError(f"{paths}: {error}") from None
        lines = self.errors.reasons.lines()
        shown = "".join(f"\n  {line}" for line in lines[:LISTED])
        more = f"\n  and {len(lines) - LISTED} more reasons" if len(lines) > LISTED else ""
        LOG.warning(
            "%s: %s of %s rows are bad and skipped:%s%s",
            paths,
            f"{total:,}",
            f"{read:,}",
            shown,
            more,
        )

    def frames(self, description: str) -> Iterator[pl.DataFrame]:
        """Yield the log's frames; read to the end, they set `rows` and `errors`.

        Raises:
            InputError: for bad rows, and for files that changed since the first pass.
        """
        errors, rows = Errors(self._on_error, self._limit), 0
        try:
            with tqdm(desc=description, unit="row", unit_scale=True, disable=self.no_bars) as bar:
                for frame in prefetched(self._source.chunks(self._chunk_rows, errors)):
                    if self._limit is not None:  # A synthetic log does not know the limit.
                        frame = frame.head(self._limit - rows)
                    rows += len(frame)
                    bar.update(len(frame))
                    yield frame
                    if rows == self._limit:
                        break
        except InputError as error:
            self.check_files()  # If the file changed, that is the cause to report.
            if errors.total:
                raise InputError(f"{error}{errors.told()}") from None
            raise
        self.end(rows, errors)

    def end(self, rows: int, errors: Errors) -> None:
        """Take `rows` and `errors` of a pass that was read to its end.

        Raises:
            InputError: if they do not add up, or a file changed.
        """
        self.check_files()
        # Each row that a reader found is good or counted as bad; a synthetic log counts none.
        beyond = errors.rows_in - rows - errors.total if errors.rows_in else 0
        sorted_away = errors.reads_beyond and rows == self._limit
        if beyond < 0 or (beyond and not sorted_away):
            raise InputError(
                f"expected {errors.rows_in:,} rows, as many as were found in the files, got "
                f"{rows:,} good and {errors.total:,} bad ones"
            )
        self.rows, self.errors, self.beyond_limit = rows, errors, beyond

    def check_files(self) -> None:
        """Raise InputError if a file's size or time is not what it was before the first pass."""
        for path, before in zip(self._paths, self._before, strict=True):
            now = _state(path) if path.exists() else None
            if now == before:
                continue
            found = "none" if now is None else f"{now[0]:,} bytes" if now[0] != before[0] else None
            raise InputError(
                f"{path}: changed while it was read: expected the file of {before[0]:,} bytes "
                f"that was there at first, found {found or 'it written to since'}"
            )

    def check_same(self, rows: int, bad: int) -> None:
        """Raise InputError unless the last pass gave as many good and bad rows."""
        if (rows, bad) != (self.rows, self.errors.total):
            raise InputError(
                f"expected {rows:,} good and {bad:,} bad rows, as were counted first, found "
                f"{self.rows:,} and {self.errors.total:,}: the log changed while it was read"
            )

    def _lines(self) -> int | None:
        return self._source.count() if self._source.count is not None else None

    def _check_lines(self, lines: int | None) -> None:
        # Lines are counted apart from reading, so this tells if a reader lost one.
        if lines is None or self._limit is not None:
            return
        if lines != self.rows + self.errors.total:
            paths = ", ".join(map(str, self._paths))
            raise InputError(
                f"{paths}: expected {lines:,} rows, as many as there are lines, found "
                f"{self.rows:,} good and {self.errors.total:,} bad ones"
            )


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns

"""Rows of a file with their line numbers and the faults found in them so far."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl


class Chunk:
    """Some rows of a file; `Errors.keep_good_rows` reports the faults in the order of lines.

    Arrow finds faults first, then readers and sources find more, column by column. All are
    collected here, so that the fault reported first is that of the first line, whoever found it.

    Args:
        path: `pathlib.Path`.
        frame: DataFrame of the rows that could be told apart.
        lines: NumPy int (rows,), the line of the file where each begins.
        rows_in: int, rows of the file that this was read from; None: as many as in `frame`.
        name: str, the file's name in dataset.json.
    """

    def __init__(
        self,
        path: Path,
        frame: pl.DataFrame,
        lines: Sequence[int] | np.ndarray,
        rows_in: int | None = None,
        name: str | None = None,
    ) -> None:
        self.path, self.name = path, name or path.name
        self.frame, self.lines = frame, np.asarray(lines)
        self.rows_in = len(frame) if rows_in is None else rows_in
        self.keep = pl.repeat(True, len(frame), eager=True)
        self.found: list[tuple[int, str | None, Any, str]] = []

    def note(self, line: int, reason: str, value: object, hint: str = "") -> None:
        """Note a bad row that is not among those of `frame`; `hint` says what would be good."""
        self.found.append((int(line), reason, value, hint))

    def stop(self, line: int, message: str) -> None:
        """Note a fault that stops the run, even if bad rows are skipped."""
        self.found.append((int(line), None, message, ""))

    def reject(
        self, bad: pl.Series, values: Sequence | pl.Series, reason: str, hint: str = ""
    ) -> None:
        """Note the rows of `frame` where `bad` is true, unless they are bad already."""
        bad = bad.fill_null(False) & self.keep
        if bad.any():
            for row in bad.arg_true().to_list():
                self.note(self.lines[row], reason, values[row], hint)
            self.keep = self.keep & ~bad

"""Rows of a file on their way to canonical columns, with their lines and what is wrong."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl


class Chunk:
    """Some rows of a file; `Errors.settle` tells what was found, in the order of lines.

    Readers and sources find what is wrong column by column, and Arrow finds it before both. So it
    is collected here first: which fault is told, listed or fails the run must not depend on that.

    Args:
        path: `pathlib.Path`.
        frame: DataFrame of the rows that could be told apart.
        lines: NumPy int (rows,), the line of the file where each begins.
        rows_in: int, rows of the file that this is made of; None if they are those of `frame`.
        name: str, the file's name in dataset.json.
    """

    def __init__(
        self,
        path: Path,
        frame: pl.DataFrame,
        lines: np.ndarray,
        rows_in: int | None = None,
        name: str | None = None,
    ):
        self.path, self.name = path, name or path.name
        self.frame, self.lines = frame, np.asarray(lines)
        self.rows_in = len(frame) if rows_in is None else rows_in
        self.keep = pl.repeat(True, len(frame), eager=True)
        self.found = []

    def note(self, line: int, reason: str, value, hint: str = "") -> None:
        """Note a bad row that is not among those of `frame`; `hint` says what would be good."""
        self.found.append((int(line), reason, value, hint))

    def stop(self, line: int, message: str) -> None:
        """Note what no run can go on after, whatever it does with bad rows."""
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

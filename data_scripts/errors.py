"""Bad input, said clearly."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from reloop2_keras.core.bad_rows import KEPT, BadReasons

if TYPE_CHECKING:  # `chunk` is in the package whose modules import this one.
    from data_scripts.sources.chunk import Chunk

HINT = "--on-error skip leaves such rows out and counts them"


class InputError(ValueError):
    """A raw log that cannot be read as described; the message names file, line, and value."""


class Errors:
    """Counts rows, and bad ones: the first fails, or (`on_error="skip"`) all are counted.

    Args:
        on_error: "fail" or "skip".
        limit: int, the good rows that are wanted, the first ones; None for all. What comes after
            them is not looked at, so that it cannot be wrong.
        kept: reasons that are told apart; all of them for a part of a log (`then`).

    Attributes:
        total: int, bad rows so far.
        reasons: `BadReasons`, why they are bad.
        first: list of dicts, the first `LISTED` of them in the order of files and lines.
        rows_in: int, rows that the readers found in the files, counted apart from the good and
            the bad: in the end there must be as many good rows as `rows_in - total`.
        left: int or None, what is left of `limit`.
        reads_beyond: bool, whether rows beyond `limit` are read, too, in order to sort them.
    """

    LISTED = 20

    def __init__(
        self, on_error: str = "fail", limit: int | None = None, kept: float = KEPT
    ) -> None:
        if on_error not in ("fail", "skip"):
            raise ValueError(f'`on_error` must be "fail" or "skip". Received: {on_error!r}')
        self.on_error = on_error
        self.total, self.rows_in = 0, 0
        self.reasons = BadReasons(kept=kept)
        self.first: list[dict[str, Any]] = []
        self.left, self.reads_beyond = limit, False

    def add(
        self,
        path: Path,
        line: int,
        reason: str,
        value: object,
        hint: str = "",
        name: str | None = None,
    ) -> None:
        """Note a bad row; raises InputError unless bad rows are skipped."""
        text = "" if value is None else str(value)[:120]
        if self.on_error == "fail":
            hint = f"; {hint}; {HINT}" if hint else f"; {HINT}"
            raise InputError(f"{path}:{line}: {reason}, found {text!r}{hint}")
        self.total += 1
        self.reasons.add(reason, f"{name or path.name}:{line}", None if value is None else text)
        if len(self.first) < self.LISTED:
            # Without its folder, because the same input elsewhere must give the same dataset.json.
            entry = {"file": name or path.name, "line": int(line), "reason": reason}
            self.first.append({**entry, "value": text})

    def then(self, later: "Errors") -> None:
        """Count what was found in the rows behind these, which were read apart from them."""
        self.total, self.rows_in = self.total + later.total, self.rows_in + later.rows_in
        self.reasons.then(later.reasons)
        self.first += later.first[: self.LISTED - len(self.first)]
        self.reads_beyond |= later.reads_beyond

    def told(self) -> str:
        """Return what was skipped, to stand behind another error; empty without a bad row."""
        return f"; {self.total:,} bad rows were skipped ({self.reasons.main()})" * bool(self.total)

    def keep_good_rows(
        self, chunk: "Chunk", frame: pl.DataFrame, limited: bool = True
    ) -> pl.DataFrame:
        """Note what is wrong in a `Chunk`, in the order of lines; return the good rows.

        Args:
            chunk: `sources.chunk.Chunk`.
            frame: DataFrame with a row for each of the chunk's.
            limited: bool, whether `limit` counts these rows.
        """
        good = chunk.keep.to_numpy()
        frame, lines = frame.filter(chunk.keep), chunk.lines[good]
        found, rows_in = sorted(chunk.found, key=lambda item: item[0]), chunk.rows_in
        if limited and self.left is not None:
            if len(frame) >= self.left:
                frame, lines = frame.head(self.left), lines[: self.left]
                last = lines[-1] if len(lines) else 0
                found = [item for item in found if item[0] <= last]
                rows_in = len(frame) + sum(item[1] is not None for item in found)
            self.left -= len(frame)
        self.rows_in += rows_in
        self.reads_beyond |= not limited
        for line, reason, value, hint in found:
            if reason is None:
                raise InputError(f"{chunk.path}:{line}: {value}")
            self.add(chunk.path, line, reason, value, hint, chunk.name)
        return frame

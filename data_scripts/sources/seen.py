"""What the rows of a table say about those further down: their times, and words of the label."""

from pathlib import Path

import polars as pl

from data_scripts.errors import InputError
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.times import Times
from reloop2_keras.core.labels import LabelRule


class Seen:
    """What was seen in the rows of a log so far, in their order.

    Args:
        path: the first file, for messages.
        label: str, the label's column.
        positive: text of the rule that says which labels click, or None.
        time: str, the time's column, or None.
        form: of times, see `Times`.

    Attributes:
        times: `Times`, or None.
        first, last: times of the first and the last good row.
        fitting: int, rows whose label is one of the words.
    """

    def __init__(
        self, path: Path, label: str, positive: str | None, time: str | None, form: str
    ) -> None:
        self._path, self._label, self._positive = str(path), label, positive
        rule = LabelRule.parse(positive)
        self._words, self._click = rule.words is not None, int(rule.compare != "!=")
        self.times = Times(time, form) if time else None
        self.first: int | None = None
        self.last: int | None = None
        self.fitting = 0

    def check_order(self, chunk: Chunk, frame: pl.DataFrame) -> None:
        """Note the first row whose time is before that of the row above it."""
        good = frame.filter(chunk.keep)
        if self.times is None or not len(good):
            return
        times = good["time"]
        previous = times.shift(1, fill_value=self.last)
        late = (times < previous).fill_null(False)
        if late.any():
            row = late.arg_true()[0]
            chunk.stop(
                chunk.lines[chunk.keep.to_numpy()][row],
                f"expected rows in the order of {self.times.column} (>= {previous[row]} as in the "
                f"row before), found {times[row]}; use --sort",
            )
        self.first = times[0] if self.first is None else self.first
        self.last = times[-1]

    def take(self, chunk: Chunk, frame: pl.DataFrame) -> None:
        """Take note of a chunk's good rows."""
        if self.times:
            self.times.watch(chunk, frame["time"])
        self.fitting += int((frame["label"] == self._click).sum())

    def then(self, later: "Seen") -> None:
        """Take up what was seen in the part behind these rows."""
        if self.times and later.times:
            self.times.then(later.times)
        self.first = later.first if self.first is None else self.first
        self.last = self.last if later.last is None else later.last
        self.fitting += later.fitting

    def fits_behind(self, before: "Seen") -> bool:
        """Whether these rows, seen on their own, are not before those of the part above them."""
        return before.last is None or self.first is None or before.last <= self.first

    def known(self) -> bool:
        """Whether the form of times is decided, or none is needed."""
        return self.times is None or self.times.decided is not None or self.first is not None

    def decide_as(self, other: "Seen") -> None:
        """Read times in the form that was decided elsewhere."""
        if self.times and other.times:
            self.times.decided = other.times.decided

    def check_end(self) -> None:
        """Raise InputError if no label fits, or if times may be dates as well as numbers."""
        # A misspelled word would make a log without a click, or (with "!=") of clicks alone.
        if self._words and not self.fitting:
            raise InputError(
                f"{self._path}: expected labels in column {self._label} that --positive "
                f"{self._positive!r} takes for {'a' if self._click else 'no'} click, found none"
            )
        if self.times:
            self.times.check_clear()

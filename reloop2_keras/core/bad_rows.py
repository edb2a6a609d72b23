"""Rows that are skipped because they are bad: why, how many, and when they are too many (ours).

A log of which most rows are skipped is another log. So reasons are told with their counts, and more
bad rows than `max_bad` are an error.
"""

from collections.abc import Iterable
from typing import Any

MAX_BAD = 0.1
KEPT = 100  # reasons that are told apart, as a text of the file may be part of one
OTHERS = "other reasons"


class BadReasons:
    """Counts why rows are bad, and keeps the first example of each reason.

    Args:
        entries: what `plain` returned, to go on from.
        kept: reasons that are told apart.

    Attributes:
        total: int, bad rows.

    Example:
        >>> reasons = BadReasons()
        >>> for line in (7, 9):
        ...     reasons.add("expected 4 columns", f"log.csv:{line}", "3")
        >>> reasons.add("expected UTF-8", "log.csv:8", None)
        >>> for line in reasons.lines():
        ...     print(line)
        2: expected 4 columns; the first: log.csv:7, found '3'
        1: expected UTF-8; the first: log.csv:8
        >>> reasons.check(30, 0.1)
        >>> reasons.check(29, 0.1)
        Traceback (most recent call last):
        ValueError: expected at most 10 % bad rows, found 10.34 %, 3 of 29 (2: expected 4 columns; \
the first: log.csv:7, found '3', and 1 more reason); --max-bad takes a greater share
    """

    def __init__(self, entries: Iterable[dict[str, Any]] = (), kept: float = KEPT) -> None:
        self._entries = {entry["reason"]: dict(entry) for entry in entries}
        self._kept = kept

    @property
    def total(self) -> int:
        """How many bad rows were counted."""
        return sum(entry["rows"] for entry in self._entries.values())

    def add(self, reason: str, place: str, found: str | None) -> None:
        """Count a bad row.

        Args:
            reason: what was expected, with the name of the column.
            place: file and line.
            found: the value, as text; None where there is nothing to show.
        """
        if reason not in self._entries and len(self._entries) >= self._kept:
            reason = OTHERS
        first = {"reason": reason, "rows": 0, "first": place, "found": found}
        self._entries.setdefault(reason, first)["rows"] += 1

    def then(self, later: "BadReasons") -> None:
        """Count the bad rows of a part behind these rows, where all reasons are told apart."""
        for entry in later._entries.values():
            self.add(entry["reason"], entry["first"], entry["found"])
            reason = entry["reason"] if entry["reason"] in self._entries else OTHERS
            self._entries[reason]["rows"] += entry["rows"] - 1

    def plain(self) -> list[dict[str, Any]]:
        """Return the reasons as plain values, the most frequent first."""
        return sorted(map(dict, self._entries.values()), key=lambda entry: -entry["rows"])

    def lines(self) -> list[str]:
        """Return a line for each reason, the most frequent first."""
        return [_line(entry) for entry in self.plain()]

    def main(self) -> str:
        """Return the most frequent reason in a few words; empty without a bad row."""
        first, *others = self.lines() or [""]
        plural = "s" * (len(others) > 1)
        return first + (f", and {len(others)} more reason{plural}" if others else "")

    def check(self, rows: int, max_bad: float, bad: int | None = None) -> None:
        """Raise ValueError, of one line, if more than a share of the rows are bad.

        Args:
            rows: int, all rows, bad ones included.
            max_bad: float in [0, 1].
            bad: int, bad rows, where more are known than were counted here.
        """
        bad = self.total if bad is None else bad
        if bad and bad / rows > max_bad:
            why = f" ({self.main()})" if self._entries else ""
            raise ValueError(
                f"expected at most {100 * max_bad:.4g} % bad rows, found {100 * bad / rows:.4g} %, "
                f"{bad:,} of {rows:,}{why}; --max-bad takes a greater share"
            )


def _line(entry: dict[str, Any]) -> str:
    found = "" if entry["found"] is None else f", found {entry['found']!r}"
    return f"{entry['rows']:,}: {entry['reason']}; the first: {entry['first']}{found}"

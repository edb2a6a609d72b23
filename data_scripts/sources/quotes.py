"""Quotes in the lines of delimited text: which lines close every value that they open."""

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from data_scripts.sources.inputs import LONGEST

if TYPE_CHECKING:  # Only a type checker needs the reader's own type.
    from _csv import Reader

# The limit guards against values that never close; Python's own limit is 128 KB.
csv.field_size_limit(LONGEST)

STRAY = "stray"
OPEN = "open"
OPENED = (
    "expected the quoted value that begins here to end {where}, found no closing {quote}. Say "
    "--multiline if values hold line breaks, --quote '' if quotes are text like any other"
)


def csv_reader(lines: Iterable[str], separator: str, quote: str) -> "Reader":
    """Return Python's reader of delimited text, strict about what follows a closing quote."""
    return csv.reader(
        lines,
        delimiter=separator,
        quotechar=quote or '"',
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        strict=True,
    )


def quote_fault(line: str, separator: str, quote: str) -> str | None:
    """Return OPEN or STRAY for a line whose quotes do not close or close too early, else None."""
    try:
        for _ in csv_reader([line], separator, quote):
            pass
    except csv.Error as error:
        return OPEN if "unexpected end" in str(error) else STRAY
    return None


def suspicious_lines(array: np.ndarray, ends: np.ndarray, separator: str, quote: str) -> np.ndarray:
    """Return the indices of lines whose quotes must be looked at one by one.

    In all other lines each opening quote follows a separator or a line end, and each closing quote
    is followed by one. This is checked for all lines at once, without a parser.

    Args:
        array: NumPy uint8, the bytes of whole lines.
        ends: NumPy int, where the lines end.
        separator, quote: one character each.
    """
    at = np.flatnonzero(array == ord(quote))
    counts = np.diff(np.searchsorted(at, ends), prepend=0)
    odd = np.flatnonzero(counts % 2)
    if len(odd):
        at = at[np.repeat(counts % 2 == 0, counts)]
    # In lines with an even number of quotes every other one closes.
    edges = np.zeros(256, bool)
    edges[[ord(separator), ord("\n"), ord("\r")]] = True
    opens, closes = at[::2], at[1::2]
    wrong = ~(edges[array[opens - 1]] | (opens == 0))
    wrong |= ~(edges[array[np.minimum(closes + 1, len(array) - 1)]] | (closes + 1 == len(array)))
    return np.union1d(odd, np.searchsorted(ends, opens[wrong]))


def opening_line(text: str, line: int, separator: str, quote: str) -> int:
    """Return the line where the value begins that is open, or closes too early, in `text`.

    Args:
        text: a record, from its beginning, with line ends.
        line: int, the line where it begins.
        separator, quote: one character each.
    """
    at = 0
    while at < len(text):
        if text[at] == quote:
            end = text.find(quote, at + 1)
            while end >= 0 and text[end + 1 : end + 2] == quote:  # doubled: a quote in the value
                end = text.find(quote, end + 2)
            if end < 0 or text[end + 1 : end + 2] not in (separator, "\r", "\n", ""):
                break
            at = end + 1
        else:
            ending = text.find(separator, at)
            at = len(text) if ending < 0 else ending
        at += 1
    return line + text.count("\n", 0, at)

"""Rows that must have every field: in a live request an absent one is a sender's mistake (ours).

A log may leave out what is missing, as JSON lines do, and `Encoder` takes that for missing. A
request that lacks a field was more likely made wrong: its score would be a guess.
"""

import collections
import threading
from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.raw_columns import RawColumns

SHOWN = 20  # names in one error


class WholeRows:
    """Refuses rows that lack fields, or counts what they lack.

    Args:
        encoder: `Encoder`.
        strict: bool, whether to refuse them.

    Attributes:
        lacking: `collections.Counter` field -> rows; of those that were not refused.
    """

    def __init__(self, encoder: Encoder, strict: bool) -> None:
        self.strict, self.lacking = bool(strict), collections.Counter[str]()
        names, raw = [field["name"] for field in encoder.fields], encoder.description["raw"]
        derived = RawColumns.of_json(dict(raw)).derived
        # a field that preparation made of another column may come as that column
        self._ways = {n: {n, derived[n].column} if n in derived else {n} for n in names}
        self._plain = frozenset(n for n, ways in self._ways.items() if len(ways) == 1)
        self._others = [ways for ways in self._ways.values() if len(ways) > 1]
        self._lock = threading.Lock()

    def check(self, rows: Any) -> None:
        """Look at a row, or a list of rows; a table is the encoder's matter.

        Raises:
            ValueError: naming row and fields.
        """
        if isinstance(rows, Mapping):
            rows = (rows,)
        if not isinstance(rows, list | tuple):
            return
        plain, others = self._plain, self._others
        for place, row in enumerate(rows):
            if not isinstance(row, Mapping):
                return  # the encoder says what is wrong
            keys = row.keys()
            if not keys >= plain or not all(ways & keys for ways in others):
                self._lacks(place, [n for n, ways in self._ways.items() if not ways & keys])

    def _lacks(self, place, names):
        if self.strict:
            ways = [" or ".join(map(repr, sorted(self._ways[name]))) for name in names[:SHOWN]]
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            raise ValueError(
                f"row {place}: expected every field, null where the value is missing. "
                f"Not there: {', '.join(ways)}{more}"
            )
        with self._lock:
            self.lacking.update(names)


def no_text(rows: Any) -> str:
    """Return where a text of some rows is no valid Unicode, which JSON can hold all the same.

    Example:
        >>> no_text([{"user": 1}, {"user": "a" + chr(0xD800)}])[:54]
        'row 1: field user: expected valid Unicode, found half '
    """
    for place, row in enumerate((rows,) if isinstance(rows, Mapping) else rows):
        for name, value in row.items():
            for text in (name, value):
                if isinstance(text, str) and not _is_unicode(text):
                    shown = ascii(text[:40])
                    where = f"row {place}: field {name.encode('ascii', 'replace').decode()}"
                    return f"{where}: expected valid Unicode, found half of a pair: {shown}"
    return "expected valid Unicode, found half of a pair"


def _is_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

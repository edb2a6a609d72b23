"""Fields that are made of a column of the raw log: an hour out of a date, a year out of a title.

Each is one column and a named step from text to text, so that preparation, and a request long
after, take the same one. Ours.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from reloop2_keras.core.raw_numbers import INTEGER
from reloop2_keras.core.text import canonical_text


def raw_text(value: Any) -> str | None:
    """Return what a value is in a file of text: a text itself, anything else its canonical text.

    Example:
        >>> [raw_text(value) for value in ("7.0", 7.0, True, None)]
        ['7.0', '7', 'True', None]
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    return value if isinstance(value, str) else canonical_text(value)


def _whole_number(text):
    if text is None or not INTEGER.fullmatch(text):
        raise ValueError("expected a whole number")
    return str(int(text))


def _hour_utc_8(text):
    if text is None or not INTEGER.fullmatch(text):
        raise ValueError("expected whole seconds since 1970")
    return str((int(text) // 3600 + 8) % 24)


def _year_of_title(text):
    found = re.search(r"\(([0-9]{4})\)\s*$", text or "")
    return found and found[1]


STEPS: dict[str, Callable[[str | None], str | None]] = {
    "same": lambda text: text,
    "whole_number": _whole_number,  # 7 for 007
    "last_two": lambda text: text and text[-2:],  # the hour of YYMMDDHH
    "hour_of_clock": lambda text: text and text.zfill(4)[:2],  # of HMM or HHMM
    "hour_utc_8": _hour_utc_8,  # of Unix seconds, in China
    "year_of_title": _year_of_title,  # Up (2009)
    "no_genres": lambda text: None if text == "(no genres listed)" else text,
    "null_word": lambda text: None if text == "NULL" else text,
}


@dataclasses.dataclass(frozen=True)
class Derived:
    """A field that is made of a column of the raw log.

    Attributes:
        column: str, the column.
        step: str, a key of `STEPS`.

    Raises:
        ValueError: for a step that there is not.

    Example:
        >>> Derived("title", "year_of_title").of("Up (2009)")
        '2009'
        >>> Derived("userId").of(7)
        7
    """

    column: str
    step: str = "same"

    def __post_init__(self):
        if self.step not in STEPS:
            known = ", ".join(STEPS)
            raise ValueError(f"`step` must be one of {known}. Received: {self.step!r}")

    def of(self, value: Any) -> Any:
        """Return the field's raw value for a value of the column.

        Raises:
            ValueError: saying what was expected, for a value that the step cannot take.
        """
        return value if self.step == "same" else STEPS[self.step](raw_text(value))

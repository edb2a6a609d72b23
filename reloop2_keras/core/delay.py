"""How late labels are: by slots, by rows, or by the log's own time."""

import dataclasses
import re
from typing import Any

from reloop2_keras.core.arguments import LARGEST, integer, number, shown

UNITS = ("slots", "rows", "seconds")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_WORDS = {"": "slots", "slot": "slots", "row": "rows", "second": "s", "seconds": "s"}
_EXPECTED = (
    'a number of slots (1), of rows ("5000rows"), or a time ("90s", "30min", "2h", "1d"), >= 0'
)


@dataclasses.dataclass(frozen=True)
class Delay:
    """How long a label takes to arrive after its row.

    A slot is predicted by what has arrived by then: with `slots`, the rows of slots < t - amount;
    with `rows`, those that lie at least so many rows before the slot's first row; with `seconds`,
    those whose time + amount <= the time of the slot's first row. Never a row of the slot itself.

    Args:
        amount: float >= 0, an integer for slots and rows.
        unit: "slots", "rows" or "seconds" (of the column `time`).

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> [Delay.of(text) for text in (1, "5000rows")]
        [Delay(amount=1.0, unit='slots'), Delay(amount=5000.0, unit='rows')]
        >>> str(Delay.of("2h")), str(Delay.of("2h") + Delay.of("90s"))
        ('7200s', '7290s')
    """

    amount: float = 0.0
    unit: str = "slots"

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"`unit` must be one of {UNITS}. Received: {self.unit!r}")
        try:
            amount = number("amount", self.amount, f"[0, {LARGEST}]")
            if self.unit != "seconds":
                integer("amount", amount, 0)
        except ValueError:
            raise ValueError(
                f"`delay` must be {_EXPECTED}. Received: {shown(self.amount)} {self.unit}"
            ) from None
        object.__setattr__(self, "amount", amount)

    @classmethod
    def of(cls, value: Any, name: str = "delay") -> "Delay":
        """Return the delay that a number of slots, a text such as "2h", or a `Delay` means.

        Args:
            value: int, str or `Delay`.
            name: str, what an error calls the argument.

        Raises:
            ValueError: if it is none of them.
        """
        if isinstance(value, cls):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value))
        word = found and _WORDS.get(found[2], found[2])
        if not found or isinstance(value, bool) or word not in (*UNITS, *_SECONDS):
            raise ValueError(f"`{name}` must be {_EXPECTED}. Received: {value!r}")
        try:
            if word in _SECONDS:
                return cls(float(found[1]) * _SECONDS[word], "seconds")
            return cls(float(found[1]), word)
        except ValueError:
            raise ValueError(f"`{name}` must be {_EXPECTED}. Received: {value!r}") from None

    def __add__(self, other: "Delay") -> "Delay":
        if other.unit != self.unit:
            raise ValueError(f"delays must be of one unit. Received: {self} and {other}")
        return Delay(self.amount + other.amount, self.unit)

    def __str__(self) -> str:
        amount = f"{self.amount:g}" if self.amount % 1 else str(int(self.amount))
        return amount + {"slots": " slots", "rows": " rows", "seconds": "s"}[self.unit]

    def plain(self) -> int | str:
        """Return it as a report notes it: a number of slots, or text."""
        return int(self.amount) if self.unit == "slots" else str(self)

"""Checks of arguments: each returns the value, or raises one line that names the argument.

Nothing is allocated here, so that what checks its sizes first cannot ask for all the memory.
"""

import math
import numbers
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
LARGEST = 2**53  # whole numbers up to here are exact wherever they go, JSON's readers included
MOST_COLUMNS = 10_000
MOST_CHUNK_ROWS = 2**22  # a chunk is held in memory, at about 256 bytes a row and more
MOST_WIDTH = 2**20  # of a memory's keys
MOST_ROWS = 2**31 - 1  # of a table, as places are int32


def integer(name: str, value: Any, low: int, high: int = LARGEST) -> int:
    """Return a whole number of [low, high] as int; 2.0 and NumPy's numbers are fine.

    Raises:
        ValueError: naming the argument, for anything else.

    Example:
        >>> integer("slots", 20.0, low=1)
        20
    """
    whole = isinstance(value, numbers.Integral) or (
        isinstance(value, numbers.Real) and float(value).is_integer()
    )
    if not whole or isinstance(value, bool) or not low <= value <= high:
        limits = f">= {low}" if high == LARGEST else f"from {low} to {high:,}"
        raise ValueError(f"`{name}` must be an integer {limits}. Received: {shown(value)}")
    return int(value)


def number(name: str, value: Any, interval: str) -> float:
    """Return a finite number of an interval as float.

    Args:
        name: of the argument.
        value: what was given.
        interval: as it is written in mathematics: "[0, 1)", "(0, inf)".

    Raises:
        ValueError: naming the argument, for anything else.

    Example:
        >>> number("decay", 1, "(0, 1]")
        1.0
        >>> number("prior", -1, "(0, inf)")
        Traceback (most recent call last):
        ValueError: `prior` must be > 0 and finite. Received: -1
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    right = isinstance(value, numbers.Real) and not isinstance(value, bool)
    right = right and low <= value <= high and abs(value) <= sys.float_info.max
    if (
        not right
        or (value == low and interval[0] == "(")
        or (value == high and interval[-1] == ")")
    ):
        limits = f"in {interval}"
        if high == math.inf:
            limits = f"{'>' if interval[0] == '(' else '>='} {low:g} and finite"
        raise ValueError(f"`{name}` must be {limits}. Received: {shown(value)}")
    return float(value)


def columns(name: str, value: Any, most: int = MOST_COLUMNS) -> list[int]:
    """Return a list of columns, whole numbers from 0 on, as ints.

    Raises:
        ValueError: naming the argument, for anything else, a text included.

    Example:
        >>> columns("fields", (0, 2))
        [0, 2]
    """
    return [integer(name, column, 0, most) for column in sequence(name, value, "columns")]


def sequence(name: str, value: Any, what: str) -> list[Any]:
    """Return a list of what is given one after the other; a text or a number is a ValueError."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise ValueError(f"`{name}` must be a list of {what}. Received: {shown(value)}")
    return list(value)


def batches_of(value: T, name: str = "batches") -> T:
    """Return what gives batches one after the other, as it is: it may be read only once."""
    gives = any(hasattr(value, way) for way in ("__iter__", "__getitem__", "__call__"))
    if isinstance(value, str | bytes) or not gives:
        raise ValueError(f"`{name}` must give batches of rows. Received: {shown(value)}")
    return value


def flag(name: str, value: object) -> bool:
    """Return True or False; any other value, 0 and "no" included, is a ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {shown(value)}")
    return value


def optional(check: Callable[..., T], name: str, value: object, *limits: Any) -> T | None:
    """Return None for None, else what `check` returns for the value, with these limits."""
    return None if value is None else check(name, value, *limits)


def shown(value: object) -> str:
    """Return what was given as an error shows it: at most 80 characters.

    Example:
        >>> shown([1] * 99)[70:]
        ', 1, 1,...'
    """
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # a list in itself; an int of thousands of digits
        text = f"one {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."

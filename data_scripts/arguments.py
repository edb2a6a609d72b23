"""Checks of arguments: each returns the value, or raises one line that names the argument."""

import math
import numbers
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
LARGEST = 2**53  # whole numbers up to here are exact wherever they go, JSON's readers included
MOST_COLUMNS = 10_000
MOST_CHUNK_ROWS = 2**22  # a chunk is held in memory, at about 256 bytes a row and more


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
        raise ValueError(f"`{name}` must be an integer {limits}. Received: {value!r}")
    return int(value)


def fraction(name: str, value: Any) -> float:
    """Return a number between 0 and 1, neither of them included, as float.

    Raises:
        ValueError: naming the argument, for anything else.
    """
    number = isinstance(value, numbers.Real) and math.isfinite(value)
    if not number or isinstance(value, bool) or not 0 < value < 1:
        raise ValueError(f"`{name}` must be in (0, 1). Received: {value!r}")
    return float(value)


def at_least_zero(name: str, value: Any) -> float:
    """Return a finite number >= 0 as float.

    Raises:
        ValueError: naming the argument, for anything else.

    Example:
        >>> at_least_zero("interactions", 2)
        2.0
    """
    number = isinstance(value, numbers.Real) and math.isfinite(value)
    if not number or isinstance(value, bool) or value < 0:
        raise ValueError(f"`{name}` must be a finite number >= 0. Received: {value!r}")
    return float(value)


def flag(name: str, value: object) -> bool:
    """Return True or False; any other value, 0 and "no" included, is a ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {value!r}")
    return value


def optional(check: Callable[..., T], name: str, value: object, *limits: int) -> T | None:
    """Return None for None, else what `check` returns for the value, with these limits."""
    return None if value is None else check(name, value, *limits)

"""Raw values as numbers: which texts are one, which values are missing, and what is too large.

Preparation and the encoder share this. Whole columns of text are parsed by Polars, which takes the
same texts for numbers (a test compares the two); what it does not take is asked here. Ours.
"""

import decimal
import math
import re
from typing import Any

import numpy as np

LARGEST = 3.4028234663852886e38  # of float32, which the prepared dataset holds
# What Unicode calls white space, as Polars strips it: Python's own `strip` takes four more.
WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
BOOLEANS = {"True": 1.0, "true": 1.0, "TRUE": 1.0, "False": 0.0, "false": 0.0, "FALSE": 0.0}
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)",
    re.IGNORECASE | re.ASCII,
)
TOO_LARGE = "expected a number within 3.4e38 (float32)"
MISSING_TYPES = ("NAType", "NaTType")  # of pandas, which core does not import


def expected_number(integer: bool) -> str:
    """Return what an error says was expected."""
    return "expected an integer" if integer else "expected a number"


def is_int64(number: float) -> bool:
    """Whether a number is a whole one that int64 holds."""
    return -(2**63) <= number < 2**63 and number == int(number)


def number_of_text(text: str, integer: bool = False) -> float | None:
    """Return the number that a text without white space around it writes, None if it is none.

    Example:
        >>> [number_of_text(text) for text in ("7", "+.5e1", "inf", "True", "7,5", "1_0")]
        [7.0, 5.0, inf, 1.0, None, None]
        >>> [number_of_text(text, integer=True) for text in ("07", "7.0", "9223372036854775808")]
        [7.0, None, None]
    """
    if integer:
        if not INTEGER.fullmatch(text):
            return None
        digits = text.lstrip("+-").lstrip("0")
        if len(digits) > 19:  # beyond int64; Python refuses to read thousands of digits
            return None
        number = int(text)
        return float(number) if is_int64(number) else None
    return float(text) if NUMBER.fullmatch(text) else BOOLEANS.get(text)


def number_of(value: Any, integer: bool = False) -> float:
    """Return a raw value as a number, NaN if it is missing.

    Args:
        value: None, str, bytes, bool, int, float, `decimal.Decimal`, or a NumPy scalar of these
            kinds; pandas' NA and NaT are missing, as are NaN and texts of nothing but white space.
        integer: bool, whether it must be whole (as in Criteo's log); the text 7.0 is not.

    Raises:
        ValueError: saying what was expected, if the value is no number or beyond float32.

    Example:
        >>> [number_of(value) for value in (7, " 7.0", True, None, "", decimal.Decimal("7.5"))]
        [7.0, 7.0, 1.0, nan, nan, 7.5]
    """
    kind = type(value)
    if (kind is float or kind is int) and not integer and -LARGEST <= value <= LARGEST:
        return float(value)  # what comes most
    if isinstance(value, bytes):
        value = value.decode("utf-8")  # a UnicodeDecodeError is a ValueError
    if isinstance(value, str):
        text = value.strip(WHITE)
        number = number_of_text(text, integer) if text else math.nan
        if number is None:
            raise ValueError(expected_number(integer))
    elif value is None or type(value).__name__ in MISSING_TYPES:
        return math.nan
    elif isinstance(value, bool | np.bool_ | int | float | np.floating | decimal.Decimal) or (
        isinstance(value, np.integer) and not isinstance(value, np.timedelta64)
    ):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if integer and not math.isnan(number) and not is_int64(number):
            raise ValueError(expected_number(integer))
    else:
        raise ValueError(expected_number(integer))
    if abs(number) > LARGEST:
        raise ValueError(TOO_LARGE)
    return number

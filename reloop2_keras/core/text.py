"""One canonical text a value, whatever file or request it came from; the table is in `TEXTS`.

Ids and hashes are made of text, so that two writings of one value would be two values. Ours.
"""

import datetime
import decimal
import math
import re
from typing import Any

import numpy as np

TEXTS = """
value                     text
missing (None, NaN, "")   none at all; its hash is that of ""
Boolean                   True, False
integer                   its decimal digits: 7, -3
float, whole, < 1e16      as the integer: 7 for 7.0, 0 for -0.0
float, any other          the shortest text that reads back as itself: .1 -> 0.1, 1e20 -> 1e+20
decimal                   as the float that it writes, if there is one: 7.50 -> 7.5
date, time                2024-01-31, 2024-01-31 10:00:00, then .ffffff if that is not 0 (.fffffffff
                          for nanoseconds); with a time zone: in UTC, then +00:00
text                      itself, but for two kinds that files write in several ways:
                          true, TRUE, false, FALSE are True, False; 7.0 is 7 (see `WHOLE`)
bytes                     the text that they encode in UTF-8
"""

BOOLEANS = {"true": "True", "TRUE": "True", "false": "False", "FALSE": "False"}
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]{0,15}))\.0")  # what Python writes for a whole float
DIGITS = 80  # of a decimal: files hold up to 76
WHOLE_BELOW = 1e16  # from here on it writes an exponent


def canonical_text(value: Any) -> str | None:
    """Return the one text of a value that ids and hashes are made of, None if it is missing.

    Args:
        value: None, str, bytes, bool, int, float, `decimal.Decimal`, date, datetime, or a NumPy
            scalar of these kinds; pandas' NA and NaT are missing.

    Raises:
        TypeError: for a value of another kind, a list for example.
        ValueError: for bytes that are no UTF-8.

    Example:
        >>> [canonical_text(value) for value in (7, 7.0, "7.0", np.float32(0.1), True, "true")]
        ['7', '7', '7', '0.1', 'True', 'True']
        >>> [canonical_text(value) for value in (None, float("nan"), "", "007", "None")]
        [None, None, None, '007', 'None']
    """
    kind = type(value)
    if kind is str:  # the two that come most
        return _of_string(value)
    if kind is int:
        return str(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8")  # a UnicodeDecodeError is a ValueError
    if isinstance(value, str):
        return _of_string(str(value))
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer) and not isinstance(value, np.timedelta64):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return _of_float(value)
    if isinstance(value, decimal.Decimal):
        return _of_decimal(value)
    if isinstance(value, datetime.date | np.datetime64):
        return _of_time(value)
    raise TypeError(
        "expected a text, number, Boolean, date or time, or None. "
        f"Received: {str(value)[:60]!r} of type {type(value).__name__}"
    )


def _of_string(text):
    if text.endswith(".0") and (whole := WHOLE.fullmatch(text)):
        text = "0" if whole[1] == "-0" else whole[1]
    return BOOLEANS.get(text, text) or None


def _of_float(value):
    if math.isnan(value):
        return None
    if abs(value) < WHOLE_BELOW and value == int(value):
        return str(int(value))
    # a NumPy scalar's own width: the nearest float64 of a float32 has more digits. Readers of
    # files know no narrower one, so that a float16 is the float32 that it becomes there
    return str(np.float32(value) if isinstance(value, np.float16) else value)


def _of_decimal(value):
    if value.is_nan():
        return None
    if value.is_finite() and decimal.Decimal(repr(float(value))) != value:
        # more digits than a float has; Python's own context would cut them to 28
        return format(value.normalize(decimal.Context(prec=DIGITS)), "f")
    return _of_float(float(value))


def _of_time(value):
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return None
        if np.datetime_data(value)[0] in "YMWD":
            return str(value.astype("datetime64[D]"))
        whole = value.astype("datetime64[s]")
        nanoseconds = int((value - whole).astype("timedelta64[ns]").astype("int64"))
        return str(whole).replace("T", " ") + fraction_text(nanoseconds)
    if not isinstance(value, datetime.datetime):
        return value.isoformat()
    zone = "" if value.tzinfo is None else "+00:00"
    if zone:
        value = value.astimezone(datetime.UTC)
    nanoseconds = 1000 * value.microsecond + getattr(value, "nanosecond", 0)  # pandas has them
    return f"{value:%Y-%m-%d %H:%M:%S}{fraction_text(nanoseconds)}{zone}"


def fraction_text(nanoseconds: int) -> str:
    """Return what a time's text adds to its seconds: nothing, six digits, or nine.

    Example:
        >>> [fraction_text(value) for value in (0, 250_000_000, 1)]
        ['', '.250000', '.000000001']
    """
    if nanoseconds == 0:
        return ""
    digits = f".{nanoseconds:09d}"
    return digits[:-3] if nanoseconds % 1000 == 0 else digits


def bucket_text(value: float | None) -> str | None:
    """Return the text that stands for a number in hashes: its bucket, None if it is missing.

    Above 2 that is floor(log(value)^2), else floor(value); a letter tells the two apart. (The
    buckets are those of the Criteo baselines; the letters are ours.)

    Example:
        >>> [bucket_text(value) for value in (None, -3.5, 2.0, 100.0)]
        [None, 'n-4', 'n2', 'l21']
    """
    if value is None or math.isnan(value):
        return None
    if value > 2:
        return f"l{math.floor(math.log(value) ** 2)}"
    return f"n{max(math.floor(value), -(2**63))}"

"""Times of all kinds to Unix seconds; their form is decided once, for all files."""

import datetime
import re

import polars as pl

from data_scripts.errors import InputError
from data_scripts.sources.chunk import Chunk

# Numbers below 1e11 are seconds, until the year 5138; as milliseconds that was in 1973.
SCALES = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
BOUNDS = {
    "seconds": (0, 1e11),
    "milliseconds": (1e11, 1e14),
    "microseconds": (1e14, 1e17),
    "nanoseconds": (1e17, 1e19),
}
DATES = "dates"
ISO = (
    r"^(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])"
    r"(?::(?P<second>[0-5][0-9])(?:[.,][0-9]+)?)?"
    r" ?(?P<zone>Z|z|UTC|GMT|[+-][01][0-9](?::?[0-5][0-9])?)?)?$"
)
FORMS = (
    "dates as 2013-11-06 or 2013-11-06T12:30:59.123+02:00 (UTC if they say no zone), or seconds, "
    "milli-, micro- or nanoseconds since 1970, the same in all rows; --time-format for others"
)
# Dates that look like numbers, the last as in Avazu's log. One of them is enough to refuse a log.
DIGITS = ("%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%y%m%d", "%y%m%d%H")


# Of the seconds since 1970 one in 190 also reads as such a date, so only a log in which all do so
# is refused: a log of seconds that is longer than a minute practically never is.
MINUTES = "%y%m%d%H%M"


class Times:
    """Reads the time column of all chunks of a log, in their order.

    The first time that can be read decides whether the log has dates or numbers, and in which
    unit; a row of another kind is a bad row. So the result depends on no chunk, and the log is
    not read once more. Dates with and without a time of day are one kind: midnight is often
    written as the bare date.

    Args:
        column: str.
        form: "auto"; "seconds", "milliseconds", "microseconds" or "nanoseconds" since 1970; or a
            pattern of strptime, "%y%m%d%H" for example.

    Raises:
        ValueError: if `form` is none of these.
    """

    def __init__(self, column: str, form: str = "auto") -> None:
        self.column, self.form = column, form
        self.decided = form if form in SCALES else None
        self._example: tuple[str, int, int] | None = None
        self._may_be_dates = form == "auto"
        check_form(form)

    def seconds(self, chunk: Chunk) -> pl.Series:
        """Return Unix seconds, rounded down: Int64 Series; rows without a time are rejected."""
        values = chunk.frame[self.column]
        seconds = self._read(chunk, values)
        hint = f"of the pattern {self.form}" if "%" in self.form else FORMS
        chunk.reject(seconds.is_null(), values, f"expected a time in column {self.column}", hint)
        return seconds

    def watch(self, chunk: Chunk, seconds: pl.Series) -> None:
        """Take note whether the log's times, read as seconds, may all be dates of ten digits.

        Args:
            chunk: `Chunk`.
            seconds: Int64 Series, the times of its good rows, or of the first of these.
        """
        if not self._may_be_dates or self.decided != "seconds":
            return
        # Other numbers, such as 0 for a missing time, speak for neither reading.
        digits = seconds.is_between(10**8, 10**10, closed="left")
        dates = by_pattern(seconds.cast(pl.String).str.zfill(10), MINUTES).is_not_null() & digits
        self._may_be_dates = bool((dates == digits).all())
        if self._example is None and dates.any():
            row = dates.arg_true()[0]
            line = int(chunk.lines[chunk.keep.to_numpy()][row])
            self._example = str(chunk.path), line, seconds[row]

    def then(self, later: "Times") -> None:
        """Take up what was found in the rows behind these, which were read apart from them."""
        self.decided = self.decided or later.decided
        self._may_be_dates &= later._may_be_dates
        self._example = self._example or later._example

    def check_clear(self) -> None:
        """Raise InputError if all times of the log may be seconds as well as dates."""
        if self._may_be_dates and self._example is not None:
            path, line, number = self._example
            digits = f"{number:010d}"
            second = datetime.datetime.fromtimestamp(number, datetime.UTC)
            minute = datetime.datetime.strptime(digits, MINUTES)
            raise InputError(
                f"{path}:{line}: expected times in column {self.column} that are clearly numbers "
                f"or dates, found only such as {digits!r}: {second:%Y-%m-%d %H:%M:%S} as seconds "
                f"since 1970, {minute:%Y-%m-%d %H:%M} as {MINUTES}; "
                f"say --time-format {MINUTES} or --time-format seconds"
            )

    def _read(self, chunk, values):
        kind = values.dtype
        if kind == pl.Date or isinstance(kind, pl.Datetime):
            return _epoch(values)  # Typed times need no form.
        text = values.str.strip_chars() if kind == pl.String else values.cast(pl.String)
        # A column of floats writes 20131106 as 20131106.0.
        text = text.str.replace(r"^(-?[0-9]+)\.0$", "${1}")
        if "%" in self.form:
            return by_pattern(text, self.form)
        dates = _iso(text)
        whole = text.cast(pl.Int64, strict=False)
        number = values.cast(pl.Float64, strict=False) if kind.is_numeric() else None
        number = text.cast(pl.Float64, strict=False) if number is None else number
        if self.decided is None:
            self._decide(chunk, text, number, dates)
        if self.decided in (None, DATES):
            return dates
        scale, (low, high) = SCALES[self.decided], BOUNDS[self.decided]
        if self.form != "auto":
            low, high = 0, BOUNDS["nanoseconds"][1]
        fits = number.abs().is_between(low, high, closed="left").fill_null(False)
        number = number.zip_with(fits, number.clear(len(number)))
        # Integers are divided as such, because float64 may round nanoseconds up to the next second.
        seconds = (number / scale).floor().cast(pl.Int64)
        return (whole // scale).zip_with(whole.is_not_null() & fits, seconds)

    def _decide(self, chunk, text, number, dates):
        """Fix the form by the first row whose time can be read."""
        low, high = BOUNDS["seconds"][0], BOUNDS["nanoseconds"][1]
        numeric = number.abs().is_between(low, high, closed="left").fill_null(False)
        rows = (numeric | dates.is_not_null()).arg_true()
        if not len(rows):
            return
        row = rows[0]
        if not numeric[row]:
            self.decided = DATES
            return
        if any(_written_by(text[row], pattern) for pattern in DIGITS):
            fitting = [p for p in (*DIGITS, MINUTES) if _written_by(text[row], p)]
            forms = " or ".join(f"--time-format {form}" for form in (*fitting, "seconds"))
            chunk.stop(
                chunk.lines[row],
                f"expected a time in column {self.column} that is clearly a number or a date, "
                f"found {text[row]!r}; say {forms}",
            )
        size = abs(number[row])
        self.decided = next(unit for unit, (_, high) in BOUNDS.items() if size < high)


def _written_by(text, pattern):
    """Whether a number may be a date of digits, by a pattern."""
    length = len(pattern) // 2 * 2 + 2 * ("%Y" in pattern)
    if len(text) != length or not text.isdecimal():
        return False
    if "%Y" in pattern and not text.startswith(("19", "20")):
        return False
    try:
        datetime.datetime.strptime(text, pattern)
    except ValueError:
        return False
    return True


def check_form(form: str) -> None:
    """Raise ValueError unless `form` is "auto", a unit, or a pattern that times can be read by."""
    if form not in ("auto", *SCALES):
        _check_pattern(form)


def _check_pattern(pattern):
    try:
        if "%" not in pattern:
            raise ValueError("no '%' in it")
        # A usable pattern reads what it writes.
        written = pl.Series([datetime.datetime(2013, 11, 6, 12)], dtype=pl.Datetime("us", "UTC"))
        text = written.dt.strftime(pattern)
        if by_pattern(text, pattern)[0] is None:
            raise ValueError(f"it cannot read what it writes, {text[0]!r}")
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise ValueError(
            f'`time_format` must be "auto", one of {", ".join(SCALES)}, or a pattern as '
            f'"%y%m%d%H". Received: {pattern!r} ({str(error).splitlines()[0]})'
        ) from None


def by_pattern(text: pl.Series, pattern: str) -> pl.Series:
    """Return the Unix seconds of texts by a pattern of strptime, null where it does not fit."""
    if re.search("%[HI]", pattern) and not re.search("%[MTRXcs]", pattern):
        text, pattern = text + " 00", pattern + " %M"  # Polars reads no hours without minutes
    timed = re.search("%[HIMSTRXcsp]", pattern)
    return _epoch(text.str.strptime(pl.Datetime("us") if timed else pl.Date, pattern, strict=False))


def _epoch(times):
    if times.dtype == pl.Date:
        return times.to_physical().cast(pl.Int64) * 86_400
    return times.to_physical() // {"ms": 10**3, "us": 10**6, "ns": 10**9}[times.dtype.time_unit]


def _iso(text):
    """Return the Unix seconds of dates with or without a time of day and a zone, else null."""
    part = pl.col("text").str.extract_groups(ISO)

    def number(name, start=0):
        digits = part.struct.field(name).str.slice(start, 2)
        return digits.cast(pl.Int64, strict=False).fill_null(0)

    zone = part.struct.field("zone").str.replace(":", "")
    east = pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    days = part.struct.field("date").str.to_date("%Y-%m-%d", strict=False)
    offset = zone.str.slice(1, 2).cast(pl.Int64, strict=False).fill_null(0) * 3600
    offset += zone.str.slice(3, 2).cast(pl.Int64, strict=False).fill_null(0) * 60
    seconds = number("hour") * 3600 + number("minute") * 60 + number("second")
    seconds += days.cast(pl.Int32).cast(pl.Int64) * 86_400 - east * offset
    return pl.DataFrame({"text": text}).select(seconds.alias("time"))["time"]

"""Moments as a person on call writes them (ours)."""

import datetime


def moment(text: str | float | int, now: float) -> float:
    """Return seconds since 1970 of a moment.

    Args:
        text: seconds since 1970; "14:00" or "14:00:30", the last time that it was so late by this
            machine's clock; or a date and time of ISO 8601 such as "2026-11-26 14:00", of this
            machine's time zone where it names none.
        now: seconds since 1970.

    Raises:
        ValueError: if it is none of these.

    Example:
        >>> moment("1970-01-02T00:00:00+00:00", 0.0), moment(5, 0.0)
        (86400.0, 5.0)
    """
    today = datetime.datetime.fromtimestamp(now)
    try:
        if isinstance(text, int | float) and not isinstance(text, bool):
            return float(text)  # OverflowError for an int that is too great
        try:
            clock = datetime.time.fromisoformat(str(text))
        except ValueError:
            return datetime.datetime.fromisoformat(str(text)).timestamp()
        if ":" not in str(text):
            raise ValueError
        at = datetime.datetime.combine(today.date(), clock)
        if at.timestamp() > now:
            at -= datetime.timedelta(days=1)
        return at.timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            "expected seconds since 1970, a time such as '14:00', or a date and time such as "
            f"'2026-11-26 14:00', found {str(text)[:40]!r}"
        ) from None


def shown(seconds: float) -> str:
    """Return a moment as a person writes it, in this machine's time zone, which it names.

    Example:
        >>> len(shown(0.0)), shown(1e30)
        (25, '1e+30 seconds since 1970')
    """
    try:
        return str(datetime.datetime.fromtimestamp(int(seconds)).astimezone())
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} seconds since 1970"

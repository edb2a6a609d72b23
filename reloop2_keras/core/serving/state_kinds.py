"""Of which kinds the plain values of a model's state are (ours).

Who can write a snapshot can write its checksum, too. So kinds are compared before a value is
taken: text where a count should be would stop a service hours later, in the middle of a request.
"""

from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.arguments import integer, number, shown

ANY = object()
_RECEIPTS = {"names?": [""], "sizes?": [0], "dropped?": 0, "missed?": 0}
_FILE = {"path": "", "position": ANY, "bad": ANY, "result": ANY, "ends": [ANY]}
_TRIAL = {"number": 0, "new": "", "old": "", "limit": 0, "ended": ANY}
_WATCH = dict.fromkeys(("mean", "square", "sum", "least"), 0.0) | {"count": 0, "alarms": 0}
_ALARMS = {"watches": {"*": _WATCH}, "last": {"*": 0.0}, "raised": [{"*": ANY}], "rows": 0}
# text, an integer >= 0, a finite number, a list of alike, one of several; "*" is any name, and a
# name that ends in "?" may be missing, as earlier versions wrote none
STATE = {
    "config": {"*": ANY},
    "base": "",
    "previous?": "",
    "trial?": (None, _TRIAL),
    "counts": {"*": 0},
    "alarms": {**_ALARMS, "sums": [0.0]},
    "requests": {"names": [""], "times": [0.0], "sizes": [0], "dropped": 0},
    "receipts": _RECEIPTS,
    "learnt?": [""],
    "files?": [_FILE],
}


def check_kinds(found: Any, wanted: Any, place: str = "state") -> None:
    """Raise ValueError, naming the place, unless plain values are of the kinds of a pattern.

    Args:
        found: what JSON gave.
        wanted: pattern; see `STATE`.
        place: of `found`.

    Example:
        >>> check_kinds({"rows": 3}, {"rows": 0, "name?": ""})
        >>> check_kinds({"rows": "3"}, {"rows": 0})
        Traceback (most recent call last):
        ValueError: `state.rows` must be an integer >= 0. Received: '3'
    """
    if wanted is ANY:
        return
    if isinstance(wanted, tuple):
        wanted = wanted[0] if found is None and None in wanted else wanted[-1]
    if wanted is None:
        return
    if isinstance(wanted, dict):
        _is_a(found, Mapping, "an object", place)
        _check_names(found, wanted, place)
    elif isinstance(wanted, list):
        _is_a(found, list, "a list", place)
        for at, value in enumerate(found):
            check_kinds(value, wanted[0], f"{place}[{at}]")
    elif isinstance(wanted, str):
        _is_a(found, str, "text", place)
    elif isinstance(wanted, float):
        number(place, found, "(-inf, inf)")
    else:
        integer(place, found, 0)


def _check_names(found: Mapping[str, Any], wanted: Mapping[str, Any], place: str) -> None:
    for name, pattern in wanted.items():
        plain = name.removesuffix("?")
        if name == "*":
            for key, value in found.items():
                check_kinds(value, pattern, f"{place}.{key}")
        elif plain in found:
            check_kinds(found[plain], pattern, f"{place}.{plain}")
        elif plain == name:
            raise ValueError(f"{place}.{name}: expected a value, found none")


def _is_a(found: Any, kind: Any, words: str, place: str) -> None:
    if not isinstance(found, kind):
        raise ValueError(f"{place}: expected {words}, found {shown(found)}")

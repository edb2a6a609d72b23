"""Which run a state is of: only the very same one may go on with it."""

import functools
import hashlib
import json
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reloop2_keras.core.provenance import installed_versions

_PACKAGES = ("reloop2_keras", "mindspore_port")


def run_identity(**given: Any) -> dict[str, Any]:
    """Return what a run must have in common with one that it goes on with.

    Beside what is given: the code itself (a checksum of the sources of these packages, as far as
    they are imported) and the versions of Python and of the packages that figures depend on.

    Args:
        **given: values that JSON can hold; others are told by their text, without addresses.

    Example:
        >>> sorted(run_identity(seed=3))
        ['code', 'seed', 'versions']
    """
    loaded = tuple(name for name in _PACKAGES if name in sys.modules)
    about = {"code": code_checksum(loaded), "versions": installed_versions(), **given}
    plain: dict[str, Any] = json.loads(json.dumps(about, sort_keys=True, default=_text))
    return plain


def check_identity(
    place: str | Path, now: Mapping[str, Any], then: Any, lenient: bool = False
) -> None:
    """Raise unless a state is of this run.

    Args:
        place: of the state, for the message.
        now: what `run_identity` returned.
        then: what it had returned when the state was written.
        lenient: bool, whether other code and versions are a warning: a training may go on with
            them, though not bit for bit; a comparison's figures would be of neither.

    Raises:
        ValueError: naming what differs, then and now, and how to start anew.

    Example:
        >>> check_identity("runs/state", {"seed": 3}, {"seed": 4})
        Traceback (most recent call last):
        ...
        ValueError: runs/state: expected the state of this run, found that of another one (seed: \
4 then, 3 now); give the same again, or remove the folder to start anew
    """
    theirs, mine = _flat(then if isinstance(then, Mapping) else {}), _flat(now)
    names = [n for n in sorted(mine.keys() | theirs.keys()) if mine.get(n) != theirs.get(n)]

    def told(names: list[str]) -> str:
        parts = [f"{n}: {_short(theirs.get(n))} then, {_short(mine.get(n))} now" for n in names[:3]]
        return "; ".join([*parts, *([f"and {len(names) - 3} more"] if len(names) > 3 else [])])

    # what the user gave is told before versions
    names.sort(key=_is_software)
    if names and not (lenient and _is_software(names[0])):
        raise ValueError(
            f"{place}: expected the state of this run, found that of another one ({told(names)}); "
            "give the same again, or remove the folder to start anew"
        )
    if names:
        warnings.warn(
            f"{place}: gone on with, but not bit for bit: {told(names)}", UserWarning, stacklevel=3
        )


def _is_software(name: str) -> bool:
    return name == "code" or name.startswith("versions.")


@functools.cache
def code_checksum(packages: tuple[str, ...]) -> str:
    """Return the SHA-256 of all sources of some packages of ours, with their names."""
    total = hashlib.sha256()
    root = Path(__file__).parents[2]
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            total.update(f"{path.relative_to(root).as_posix()}\n".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _flat(about: Mapping[str, Any], start: str = "") -> dict[str, Any]:
    """The values of dicts within dicts, by names with dots."""
    found: dict[str, Any] = {}
    for name, value in about.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{start}{name}.")
        else:
            found[f"{start}{name}"] = value
    return found


def _text(value: Any) -> str:
    return re.sub(" at 0x[0-9a-f]+", "", str(value))


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

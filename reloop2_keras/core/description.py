"""dataset.json, checked: keys, types, names inside the folder, numbers that agree."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

SCHEMA_VERSION = 1
MAX_IDS = 2**31  # ids are int32
KINDS = ("categorical", "numeric")
NEEDED = ("label", "feature_ids", "feature_values", "feature_hashes")


def read_description(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's dataset.json, once it is known to make sense.

    What its files hold is not looked at, only that they are there, inside the folder, each once.

    Raises:
        FileNotFoundError: if there is no dataset.json, or no file of a name in it.
        ValueError: naming dataset.json, the place in it, what was expected and what was found.
    """
    path = folder / "dataset.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.absolute()}: not found. Expected a folder prepared by "
            "`python -m data_scripts`, by notebook 01 or by `make demo`"
        )
    try:
        text = path.read_bytes().decode("utf-8")
        meta = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON in UTF-8, found: {error}") from None
    check = _Checker(path)
    check.is_a(meta, dict, "the whole", "an object")
    version = check.integer(meta, "schema_version")
    if version != SCHEMA_VERSION:
        check.fail("schema_version", SCHEMA_VERSION, version)
    check.text(meta, "source")
    _check_fields(check, meta)
    _check_columns(check, meta)
    _check_periods(check, meta)
    _check_names(check, meta)
    _check_seal(check, meta)
    return meta


def sealed(meta: dict[str, Any]) -> dict[str, Any]:
    """Return a description with the SHA-256 of all else in it, under `sha256`.

    Example:
        >>> sealed({"rows": 3})["sha256"] == sealed({"rows": 3, "sha256": "old"})["sha256"]
        True
    """
    rest = {key: value for key, value in meta.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {**rest, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _check_seal(check, meta):
    # what makes sense by itself may have been changed all the same: slots swapped, a field renamed
    if "sha256" in meta and meta["sha256"] != sealed(meta)["sha256"]:
        check.fail("sha256", f"{sealed(meta)['sha256']}, of what is there", meta["sha256"])


def periods_of(meta: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the training period, the validation period, and each slot, in the order of time."""
    periods = meta["periods"]
    return [periods["train"], periods["validation"], *periods["slots"]]


def _no_twins(pairs):
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} twice")
    return seen


def _no_constant(name):
    raise ValueError(f"{name}, which is no JSON")


class _Checker:
    """Takes values out of dataset.json; what is wrong is told with the file and the place."""

    def __init__(self, path):
        self.path = path

    def fail(self, where, expected, found):
        found = repr(found)
        found = found if len(found) <= 80 else found[:77] + "..."
        raise ValueError(f"{self.path}: {where}: expected {expected}, found {found}")

    def is_a(self, value, kind, where, words):
        # True is an int to Python, but no number of rows
        if not isinstance(value, kind) or isinstance(value, bool):
            self.fail(where, words, value)
        return value

    def get(self, holder, key, kind, words, where=""):
        where = f"{where}.{key}" if where else key
        if key not in holder:
            self.fail(where, words, "nothing")
        return self.is_a(holder[key], kind, where, words)

    def integer(self, holder, key, where="", low=0):
        value = self.get(holder, key, int, f"an integer >= {low}", where)
        if value < low:
            self.fail(f"{where}.{key}" if where else key, f"an integer >= {low}", value)
        return value

    def text(self, holder, key, where=""):
        return self.get(holder, key, str, "a text", where)

    def objects(self, holder, key, where=""):
        """A list of objects that is not empty: (place, object) one after the other."""
        values = self.get(holder, key, list, "a list", where)
        where = f"{where}.{key}" if where else key
        if not values:
            self.fail(where, "at least one entry", values)
        for number, value in enumerate(values):
            yield f"{where}[{number}]", self.is_a(value, dict, f"{where}[{number}]", "an object")

    def checksum(self, holder, where):
        value = self.text(holder, "sha256", where)
        if not re.fullmatch("[0-9a-f]{64}", value):
            self.fail(f"{where}.sha256", "64 hexadecimal digits", value)


def _check_fields(check, meta):
    names, offset = set(), 0
    for where, field in check.objects(meta, "fields"):
        name = check.text(field, "name", where)
        if not name or name in names:
            check.fail(f"{where}.name", "a name that no other field has", name)
        names.add(name)
        kind = check.text(field, "kind", where)
        if kind not in KINDS:
            check.fail(f"{where}.kind", f"one of {KINDS}", kind)
        cardinality = check.integer(field, "cardinality", where, low=1)
        if kind == "numeric" and cardinality != 1:
            check.fail(f"{where}.cardinality", "1, as the field is numeric", cardinality)
        if check.integer(field, "offset", where) != offset:
            words = f"{offset}, the sum of the cardinalities before it"
            check.fail(f"{where}.offset", words, field["offset"])
        offset += cardinality
        if offset >= MAX_IDS:
            check.fail(f"{where}.cardinality", "a sum of cardinalities below 2^31", cardinality)
    if check.integer(meta, "num_ids") != offset:
        check.fail("num_ids", f"{offset}, the sum of all cardinalities", meta["num_ids"])


def check_fields(meta: dict[str, Any], path: str | Path) -> None:
    """Raise ValueError, naming `path` and the place, unless `fields` and `num_ids` make sense."""
    _check_fields(_Checker(path), meta)


def _check_columns(check, meta):
    columns = check.get(meta, "columns", list, "a list")
    for number, name in enumerate(columns):
        check.is_a(name, str, f"columns[{number}]", "a text")
    if len(set(columns)) < len(columns) or not set(NEEDED) <= set(columns):
        check.fail("columns", f"distinct names, {', '.join(NEEDED)} among them", columns)


def _check_periods(check, meta):
    periods = check.get(meta, "periods", dict, "an object")
    every = [
        (f"periods.{name}", check.get(periods, name, dict, "an object", "periods"))
        for name in ("train", "validation")
    ]
    for where, period in [*every, *check.objects(periods, "slots", "periods")]:
        rows = check.integer(period, "rows", where, low=1)
        total = 0
        for place, entry in check.objects(period, "files", where):
            check.text(entry, "name", place)
            total += check.integer(entry, "rows", place, low=1)
            check.checksum(entry, place)
        if rows != total:
            check.fail(f"{where}.rows", f"{total}, the sum of its files' rows", rows)
    vocabulary = check.get(meta, "vocabulary", dict, "an object")
    check.text(vocabulary, "name", "vocabulary")
    check.checksum(vocabulary, "vocabulary")


def _named(meta) -> Iterator[tuple[str, str]]:
    periods = meta["periods"]
    for name in ("train", "validation"):
        for number, entry in enumerate(periods[name]["files"]):
            yield f"periods.{name}.files[{number}].name", entry["name"]
    for slot, period in enumerate(periods["slots"]):
        for number, entry in enumerate(period["files"]):
            yield f"periods.slots[{slot}].files[{number}].name", entry["name"]
    yield "vocabulary.name", meta["vocabulary"]["name"]


def _check_names(check, meta):
    folder = check.path.parent
    root = os.path.realpath(folder)
    inside = f"a path inside {folder}, relative to it"
    seen: dict[
        tuple[int, int], str
    ] = {}  # (device, inode) -> place: two names of one file are one file
    for where, name in _named(meta):
        plain = PurePosixPath(name)
        strange = "\\" in name or "\0" in name or PureWindowsPath(name).drive
        if strange or plain.is_absolute() or ".." in plain.parts or str(plain) != name:
            check.fail(where, inside, name)
        try:
            status = os.stat(folder / name)
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(
                f"{folder / name}: named in {check.path} at {where}, missing"
            ) from None
        except (OSError, ValueError):  # too long, or no text that a name may be
            check.fail(where, inside, name)
        if not os.path.isfile(folder / name):
            check.fail(where, "a file", name)
        real = os.path.realpath(folder / name)
        if os.path.commonpath([root, real]) != root:
            check.fail(where, inside, f"{name} -> {real}")
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            check.fail(where, f"a file of its own, not that of {seen[identity]}", name)
        seen[identity] = where

"""A state in one file, whole or not there: schema number, checksum, packed arrays (ours)."""

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import shown
from reloop2_keras.core.files import replaced
from reloop2_keras.core.serving.packed import pack, unpack

MAGIC = b"reloop2 state\n"
SCHEMA = 1
_DIGEST = 32
_START = len(MAGIC) + _DIGEST


class OtherSchema(ValueError):
    """A file is whole, and of another version of this package."""


def write_state(path: Path, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a state beside its place; sync it, read it again, and rename it.

    Reading it again costs a snapshot of 1.4 MB (4 fields) 1.5 ms and one of 20 MB (39 fields) 15 ms
    of the processor: 1.3 times what it took without; on the clock 1.0 and 1.25 times (medians of
    61 and of 31 in turns, in one run, two busy cores).

    Raises:
        OSError: naming the file, if it cannot be written, or what is there is not what was written.
    """
    data = pack({**head, "schema": SCHEMA}, arrays)
    with replaced(path, check=verify) as beside, open(beside, "wb") as file:
        file.write(MAGIC + hashlib.sha256(data).digest())
        file.write(data)


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the (head, arrays) that `write_state` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        OtherSchema: naming the file, if it is of another schema.
        ValueError: naming the file, if it is damaged, or none at all.
    """
    data = memoryview(path.read_bytes())
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path}: expected a state's file, found another")
    _compare(path, hashlib.sha256(data[_START:]).digest(), bytes(data[len(MAGIC) : _START]))
    try:
        head, arrays = unpack(data[_START:])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    schema = head.pop("schema", None)
    if schema != SCHEMA:
        raise OtherSchema(f"{path}: expected schema {SCHEMA}, found {schema!r}")
    return head, arrays


def _compare(path, found, written):
    if found != written:
        raise ValueError(f"{path}: expected the checksum that was written, found another")


def read_head(path: Path) -> dict[str, Any]:
    """Return the plain values of a state's file alone; the checksum is not looked at.

    Raises:
        ValueError: naming the file, if they cannot be read.
    """
    with open(path, "rb") as file:
        start = file.read(_START + 8)
        if start[: len(MAGIC)] != MAGIC or len(start) < _START + 8:
            raise ValueError(f"{path}: expected a state's file, found another")
        (length,) = struct.unpack("<Q", start[_START:])
        text = file.read(min(length, path.stat().st_size))
    try:
        head = json.loads(text)[0]
    except (ValueError, IndexError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path}: expected a state's description: {error}") from None
    if not isinstance(head, dict):
        raise ValueError(f"{path}: expected a state's description, found another thing")
    return head


def verify(path: Path) -> None:
    """Read a state's file from end to end, a piece at a time.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if its checksum is another.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        start = file.read(_START)
        if start[: len(MAGIC)] != MAGIC:
            raise ValueError(f"{path}: expected a state's file, found another")
        while part := file.read(1 << 20):
            digest.update(part)
    _compare(path, digest.digest(), start[len(MAGIC) :])


def pin_newest(folder: Path, model: str, pinned: Path) -> str | None:
    """Put the newest snapshot of a store that verifies where the store does not remove it.

    Files are never changed in place, so that a second name of one is enough; the store may be at
    work meanwhile.

    Args:
        folder: of a `Store`, or none.
        model: name of the shipped model.
        pinned: path to put it at, in place of what is there.

    Returns:
        str, the snapshot's name; None if there is no snapshot.

    Raises:
        ValueError: if there are snapshots, and none is one of this model that verifies.
    """
    said = []
    for path in sorted(folder.glob("snapshot-*.state"), reverse=True):
        pinned.unlink(missing_ok=True)
        try:
            _pin(path, pinned)
            head, _ = read_state(pinned)
            if head.get("model") == model:
                return path.name
            found = shown(head.get("model"))
            said.append(f"{path}: expected a state of {model!r}, found {found}")
        except FileNotFoundError:
            continue  # removed meanwhile: there is a newer one
        except ValueError as error:
            said.append(str(error))
    pinned.unlink(missing_ok=True)
    if said:
        raise ValueError(f"{folder}: expected a snapshot of this model that verifies: {said[0]}")
    return None


def _pin(path: Path, pinned: Path) -> None:
    try:
        os.link(path, pinned)
    except FileNotFoundError:
        raise
    except OSError:  # another disk, or one that knows no second names
        with replaced(pinned) as copy:
            shutil.copyfile(path, copy)

"""A state in one file, whole or not there: schema number, checksum, packed arrays (ours)."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.files import replaced
from reloop2_keras.core.serving.packed import pack, unpack

MAGIC = b"reloop2 state\n"
SCHEMA = 1
_DIGEST = 32
_START = len(MAGIC) + _DIGEST


def write_state(path: Path, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a state beside its place, sync and rename it."""
    data = pack({**head, "schema": SCHEMA}, arrays)
    with replaced(path) as beside, open(beside, "wb") as file:
        file.write(MAGIC + hashlib.sha256(data).digest())
        file.write(data)


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the (head, arrays) that `write_state` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, if it is damaged, of another schema, or none at all.
    """
    data = memoryview(path.read_bytes())
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path}: expected a state's file, found another")
    _compare(path, hashlib.sha256(data[_START:]).digest(), bytes(data[len(MAGIC) : _START]))
    try:
        head, arrays = unpack(data[_START:])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if head.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path}: expected schema {SCHEMA}")
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

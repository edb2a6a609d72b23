"""A state in one file, whole or not there: schema number, checksum, packed arrays (ours)."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.files import replaced
from reloop2_keras.core.serving.packed import pack, unpack

MAGIC = b"reloop2 state\n"
SCHEMA = 1
_DIGEST = 32


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
    start = len(MAGIC) + _DIGEST
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path}: expected a state's file, found another")
    if hashlib.sha256(data[start:]).digest() != data[len(MAGIC) : start]:
        raise ValueError(f"{path}: expected the checksum that was written, found another")
    try:
        head, arrays = unpack(data[start:])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if head.pop("schema", None) != SCHEMA:
        raise ValueError(f"{path}: expected schema {SCHEMA}")
    return head, arrays

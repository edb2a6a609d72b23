"""Schema number and checksum at the end of Keras' own files, where Keras does not look (ours).

A .keras file is a zip archive, whose comment is its last bytes; HDF5 says at a .weights.h5 file's
start how long it is, and what comes after is nobody's. So one line of text can stand there: the
schema and the SHA-256 of all bytes before it. Plain Keras loads such files as it loads its own,
and compares nothing but the archive's CRCs; HDF5 has no checksums at all.
"""

import hashlib
import os
import re
import struct
from pathlib import Path

from reloop2_keras.core.seal import digest_of_start

SCHEMA = 1
_LINE = re.compile(rb"reloop2 schema (\d{1,9}) sha256 ([0-9a-f]{64})\Z")
_PART = re.compile(rb"reloop2 schema \d")
_LONGEST = 128
_ZIP_END = struct.Struct("<4s16sH")  # the end of a zip archive without a comment
_DIGITS = 64


def seal_keras_file(path: str | os.PathLike) -> None:
    """Write schema and checksum at the end of a .keras or .weights.h5 file as Keras wrote it.

    Raises:
        ValueError: naming the file, if it is a .keras file that has a comment, or no end.
        OSError: if it cannot be written.
    """
    with open(path, "r+b") as file:
        if not os.fspath(path).endswith(".h5"):
            _announce(path, file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256")
        file.seek(0, os.SEEK_END)
        file.write(_end(digest))


def with_keras_seal(weights: bytes) -> bytes:
    """Return what a .weights.h5 file is to hold, schema and checksum at its end.

    Example:
        >>> whole = with_keras_seal(b"weights")
        >>> whole[:31], len(whole)
        (b'weightsreloop2 schema 1 sha256 ', 95)
    """
    return weights + _end(hashlib.sha256(weights))


def check_keras_seal(path: str | os.PathLike, needed: bool = False) -> bool:
    """Return whether a file has schema and checksum at its end; both are right then.

    Args:
        path: of a .keras or .weights.h5 file.
        needed: bool; False: a file without them is of an earlier version or of plain Keras.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, for another schema, other bytes than were written, a part
            of the line, or none where it is needed.
    """
    path = Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _LONGEST, 0))
        end = file.read()
        found = _LINE.search(end)
        if found is None:
            if needed or _PART.search(end):
                raise ValueError(f"{path}: expected schema and checksum at its end, found others")
            return False
        file.seek(0)
        digest = digest_of_start(file, size - _DIGITS)
    if digest != found[2].decode():
        raise ValueError(f"{path}: expected the checksum that was written, found another")
    if int(found[1]) != SCHEMA:
        raise ValueError(f"{path}: expected schema {SCHEMA}, found {int(found[1])}")
    return True


def _end(digest):
    line = b"reloop2 schema %d sha256 " % SCHEMA
    digest.update(line)
    return line + digest.hexdigest().encode()


def _announce(path, file):
    """Let the end of an archive say that a comment follows, and how long it is."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _ZIP_END.size, 0))
    end = file.read()
    if len(end) < _ZIP_END.size or _ZIP_END.unpack(end)[::2] != (b"PK\5\6", 0):
        raise ValueError(f"{path}: expected an archive without a comment, as Keras writes it")
    file.seek(-2, os.SEEK_END)
    file.write(struct.pack("<H", len(_end(hashlib.sha256()))))

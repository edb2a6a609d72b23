"""A file's own checksum at its end, where a protobuf reader takes it for a field it need not know.

MindSpore's checkpoints and ONNX files are one protobuf message each. Field 1000 of neither is
taken, and a reader skips a field that it does not know: so the SHA-256 of all bytes before it can
stand there as text. What reads these files takes a flipped bit for another number, or crashes.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

# field 1000, a text of 64 bytes
_MARK, _DIGITS = b"\xc2\x3e\x40", 64


def with_seal(data: bytes) -> tuple[bytes, str]:
    """Return what a file of one protobuf message is to hold with its SHA-256, and that.

    Example:
        >>> whole, digest = with_seal(b"message")
        >>> seal_of(whole) == (digest, True)
        True
    """
    digest = hashlib.sha256(data).hexdigest()
    return data + _MARK + digest.encode(), digest


def seal_of_parts(parts: Iterable[Any]) -> bytes:
    """Return what stands behind the bytes of some parts, one after the other, when they are sealed.

    Example:
        >>> parts = [b"mess", b"age"]
        >>> b"".join([*parts, seal_of_parts(parts)]) == with_seal(b"message")[0]
        True
    """
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return _MARK + total.hexdigest().encode()


def seal(path: str | os.PathLike) -> str:
    """Write a file's SHA-256 at its end; return it, hexadecimal.

    Args:
        path: a file of one protobuf message, not sealed yet.
    """
    with open(path, "rb") as file:
        digest = digest_of_start(file, os.path.getsize(path))
    with open(path, "ab") as file:
        file.write(_MARK + digest.encode())
    return digest


def seal_of(source: str | os.PathLike | bytes | memoryview) -> tuple[str | None, bool]:
    """Return the SHA-256 that stands at a file's end (None if none does), and whether it is right.

    Args:
        source: path of a file, or what is in it.

    Example:
        >>> seal_of(b"no seal"), seal_of(b"")
        ((None, False), (None, False))
    """
    length = len(_MARK) + _DIGITS
    if isinstance(source, bytes | memoryview):
        whole = memoryview(source)
        size = max(len(whole) - length, 0)
        found = _digits(bytes(whole[size:]))
        return found, found is not None and hashlib.sha256(whole[:size]).hexdigest() == found
    with Path(source).open("rb") as file:
        size = max(file.seek(0, os.SEEK_END) - length, 0)
        file.seek(size)
        found = _digits(file.read())
        file.seek(0)
        return found, found is not None and digest_of_start(file, size) == found


def _digits(end):
    """The SHA-256 that a file's last bytes tell, or None."""
    right = end.startswith(_MARK) and len(end) == len(_MARK) + _DIGITS
    return end[len(_MARK) :].decode("latin-1") if right else None


def digest_of_start(file: BinaryIO, size: int) -> str:
    """Return the SHA-256, hexadecimal, of `size` bytes from where a file stands, or to its end."""
    total = hashlib.sha256()
    while size > 0:
        part = file.read(min(size, 1 << 20))
        if not part:
            break
        total.update(part)
        size -= len(part)
    return total.hexdigest()

"""Files that are whole or not there: written beside, synced, renamed; and their checksums."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.beside import beside


@contextlib.contextmanager
def replaced(
    path: str | os.PathLike,
    suffix: str | None = None,
    check: Callable[[Path], Any] | None = None,
) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends, it takes `path`'s place.

    What was written is synced to the disk, and read again by `check`, before it is renamed: so a
    kill or a power cut at any moment leaves the old file or the new one, whole, and the old one
    stays where the new one does not verify. Where the block raises, the old file stays as it was,
    and nothing is left beside it.

    Args:
        path: the file to replace; its folder is made if there is none.
        suffix: the name's ending while it is written, for writers that insist on one. None: the
            ending of `path`.
        check: function of the written file that raises ValueError or OSError unless it is what
            was meant to be there. None: that it is there is enough.

    Yields:
        `pathlib.Path` in the same folder, of a name that no other writer has.

    Raises:
        FileNotFoundError: if the block wrote no file there.
        OSError: naming `path`, if it cannot be written, or does not verify.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = Path(folder.name) / "note.txt"
        >>> with replaced(path) as beside:
        ...     _ = beside.write_text("new")
        >>> path.read_text(), len(list(path.parent.iterdir()))
        ('new', 1)
        >>> folder.cleanup()
    """
    path = Path(path)
    ending = path.suffix if suffix is None else suffix
    with writing(path, reads=True):
        # a folder of its own, so that a writer may replace the file itself and leave other ones
        with beside(path) as folder:
            target = folder / f"{path.stem}{ending}"
            yield target
            sync(target)
            if check is not None:
                _verified(target, path, check)
            os.chmod(target, 0o666 & ~_umask())
            os.replace(target, path)
            sync(path.parent)


def put_file(path: str | os.PathLike, data: bytes | str) -> None:
    """Write bytes, or text as UTF-8, as a file that takes `path`'s place once it is compared.

    Raises:
        OSError: naming `path`, if it cannot be written, or what is there is not `data`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     put_file(f"{folder}/note.txt", "text")
        ...     Path(folder, "note.txt").read_text()
        'text'
    """
    data = data.encode("utf-8") if isinstance(data, str) else data
    with replaced(path, check=lambda written: same_bytes(written, data)) as target:
        target.write_bytes(data)


def same_bytes(path: Path, data: bytes) -> None:
    """Raise ValueError unless a file holds these bytes."""
    size = path.stat().st_size
    if size != len(data):
        raise ValueError(f"{path}: expected {len(data):,} bytes, found {size:,}")
    if file_checksum(path) != hashlib.sha256(data).hexdigest():
        raise ValueError(f"{path}: expected the bytes that were written, found others")


@contextlib.contextmanager
def writing(path: str | os.PathLike, reads: bool = False) -> Iterator[None]:
    """Name the file in what the system says of a write that failed (a full disk, for example).

    Args:
        path: of the file, as whoever asked for it knows it.
        reads: bool, whether the block reads files, too: an error that names another file than
            `path`, what is written beside it, or a folder above stays as it is then.

    Raises:
        OSError: of the same kind and number, whose text is `PATH: cannot be written: REASON`.
    """
    place = Path(path)
    try:
        yield
    except OSError as error:
        if str(error).startswith((f"{place}: ", f"{place}{os.sep}")) or (
            reads and _of_another(error, place)
        ):
            raise
        # of a file within, and of a reader in C, which says more than a line
        said = (error.strerror or str(error)).rpartition(": cannot be written: ")[2]
        said = " ".join(said.split())[:300]
        kind = type(OSError(error.errno, said)) if error.errno else OSError
        named = kind(f"{place}: cannot be written: {said}")
        named.errno = error.errno
        raise named from error


def _of_another(error: OSError, place: Path) -> bool:
    names = [error.filename, error.filename2]
    paths = [Path(os.fsdecode(n)) for n in names if isinstance(n, str | bytes | os.PathLike)]
    hidden = f".{place.name}."
    own = [
        p in (place, *place.parents)
        or place in p.parents
        or any(part.startswith(hidden) for part in p.parts)
        for p in paths
    ]
    return bool(own) and not any(own)


def _verified(target: Path, path: Path, check: Callable[[Path], Any]) -> None:
    try:
        check(target)
    except (ValueError, OSError) as error:
        said = str(error).replace(f"{target}: ", "").replace(str(target), path.name)
        raise OSError(
            f"{path}: cannot be written: what was written does not verify: {said}"
        ) from error


def sync(path: str | os.PathLike) -> None:
    """Make the disk hold what was written to a file, or a folder's list of names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    # there is no way to read it but to set it
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_checksum(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compare_checksum(path: Path, expected: str) -> None:
    """Raise ValueError, naming the file, unless its SHA-256 is the one that is expected."""
    found = file_checksum(path)
    if found != expected:
        raise ValueError(f"{path}: expected sha256 {expected}, found {found}")


_COMPARED: dict[str, tuple[Any, ...]] = {}  # path -> what was compared last
_TICK = 10**9  # ns; a change so soon after the last one may leave a file's times as they are


def compare_checksum_once(path: Path, expected: str) -> None:
    """Do as `compare_checksum`, once for as long as a file stays as it is, by its size and times.

    A file that is read again and again, epoch after epoch, is so hashed once in a process.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file, unless its SHA-256 is the one that is expected.
    """
    about = os.stat(path)
    now = (
        expected,
        about.st_dev,
        about.st_ino,
        about.st_size,
        about.st_mtime_ns,
        about.st_ctime_ns,
    )
    if _COMPARED.get(os.fspath(path)) == now:
        return
    compare_checksum(path, expected)
    if time.time_ns() - about.st_ctime_ns > _TICK:
        _COMPARED[os.fspath(path)] = now


def array_checksum(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's values, dtype and shape, hexadecimal.

    Example:
        >>> array_checksum(np.zeros(3)) == array_checksum(np.zeros((3, 1)))
        False
    """
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()

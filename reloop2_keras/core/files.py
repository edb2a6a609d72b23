"""Files that are whole or not there: written beside, synced, renamed; and their checksums."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np


@contextlib.contextmanager
def replaced(path: str | os.PathLike, suffix: str | None = None) -> Iterator[Path]:
    """Give a path beside `path` to write to; when the block ends, it takes `path`'s place.

    What was written is synced to the disk before it is renamed, so that a kill or a power cut at
    any moment leaves the old file or the new one, whole. Where the block raises, the old file
    stays as it was, and nothing is left beside it.

    Args:
        path: the file to replace; its folder is made if there is none.
        suffix: the name's ending while it is written, for writers that insist on one. None: the
            ending of `path`.

    Yields:
        `pathlib.Path` in the same folder, of a name that no other writer has.

    Raises:
        FileNotFoundError: if the block wrote no file there.

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
    path.parent.mkdir(parents=True, exist_ok=True)
    ending = path.suffix if suffix is None else suffix
    # a folder of its own, so that a writer may replace the file itself and leave other ones
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        target = beside / f"{path.stem}{ending}"
        yield target
        sync(target)
        os.chmod(target, 0o666 & ~_umask())
        os.replace(target, path)
        sync(path.parent)
    finally:
        for left in beside.iterdir():
            left.unlink()
        beside.rmdir()


def check_writable(folder: str | os.PathLike) -> None:
    """Raise unless files can be written to a folder, so that it is told before hours of work.

    A file is made in it, or in the first folder above it that is there, and removed: rights alone
    do not tell of a disk that is read-only. Nothing else is made.

    Args:
        folder: which need not be there yet.

    Raises:
        ValueError: naming the folder, what was expected and what was found.

    Example:
        >>> check_writable(tempfile.gettempdir())
        >>> check_writable(os.path.join(os.devnull, "out"))
        Traceback (most recent call last):
        ValueError: /dev/null/out: expected a folder to write to, found that /dev/null is a file
    """
    folder = Path(folder)
    try:
        os.lstat(folder)
    except (FileNotFoundError, NotADirectoryError):
        pass  # looked at below
    except (OSError, ValueError) as error:  # a name that is too long, say
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{folder}: expected a folder to write to, found: {reason}") from error
    place = folder.absolute()
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        kind = "a link to nothing" if place.is_symlink() else "a file"
        of = "" if place == folder.absolute() else f"that {place} is "
        raise ValueError(f"{folder}: expected a folder to write to, found {of}{kind}")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        reason = f"{error.strerror or error} in {place}"
        raise ValueError(f"{folder}: expected a folder to write to, found: {reason}") from error


def sync(path: str | os.PathLike) -> None:
    """Make the disk hold what was written to a file, or a folder's list of names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_in_place(whole: Path, folder: Path) -> None:
    """Put a folder that is written whole where another is, or nothing; both are synced.

    Args:
        whole: folder of files, in a folder of its own on the same disk, which then holds the other
            one as `old` and is the caller's to remove.
        folder: where to.

    Raises:
        OSError: if that cannot be done.
    """
    for path in whole.iterdir():
        sync(path)
    sync(whole)
    if folder.exists():
        os.rename(folder, whole.parent / "old")
    os.rename(whole, folder)
    sync(folder.parent)


def _umask() -> int:
    # there is no way to read it but to set it
    mask = os.umask(0)
    os.umask(mask)
    return mask


def file_checksum(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_checksum(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's values, dtype and shape, hexadecimal.

    Example:
        >>> array_checksum(np.zeros(3)) == array_checksum(np.zeros((3, 1)))
        False
    """
    array = np.ascontiguousarray(array)
    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()

"""Files of a raw log: names and globs -> paths -> blocks of whole lines, unpacked."""

import contextlib
import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from data_scripts.errors import InputError
from data_scripts.sources.parts import Part

PIECE = 1 << 20  # bytes that fit the processor's cache
LONGEST = 1 << 28  # bytes of a line
BYTES_A_ROW = 256  # to turn rows of a chunk into bytes of a block
BLOCK = 1 << 24  # bytes of a block, at most
BOM = b"\xef\xbb\xbf"
PACKED = {".gz": ("gzip", b"\x1f\x8b"), ".zst": ("zstd", b"\x28\xb5\x2f\xfd")}
OTHERS = {  # what is often taken for text, by its first bytes
    rb"PK\x03\x04": "a zip archive (unpack it first)",
    rb"BZh[1-9]1AY": "bzip2 (unpack it first, or pack it as .gz or .zst)",
    rb"\xfd7zXZ\x00": "xz (unpack it first, or pack it as .gz or .zst)",
    rb"\xff\xfe|\xfe\xff": "UTF-16 (save it as UTF-8)",
    rb"PAR1[\x00-\x1f]": "Parquet (name it .parquet)",
}


def expand_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """Return the files that are meant, in the order given; a glob's are sorted by name.

    Numbers in names are compared as numbers, so that day_2 comes before day_10.

    Args:
        paths: path, or sequence of paths; "*", "?" and "[...]" stand for what they do in shells.

    Raises:
        InputError: if a glob fits no file, or a file is given twice.
    """
    given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found: list[str] = []
    for text in [os.fspath(path) for path in given]:
        if glob.has_magic(text) and not os.path.exists(text):
            fitting = sorted(filter(os.path.isfile, glob.glob(text, recursive=True)), key=_natural)
            if not fitting:
                raise InputError(f"{text}: expected files of such names, found none")
            found += fitting
        else:
            found.append(text)
    seen: dict[tuple[int, int] | str, str] = {}
    for text in found:
        # Files are compared, not names: ./log.csv and a link to log.csv are the same file.
        identity = _identity(text)
        if identity in seen:
            first = seen[identity]
            also = "" if first == text else f", also as {first}"
            raise InputError(f"{text}: expected each file once, found it twice{also}")
        seen[identity] = text
    if not found:
        raise InputError("expected an input file, found none")
    return [Path(path) for path in found]


def _identity(text):
    try:
        status = os.stat(text)
    except OSError:  # A missing file is reported when it is opened.
        return os.path.abspath(text)
    return status.st_dev, status.st_ino


def _natural(text):
    # Every other part is a number; other digits of Unicode, such as ², stay text.
    parts = re.split(r"([0-9]+)", text)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def short_names(paths: list[Path]) -> list[str]:
    """Return each path's name for dataset.json, with as much of its folder as tells them apart."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([path.absolute().parent for path in paths])
    return [path.absolute().relative_to(common).as_posix() for path in paths]


def suffixes(path: Path) -> tuple[str, str]:
    """Return a name's ending that tells the format, and that of the packing or "", lower case."""
    ending = path.suffix.lower()
    if ending in PACKED:
        return path.with_suffix("").suffix.lower(), ending
    return ending, ""


def packed_form(path: Path) -> Path:
    """Return the path, or that of its packed form (.gz, .zst) if only that is there."""
    packed = [path.with_name(path.name + ending) for ending in PACKED]
    return next((p for p in (path, *packed) if p.is_file()), path)


@contextlib.contextmanager
def opened(path: Path, part: Part | None = None) -> Iterator[Callable[[int], bytes]]:
    """Give a function that reads so many bytes of a file, unpacked if it is .gz or .zst.

    Args:
        path: `pathlib.Path`.
        part: `Part` to read alone, of bytes of an unpacked file; None: all.

    Raises:
        InputError: if there is no such file, if it is empty, no text, or damaged.
    """
    if not path.is_file():
        folder = ", found a folder; name its files, or a glob in quotes" if path.is_dir() else ""
        raise InputError(f"{path}: expected a file{folder or ', found none'}")
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise InputError(f"{path}:1: expected rows, found an empty file")
    packing = packing_of(head)
    if suffixes(path)[1] and packing is None:
        raise InputError(f"{path}: expected {suffixes(path)[1]} as the name says, found {head!r}")
    _refuse_others(path, head)

    left = None if part is None or part.stop is None else part.stop - part.start

    def read(size):
        nonlocal left
        try:
            if left is None:
                return stream.read(size)
            data = stream.read(min(size, left))
            left -= len(data)
            return data
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"{path}: expected a whole file, found a damaged one: {error}"
            ) from error

    with pa.input_stream(str(path), compression=packing) if packing else path.open("rb") as stream:
        if part is not None and left is not None:
            stream.seek(part.start)
        yield read


def packing_of(head: bytes) -> str | None:
    """Return how a file is packed whose first bytes these are, None if it is not.

    Content decides, not the name: some browsers unpack a file and keep its name.
    """
    return next((name for name, mark in PACKED.values() if head.startswith(mark)), None)


def _refuse_others(path, head):
    for mark, what in OTHERS.items():
        if re.match(mark, head, re.DOTALL):
            raise InputError(f"{path}: expected text in UTF-8, found {what}")


def blocks(
    path: Path, size: int = BLOCK, part: Part | None = None
) -> Iterator[tuple[int, int, bytes]]:
    """Yield (first line's number, number of lines, bytes) of blocks of whole lines.

    Args:
        path: `pathlib.Path`.
        size: int, bytes of a block, about; a line that is longer is a block of its own.
        part: `Part` to read alone; None: all.

    Raises:
        InputError: see `opened`; and for a line of more than `LONGEST` bytes.
    """
    line, rest, size_read = 1 if part is None else part.line, b"", 0
    with opened(path, part) as read:
        # A line longer than a block is read by doubling the size, so the cost stays linear.
        while data := read(max(size - len(rest), len(rest), 1)):
            if not rest and line == 1:
                while len(data) < len(BOM) and (more := read(len(BOM))):
                    data += more
                _refuse_others(path, data[:16])
                data = data.removeprefix(BOM)
            size_read += len(data)
            rest += data
            end = rest.rfind(b"\n") + 1
            if end:
                block, rest = (rest, b"") if end == len(rest) else (rest[:end], rest[end:])
                if len(block) > LONGEST:  # Only then its first line can be too long.
                    _refuse_longest(path, line, block.find(b"\n"))
                count = count_byte(block, b"\n")
                yield line, count, block
                line += count
            _refuse_longest(path, line, len(rest))
    if not size_read:
        raise InputError(f"{path}:1: expected rows, found an empty file")
    if rest:
        yield line, 1, rest


def _refuse_longest(path, line, size):
    if size > LONGEST:
        raise InputError(
            f"{path}:{line}: expected a line of no more than {LONGEST >> 20} MB, found a longer one"
        )


def block_size(chunk_rows: int) -> int:
    """Return bytes of a block for so many rows."""
    return min(BLOCK, max(4096, chunk_rows * BYTES_A_ROW))


def count_byte(block: bytes, byte: bytes) -> int:
    """Count a byte in pieces that fit the cache, which is faster than bytes.count for many hits."""
    array = np.frombuffer(block, "uint8")
    pieces = range(0, len(array), PIECE)
    return sum(np.count_nonzero(array[i : i + PIECE] == ord(byte)) for i in pieces)


def count_lines(paths: list[Path]) -> int | None:
    """Return the number of lines of unpacked files, None where only a careful reader can count."""
    total = 0
    for path in paths:
        if not path.is_file():
            return None
        for _, count, block in blocks(path):
            if b"\r" in block:  # A CR within a line is a fault that the careful reader counts.
                return None
            total += count
    return total

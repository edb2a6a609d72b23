"""The SHA-256 of a file that other programs read, in a file beside it.

python -m reloop2_keras.core.side_file FILE    # compares FILE with FILE.json

A format that is not ours has no room for a checksum, so it stands beside: `base.mindir.json` says
the name, size and SHA-256 of `base.mindir`. Whoever is to read the file compares them first, by
this command, which needs no framework, or by `sha256sum`.
"""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.command_line import Parser
from reloop2_keras.core.files import file_checksum, replaced

SCHEMA = 1
_MOST_BYTES = 65_536


def side_file(path: str | os.PathLike) -> Path:
    """Return where the checksum of a file stands.

    Example:
        >>> side_file("base.mindir").name
        'base.mindir.json'
    """
    path = Path(path)
    return path.with_name(path.name + ".json")


def _about(path: Path, name: str) -> dict[str, Any]:
    size = path.stat().st_size
    return {"schema": SCHEMA, "file": name, "bytes": size, "sha256": file_checksum(path)}


@contextlib.contextmanager
def replaced_with_side_file(path: str | os.PathLike) -> Iterator[Path]:
    """Do as `files.replaced`, and write the checksum of what was written beside it (ours).

    Both are on the disk before one of them takes its place. A kill between the two renames leaves
    a new file beside an old checksum, which `check_side_file` refuses: write it again.

    Args:
        path: the file to replace.

    Yields:
        `pathlib.Path` in the same folder to write to.

    Raises:
        OSError: naming the file, if it cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replaced_with_side_file(f"{folder}/m.bin") as beside:
        ...         _ = beside.write_text("abc")
        ...     check_side_file(f"{folder}/m.bin")[:8]
        'ba7816bf'
    """
    path = Path(path)
    with replaced(side_file(path)) as side, replaced(path) as beside:
        yield beside
        side.write_text(json.dumps(_about(beside, path.name)) + "\n", encoding="utf-8")


def check_side_file(path: str | os.PathLike) -> str:
    """Return a file's SHA-256, hexadecimal, once it is the one that stands beside it (ours).

    Args:
        path: of a file that was written by `replaced_with_side_file`.

    Raises:
        FileNotFoundError: if it, or the file beside it, is not there.
        ValueError: naming the file, what was expected and what was found, if it is damaged, or
            another one, or the file beside it is.
    """
    path, side = Path(path), side_file(path)
    for one in (path, side):
        if not one.is_file():
            raise FileNotFoundError(
                f"{one}: not found. Expected a file, and its checksum beside it"
            )
    with side.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    try:
        told = json.loads(raw.decode("utf-8")) if len(raw) <= _MOST_BYTES else None
    except (ValueError, RecursionError):
        told = None
    found = _about(path, path.name)
    if not isinstance(told, dict) or told.keys() != found.keys():
        raise ValueError(f"{side}: expected an object of {', '.join(found)}, found something else")
    for name, value in found.items():
        if type(told[name]) is not type(value) or told[name] != value:
            expected = repr(told[name])[:80]
            raise ValueError(
                f"{path}: {name}: expected {expected}, as {side} says, found {value!r}"
            )
    return str(found["sha256"])


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for a file that is not what stands beside it."""
    parser = Parser(
        prog="python -m reloop2_keras.core.side_file",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    arguments = parser.parse_args(argv)
    try:
        digest = check_side_file(arguments.file)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"side_file: {error}\n")
        return 2
    sys.stdout.write(f"{digest}  {arguments.file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

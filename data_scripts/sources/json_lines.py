"""Reader of JSON lines: one object a line, its values as text, every bad row with its line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from data_scripts.sources.chunk import Chunk
from data_scripts.sources.inputs import block_size, blocks, suffixes
from data_scripts.sources.parts import Part
from reloop2_keras.core.text import canonical_text

NAMES = (".json", ".jsonl", ".ndjson")


def is_json_lines(path: Path) -> bool:
    """Whether a file holds JSON lines, by its name (packed or not)."""
    return suffixes(path)[0] in NAMES


def read_keys(path: Path) -> list[str]:
    """Return the keys of the objects in a file's first block, in the order of their coming."""
    keys: dict[str, None] = {}
    for _, _, block in blocks(path, 1 << 20):
        for line in block.splitlines():
            found = _parsed(line)
            keys |= dict.fromkeys(found) if isinstance(found, dict) else {}
        break
    return list(keys)


def read_json_lines(
    path: Path, wanted: list[str], chunk_rows: int, part: Part | None = None
) -> Iterator[Chunk]:
    """Yield a `Chunk` of String columns for each block of a file.

    Texts stay as they are, numbers and Booleans become their canonical text; null, and a key that
    a line does not have, are missing.

    Args:
        path: `pathlib.Path`, plain, .gz or .zst.
        wanted: the keys to read.
        chunk_rows: int, rows a chunk, about.
        part: `Part` to read alone; None: all.
    """
    for first, count, block in blocks(path, block_size(chunk_rows), part):
        rows, lines, wrong = [], [], []
        for number, line in enumerate(block.removesuffix(b"\n").split(b"\n"), first):
            found = _parsed(line)
            row = [found.get(key) for key in wanted] if isinstance(found, dict) else None
            nested = next((v for v in row or () if isinstance(v, dict | list)), None)
            if row is None:
                text = line.decode("utf-8", "replace")[:60] or "an empty line"
                wrong.append((number, "expected a JSON object", text))
            elif nested is not None:
                wrong.append((number, "expected text, numbers, Booleans or null", str(nested)))
            else:
                rows.append([v if isinstance(v, str) else canonical_text(v) for v in row])
                lines.append(number)
        schema = dict.fromkeys(wanted, pl.String)
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        chunk = Chunk(path, frame, np.array(lines, "int64"), count)
        for item in wrong:
            chunk.note(*item)
        yield chunk


def _parsed(line: bytes) -> Any:
    """Return what a line of JSON says, None if it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):  # Wrong UTF-8 is a ValueError too.
        return None

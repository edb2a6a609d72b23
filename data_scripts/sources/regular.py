"""Fast reader of regular delimited text; leaves whatever needs care to `delimited`."""

import numpy as np
import polars as pl

from data_scripts.sources.delimited import BLOCK, BYTES_A_ROW


def read_regular(path, separator, schema, chunk_rows, canonical):
    """Yield `canonical(frame)` of each chunk, as long as all of a block's rows are regular.

    Polars parses text and numbers in one pass, but neither names the line of a bad value nor
    sees every bad line. So a block is taken only if nothing is wrong with it.

    Args:
        path: `pathlib.Path` of a file without header and quotes, whose rows start with a digit.
        separator: one character.
        schema: dict column name -> Polars type.
        chunk_rows: int, rows a chunk, at most.
        canonical: function frame -> frame, or None if a value is not what it must be.

    Returns:
        Number of rows yielded before the first block that needs care; None if all were.
    """
    if not path.is_file():
        return 0
    done, size = 0, max(4096, chunk_rows * BYTES_A_ROW)
    with path.open("rb") as file:
        while block := file.read(size):
            if len(block) == size:
                end = block.rfind(b"\n") + 1
                file.seek(end - size, 1)
                block = block[:end]
            frame = _parse(block, separator, schema)
            frame = canonical(frame) if frame is not None else None
            if frame is None:
                return done
            done += len(frame)
            yield from frame.iter_slices(chunk_rows)
    return None if done else 0


def _parse(block, separator, schema):
    """A block of whole lines as a DataFrame, empty as null; None if a line is not regular."""
    # a digit: Polars would see byte order marks and compression in the middle of a file
    if not block[:1].isdigit() or b"\r" in block:
        return None
    lines = _count(block, b"\n") + (block[-1:] != b"\n")
    if _count(block, separator.encode()) != lines * (len(schema) - 1):
        return None
    try:
        frame = pl.read_csv(
            block, separator=separator, has_header=False, schema=schema, quote_char=None
        )
    except pl.exceptions.PolarsError:
        return None
    # a line of too many columns is an error; were one too short, another were too long
    return frame if len(frame) == lines else None


def _count(block, byte):
    array = np.frombuffer(block, "uint8")
    # in pieces that stay in the cache; bytes.count takes a call for each hit
    pieces = range(0, len(array), BLOCK)
    return sum(np.count_nonzero(array[i : i + BLOCK] == ord(byte)) for i in pieces)

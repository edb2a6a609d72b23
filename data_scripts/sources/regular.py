"""Fast reader of regular delimited text; leaves whatever needs care to `delimited`."""

import polars as pl

from data_scripts.sources.inputs import count_byte


def parse_regular(block: bytes, count: int, separator: str, schema: dict) -> pl.DataFrame | None:
    """Return a block of whole lines as a DataFrame, empty as null; None if it needs care.

    Polars parses text and numbers in one pass, but neither names the line of a bad value nor
    sees every bad line. So a block is taken only if nothing is wrong with it.

    Args:
        block: bytes without quotes, whose lines start with a digit.
        count: int, its lines.
        separator: one character.
        schema: dict column name -> Polars type.
    """
    # a digit: Polars would see byte order marks and compression in the middle of a file
    if not block[:1].isdigit() or b"\r" in block:
        return None
    if count_byte(block, separator.encode()) != count * (len(schema) - 1):
        return None
    try:
        frame = pl.read_csv(
            block, separator=separator, has_header=False, schema=schema, quote_char=None
        )
    except pl.exceptions.PolarsError:
        return None
    # a line of too many columns is an error; were one too short, another were too long
    return frame if len(frame) == count else None

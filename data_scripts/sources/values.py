"""Columns of a chunk as numbers, labels, and codes of groups; what is neither is rejected."""

import numpy as np
import polars as pl
from pandas.util import hash_array

from data_scripts.factorize import factorize_text
from data_scripts.sources.chunk import Chunk
from data_scripts.text import canonical
from reloop2_keras.core.labels import NOT_0_OR_1, LabelRule
from reloop2_keras.core.raw_numbers import LARGEST, TOO_LARGE, expected_number, number_of_text

WORDS_HINT = "words are compared by --positive WORD, as in --positive click,purchase"
LABEL_HINT = "or True or False; --positive says what others click"


def numbers(
    chunk: Chunk,
    column: str,
    integer: bool = False,
) -> pl.Series:
    """Parse a column as numbers, missing ones as null; True is 1, False is 0.

    Args:
        chunk: `Chunk`; rows that hold no number are rejected.
        column: str.
        integer: bool, whether only whole numbers will do.

    Returns:
        Float64 Series.
    """
    values = chunk.frame[column]
    if values.dtype == pl.String:
        text = values.str.strip_chars()
        text = text.set(text == "", None)
        if integer:
            parsed = text.cast(pl.Int64, strict=False).cast(pl.Float64)
        else:
            parsed = text.cast(pl.Float64, strict=False)
            # Polars reads numbers alone; what else counts as one is asked value by value.
            others = text.filter(parsed.is_null() & text.is_not_null()).unique().to_list()
            read = {other: number_of_text(other) for other in others}
            if any(number is not None for number in read.values()):
                more = text.replace_strict(read, default=None, return_dtype=pl.Float64)
                parsed = parsed.zip_with(parsed.is_not_null(), more)
        bad = text.is_not_null() & parsed.is_null()
    else:
        parsed = values.cast(pl.Float64)
        bad = pl.repeat(False, len(values), eager=True)
    parsed = parsed.fill_nan(None)  # Files of floats write NaN for a missing value.
    hint = "a missing one is written as nothing at all"
    chunk.reject(bad, values, f"{expected_number(integer)} in column {column}", hint)
    huge = (parsed.abs() > LARGEST).fill_null(False)
    chunk.reject(huge, values, f"{TOO_LARGE} in column {column}")
    return parsed


def labels(chunk: Chunk, column: str, rule: LabelRule) -> pl.Series:
    """Parse the label: UInt8 Series; rows without one, or of another kind, are rejected.

    Args:
        chunk: `Chunk`.
        column: str.
        rule: `LabelRule`; each distinct value is read once.
    """
    values = chunk.frame[column]
    codes, distinct = factorize_text(values)
    # NumPy's float32 keeps its own digits, Python's float has more.
    given = distinct.to_numpy() if values.dtype == pl.Float32 else distinct.to_list()
    read: list[int] = []
    reasons: dict[str, list[int]] = {}
    for code, value in enumerate(given):
        try:
            read.append(rule.read(value))
        except ValueError as error:
            read.append(0)
            reasons.setdefault(str(error), []).append(code)
    for reason, places in reasons.items():
        where = "" if reason == NOT_0_OR_1 else f" in column {column}"
        hint = {NOT_0_OR_1: LABEL_HINT, expected_number(False): WORDS_HINT}.get(reason, "")
        chunk.reject(pl.Series(np.isin(codes, places)), values, reason + where, hint)
    return pl.Series(np.array(read, "uint8")[codes])


def group_codes(values: pl.Series) -> pl.Series:
    """Group names as int64 hashes: the same name gets the same code in every chunk."""
    text = canonical(values).fill_null("")
    return pl.Series(hash_array(text.to_numpy().astype(object)).view("int64"))

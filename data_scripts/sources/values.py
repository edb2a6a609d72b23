"""Columns of a chunk as numbers, labels, and codes of groups; what is neither is rejected."""

import operator
import re

import polars as pl
from pandas.util import hash_array

from data_scripts.sources.chunk import Chunk
from data_scripts.text import canonical

LARGEST = 3.4028234663852886e38  # of float32, which the prepared dataset holds
OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
Rule = tuple[str, float | set[str]]
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
BOOLEANS = {"True": "1", "true": "1", "TRUE": "1", "False": "0", "false": "0", "FALSE": "0"}


def numbers(
    chunk: Chunk,
    column: str,
    integer: bool = False,
    expected: str | None = None,
    hint: str = "a missing one is written as nothing at all",
) -> pl.Series:
    """Parse a column as numbers, missing ones as null; True is 1, False is 0.

    Args:
        chunk: `Chunk`; rows that hold no number are rejected.
        column: str.
        integer: bool, whether only whole numbers will do.
        expected, hint: str, what to say of a value that is no number.

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
            if parsed.null_count() > text.null_count():
                parsed = text.replace(BOOLEANS).cast(pl.Float64, strict=False)
        bad = text.is_not_null() & parsed.is_null()
    else:
        parsed = values.cast(pl.Float64)
        bad = pl.repeat(False, len(values), eager=True)
    parsed = parsed.fill_nan(None)  # Files of floats write NaN for a missing value.
    expected = expected or f"{'an integer' if integer else 'a number'} in column {column}"
    chunk.reject(bad, values, f"expected {expected}", hint)
    huge = (parsed.abs() > LARGEST).fill_null(False)
    chunk.reject(huge, values, f"expected a number within 3.4e38 (float32) in column {column}")
    return parsed


def label_rule(positive: str | None) -> Rule | None:
    """Turn `positive` into (operator, number) or (operator, set of words), None without one.

    Raises:
        ValueError: if it is neither a comparison nor words.
    """
    if positive is None:
        return None
    found = re.fullmatch(rf"\s*(>=|<=|==|!=|>|<)?\s*({NUMBER})\s*", positive)
    if found:
        return found[1] or "==", float(found[2])
    compare = positive.strip()[:2] if positive.lstrip().startswith(("==", "!=")) else ""
    given = positive.strip().removeprefix(compare).split(",")
    words = {text for word in given if (text := canonical_word(word)) is not None}
    if not words or any(word[0] in "<>=!" for word in words):
        raise ValueError(
            '`positive` must be a comparison with a number, as ">=4", or the words that click, as '
            f'"yes" or "click,purchase" or "!=view". Received: {positive!r}'
        )
    return compare or "==", words


def canonical_word(word: str) -> str | None:
    """Return a word as `canonical` has it."""
    return canonical(pl.Series([word.strip()]))[0]


def labels(chunk: Chunk, column: str, rule: Rule | None) -> pl.Series:
    """Parse the label: UInt8 Series; rows without one, or of another kind, are rejected.

    Args:
        chunk: `Chunk`.
        column: str.
        rule: what `label_rule` returned. None: 0 and 1, or False and True, are the labels.
    """
    values = chunk.frame[column]
    if rule and isinstance(rule[1], set):
        text = canonical(values.str.strip_chars() if values.dtype == pl.String else values)
        chunk.reject(text.is_null(), values, f"expected a label in column {column}")
        clicked = text.is_in(list(rule[1]))
        clicked = clicked if rule[0] == "==" else ~clicked
        return clicked.fill_null(False).cast(pl.UInt8)
    if rule:
        hint = "words are compared by --positive WORD, as in --positive click,purchase"
        value = numbers(chunk, column, hint=hint)
    else:
        hint = "or True or False; --positive says what others click"
        value = numbers(chunk, column, expected="label 0 or 1", hint=hint)
    chunk.reject(value.is_null(), values, f"expected a label in column {column}")
    if rule:
        clicked = OPERATORS[rule[0]](value, rule[1])
    else:
        clicked = value == 1
        wrong = ~value.is_in([0.0, 1.0]).fill_null(True)
        chunk.reject(wrong, values, "expected label 0 or 1", hint)
    return clicked.fill_null(False).cast(pl.UInt8)


def group_codes(values: pl.Series) -> pl.Series:
    """Group names as int64 hashes: the same name gets the same code in every chunk."""
    text = canonical(values).fill_null("")
    return pl.Series(hash_array(text.to_numpy().astype(object)).view("int64"))

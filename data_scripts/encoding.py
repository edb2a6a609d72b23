"""Encode rows: a frame of canonical columns -> the arrays of a dataset."""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from data_scripts.vocabulary import FieldVocabulary

MATRICES = ("feature_ids", "feature_values", "feature_hashes")
BLOCK = 4096  # So many rows of a matrix stay in the cache while its columns are filled in.


def encoded(
    frame: pl.DataFrame, fields: Sequence[FieldVocabulary], extras: Iterable[str]
) -> dict[str, np.ndarray]:
    """Return the columns to write: NumPy (rows,) of label and extras, (rows, fields) of matrices.

    Args:
        frame: rows, as a `Source` yields them.
        fields: with their ids.
        extras: names of further columns, such as "time".
    """
    parts = [field.encode(frame[field.name]) for field in fields]
    columns = {name: frame[name].to_numpy() for name in ("label", *extras)}
    for i, name in enumerate(MATRICES):
        columns[name] = _matrix([part[i] for part in parts], len(frame))
    return columns


def _matrix(columns, rows):
    """Return columns as a matrix; a column of one row is repeated for all rows."""
    matrix = np.empty((rows, len(columns)), columns[0].dtype)
    for start in range(0, rows, BLOCK):
        part = matrix[start : start + BLOCK]
        for i, column in enumerate(columns):
            part[:, i] = column if len(column) == 1 else column[start : start + BLOCK]
    return matrix

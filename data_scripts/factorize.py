"""Turn a column of text into codes and distinct values, and look values up in a fixed list.

Three libraries take part because each is the fastest at its step (measured): Polars hashes text,
pandas factorizes the hashes, NumPy sorts and searches them.
"""

import numpy as np
import pandas as pd
import polars as pl


def factorize_text(column: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """Return (codes, distinct): `distinct[codes]` is `column`; null is a value of its own.

    Polars' 64-bit hashes are factorized instead of the text, which is several times faster. Two
    values with one hash would get one code, so every row is compared with the value of its code;
    if one differs, the text itself is factorized.

    Args:
        column: String Series.

    Returns:
        NumPy int64 (rows,) and a Series without repetitions, whose order is not defined.

    Example:
        >>> codes, distinct = factorize_text(pl.Series(["a", None, "a"]))
        >>> distinct.gather(codes).to_list()
        ['a', None, 'a']
    """
    codes, hashes = pd.factorize(column.hash().to_numpy())
    where = np.empty(len(hashes), "int64")
    where[codes] = np.arange(len(codes))  # Any row that holds the value will do.
    distinct = column.gather(where)
    if distinct.gather(codes).ne_missing(column).any():
        distinct = column.unique()
        codes = pl.DataFrame({"value": column}).join(
            pl.DataFrame({"value": distinct}).with_row_index("code"),
            on="value",
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        codes = codes["code"].cast(pl.Int64).to_numpy()
    return codes, distinct


class Lookup:
    """Finds values in a fixed list by binary search over their hashes.

    Args:
        values: String Series without nulls and repetitions.
    """

    def __init__(self, values: pl.Series) -> None:
        hashes = values.hash().to_numpy()
        order = np.argsort(hashes, kind="stable")
        self._values, self._order, self._hashes = values, order, hashes[order]
        # Different values with one hash cannot be told apart by it, so `find` joins by text then.
        self._clash = bool((self._hashes[1:] == self._hashes[:-1]).any())

    def find(self, values: pl.Series) -> np.ndarray:
        """Return each value's position in the list, NumPy int64 (rows,); -1 if absent or null."""
        if self._clash or not len(self._values):
            return self._join(values)
        at = np.searchsorted(self._hashes, values.hash().to_numpy())
        at = self._order[np.minimum(at, len(self._order) - 1)]
        same = (self._values.gather(at) == values).fill_null(False).to_numpy()
        return np.where(same, at, -1)

    def _join(self, values):
        found = values.replace_strict(
            self._values,
            pl.int_range(len(self._values), eager=True),
            default=-1,
            return_dtype=pl.Int64,
        )
        return found.fill_null(-1).to_numpy()

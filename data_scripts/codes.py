"""A column of text as numbers: each row's code, and the text of each code."""

import numpy as np
import pandas as pd
import polars as pl


def codes_of(column):
    """Return (codes, distinct): `distinct[codes]` is `column`; null is a value of its own.

    Polars' 64-bit hashes are counted instead of the text, which is some times faster. Two values
    of one hash would be taken for one, so every row is compared with what its code says.

    Args:
        column: String Series.

    Returns:
        NumPy int64 (rows,) and a Series without repetitions, in no order to rely on.
    """
    codes, hashes = pd.factorize(column.hash().to_numpy())
    where = np.empty(len(hashes), "int64")
    where[codes] = np.arange(len(codes))  # any row that holds the value
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
    """Finds values in a fixed list, many times: no search takes a pass over the list.

    Args:
        values: String Series without nulls and repetitions.
    """

    def __init__(self, values):
        hashes = values.hash().to_numpy()
        order = np.argsort(hashes, kind="stable")
        self._values, self._order, self._hashes = values, order, hashes[order]
        # equal hashes of different values: no search by hash then
        self._clash = bool((self._hashes[1:] == self._hashes[:-1]).any())

    def find(self, values):
        """Return each value's position in the list, -1 if it is not there (or null)."""
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

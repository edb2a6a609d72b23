"""Rows of an embedding table for values that training never saw, chosen by their hash (ours).

The hashing trick (K. Weinberger, A. Dasgupta, J. Langford, A. Smola, J. Attenberg, "Feature hashing
for large scale multitask learning", 2009), for new values only: a value of the training vocabulary
keeps its own row, so that nothing that was learnt collides. docs/method.md, section 1.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer, shown

ROOM = 4  # hashed rows for each value of the vocabulary, at least
LEAST_BITS, MOST_BITS = 8, 22  # of a field, where nobody says how many
_MOST_ROWS = 1 << 31  # ids are int32


@dataclasses.dataclass(frozen=True, eq=False)
class HashedRows:
    """Which row of a table each value of a batch has: by its id, or by its hash.

    A field's first id stands for all values that the vocabulary does not know. With `bits[f]` = k
    above 0 such a value has the row `starts[f] + (hash & (2^k - 1))` instead: 2^k rows of the
    field's own, after those of all ids. Every framework computes the same from these three arrays:

        row = starts + (hash & masks) where id == unseen, else id

    Low bits of the hashes of a prepared dataset are as good as any (`core.hashing`), in two's
    complement a negative hash needs no care, and no product can overflow.

    Attributes:
        bits: for each field k, or 0: its new values share the field's first row.
        unseen: int32 (F,), each field's first id, or -1 where `bits` is 0: no id is that.
        starts: int32 (F,), the first of the field's hashed rows.
        masks: int32 (F,), 2^k - 1.
        num_ids: int, rows of the vocabulary.
        num_rows: int, of the whole table.

    Example:
        >>> hashed = HashedRows.of([{"cardinality": 3}, {"cardinality": 1}], [2, 0])
        >>> hashed.rows([[0, 3], [0, 3], [1, 3]], [[5, 9], [-1, 9], [6, 9]]).tolist()
        [[5, 3], [7, 3], [1, 3]]
    """

    bits: tuple[int, ...]
    unseen: np.ndarray
    starts: np.ndarray
    masks: np.ndarray
    num_ids: int
    num_rows: int

    @classmethod
    def of(cls, fields: Sequence[Mapping[str, Any]], bits: Sequence[int]) -> "HashedRows":
        """Return the rows of fields with `cardinality`, whose `bits` are known.

        Raises:
            ValueError: if the table would have 2^31 rows or more.
        """
        sizes = np.array([field["cardinality"] for field in fields], "int64")
        hashed = np.array([1 << k if k else 0 for k in bits], "int64")
        num_ids, num_rows = int(sizes.sum()), int(sizes.sum() + hashed.sum())
        if num_rows >= _MOST_ROWS:
            raise ValueError(
                f"`hashed` must leave a table of less than 2^31 rows. Received: {list(bits)}"
            )
        return cls(
            tuple(int(k) for k in bits),
            np.where(hashed > 0, np.cumsum(sizes) - sizes, -1).astype("int32"),
            (num_ids + np.cumsum(hashed) - hashed).astype("int32"),
            np.maximum(hashed - 1, 0).astype("int32"),
            num_ids,
            num_rows,
        )

    def rows(self, ids: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        """Return the row of each value, int32 (rows, F).

        Args:
            ids: integers (rows, F), each in its field's range.
            hashes: integers (rows, F).
        """
        ids, hashes = np.asarray(ids), np.asarray(hashes)
        return np.where(ids == self.unseen, self.starts + (hashes & self.masks), ids).astype(
            "int32"
        )

    def grown(self, table: np.ndarray) -> np.ndarray:
        """Return a table of the vocabulary's rows with hashed rows behind them.

        A field's new rows are copies of its first row, which stood for all new values before: so a
        trained model says the same of every value as it did, until it learns more.

        Args:
            table: (num_ids, width).

        Returns:
            (num_rows, width), of the same dtype.

        Example:
            >>> hashed = HashedRows.of([{"cardinality": 2}, {"cardinality": 1}], [1, 0])
            >>> hashed.grown(np.array([[5.0], [6.0], [7.0]])).ravel().tolist()
            [5.0, 6.0, 7.0, 5.0, 5.0]
        """
        sizes = [1 << k if k else 0 for k in self.bits]
        return np.concatenate([table, table[np.repeat(self.unseen, sizes)]])


def checked_bits(
    fields: Sequence[Mapping[str, Any]], hashed: bool | int | Sequence[int] | None
) -> list[int] | None:
    """Return `bits` of each field as an argument `hashed` means them, or None for no hashed rows.

    Args:
        fields: with `cardinality`, and maybe `kind`. A numeric field, or one of a single id, has
            no new values.
        hashed: None or False; True: the least k with 2^k >= 4 * cardinality, within [8, 22]; an
            int: that k for every field that can have new values; or a k for each field, 0 for none.

    Raises:
        ValueError: if it is none of these, or a k is not in [0, 30].

    Example:
        >>> fields = [{"cardinality": 100}, {"cardinality": 5}, {"cardinality": 1}]
        >>> checked_bits(fields, True), checked_bits(fields, 12), checked_bits(fields, [9, 0, 0])
        ([9, 8, 0], [12, 12, 0], [9, 0, 0])
    """
    if hashed is None or hashed is False:
        return None
    each = isinstance(hashed, Iterable) and not isinstance(hashed, str | bytes)
    given = list(hashed) if each else [0 if hashed is True else hashed] * len(fields)  # type: ignore[arg-type]
    try:
        given = [integer("hashed", k, 0, 30) for k in given]
    except ValueError:
        given = []
    if len(given) != len(fields):
        raise ValueError(
            f"`hashed` must be None, True, a number of bits in [0, 30], or one for each of the "
            f"{len(fields)} fields. Received: {shown(hashed)}"
        )
    if each:
        return given
    bits = []
    for field in fields:
        size = field["cardinality"]
        if size == 1 or field.get("kind") == "numeric":
            bits.append(0)
        elif hashed is True:
            bits.append(min(max((ROOM * size - 1).bit_length(), LEAST_BITS), MOST_BITS))
        else:
            bits.append(given[0])
    return bits

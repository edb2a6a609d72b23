"""Rows of an epoch by their place in its order: what batches of every package are cut from."""

from collections.abc import Sequence

import numpy as np

from reloop2_keras.core.buffers import BufferReader
from reloop2_keras.core.checks import FieldRanges
from reloop2_keras.core.order import EpochOrder
from reloop2_keras.core.reading import RowGroup


class EpochRows:
    """Reads rows in an epoch's order; memory does not grow with the rows.

    Args:
        groups: list of `RowGroup`.
        ranges: the ids that each field may have.
        columns: names of the columns to read.
        shuffle, seed, shuffle_rows: see `EpochOrder`.
    """

    def __init__(
        self,
        groups: Sequence[RowGroup],
        ranges: FieldRanges,
        columns: Sequence[str],
        shuffle: bool,
        seed: int,
        shuffle_rows: int,
    ):
        sizes = tuple(group.rows for group in groups)
        self.num_rows = sum(sizes)
        self._order = EpochOrder(sizes, shuffle, seed, shuffle_rows)
        # shuffled rows are copies, others are views of a buffer
        self._reader = BufferReader(groups, columns, ranges, reuse=shuffle)
        self._plan, self._buffer = (None, None), (None, None)

    def read(self, epoch: int, start: int, stop: int) -> dict[str, np.ndarray]:
        """Return rows [start, stop) of an epoch's order: a dict of arrays.

        Raises:
            ValueError: naming the file, for what is wrong in it.
        """
        starts = self._planned(epoch)[1]
        number = int(np.searchsorted(starts, start, side="right")) - 1
        number = min(max(number, 0), len(starts) - 2)
        parts = []
        while True:
            end = min(stop, starts[number + 1])
            arrays, order = self._load(epoch, number)
            rows = slice(start - starts[number], end - starts[number])
            parts.append(
                {
                    name: array[rows] if order is None else np.take(array, order[rows], axis=0)
                    for name, array in arrays.items()
                }
            )
            if end >= stop:
                break
            start, number = end, number + 1
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _planned(self, epoch):
        if self._plan[0] != epoch:
            self._plan = (epoch, self._order.plan(epoch))
        return self._plan[1]

    def _load(self, epoch, number):
        """Return a buffer: its arrays in the order of the files, and the order of its rows."""
        if self._buffer[0] != (epoch, number):
            self._buffer = (None, None)  # its memory may be filled anew
            buffers, starts = self._planned(epoch)
            following = None
            if number + 1 < len(buffers):
                following = ((epoch, number + 1), buffers[number + 1])
            arrays = self._reader.read((epoch, number), buffers[number], following)
            order = self._order.permutation(epoch, number, starts[number + 1] - starts[number])
            self._buffer = ((epoch, number), (arrays, order))
        return self._buffer[1]

"""Rows of an epoch by their place in its order: what batches of every package are cut from."""

import os
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.array_checks import FieldRanges
from reloop2_keras.core.buffers import BufferReader
from reloop2_keras.core.order import EpochOrder
from reloop2_keras.core.reading import RowGroup

_ALL: "weakref.WeakSet[EpochRows]" = weakref.WeakSet()


def _start_anew():
    """Let go of locks and threads of the process that was forked from."""
    for rows in list(_ALL):
        rows._start()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_start_anew)


class EpochRows:
    """Reads rows in an epoch's order; memory does not grow with the rows.

    Any number of threads may read from one object: a lock is held while rows are taken out of the
    buffer, which holds the rows of one part of the epoch at a time and is filled anew for the
    next. Threads that read places far apart are right but slow, as each fills it for itself.
    Copies and other processes have a buffer and a lock of their own.

    Args:
        groups: list of `RowGroup`.
        ranges: the ids that each field may have.
        columns: names of the columns to read.
        shuffle, seed, shuffle_rows: see `EpochOrder`.

    Attributes:
        num_rows: int.
        order: `EpochOrder`.

    Raises:
        ValueError: if `shuffle`, `seed` or `shuffle_rows` is out of range.
    """

    def __init__(
        self,
        groups: Sequence[RowGroup],
        ranges: FieldRanges,
        columns: Sequence[str],
        shuffle: bool,
        seed: int,
        shuffle_rows: int,
    ) -> None:
        sizes = tuple(group.rows for group in groups)
        self.num_rows = sum(sizes)
        self.order = EpochOrder(sizes, shuffle, seed, shuffle_rows)
        # Shuffled rows are copies, so that a buffer's memory can be used again; others are views.
        self._source = (list(groups), list(columns), ranges, shuffle)
        self._start()

    def _start(self):
        """Make what a process, or a copy, may not share: lock, buffer and its reader."""
        self._lock = threading.Lock()
        self._reader = BufferReader(*self._source)
        self._plan: tuple[Any, Any] = (None, None)  # (epoch, its plan)
        self._buffer: tuple[Any, Any] = (None, None)  # ((epoch, number), what it holds)
        _ALL.add(self)

    def __getstate__(self):
        own = ("_lock", "_reader", "_plan", "_buffer")
        return {name: value for name, value in self.__dict__.items() if name not in own}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._start()

    def read(self, epoch: int, start: int, stop: int) -> dict[str, np.ndarray]:
        """Return rows [start, stop) of an epoch's order: a dict of arrays.

        Raises:
            ValueError: naming the file, for what is wrong in it.
        """
        with self._lock:
            return self._read(epoch, start, stop)

    def _read(self, epoch, start, stop):
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
            self._plan = (epoch, self.order.plan(epoch))
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
            order = self.order.permutation(epoch, number, starts[number + 1] - starts[number])
            self._buffer = ((epoch, number), (arrays, order))
        return self._buffer[1]

"""Row groups as arrays; the next ones are read while the last are used."""

from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from reloop2_keras.core.array_checks import FieldRanges
from reloop2_keras.core.reading import RowGroup


class BufferReader:
    """Reads buffers: row groups, one after the other, in arrays; for one thread at a time.

    Args:
        groups: list of `RowGroup`.
        columns: names of the columns to read.
        ranges: the ids that each field may have.
        reuse: bool. True: the arrays of a buffer hold until the next but one is read, whose
            memory they become; pages need not be fetched again then.
    """

    def __init__(
        self, groups: Sequence[RowGroup], columns: Sequence[str], ranges: FieldRanges, reuse: bool
    ) -> None:
        self._groups, self._columns, self._ranges = list(groups), list(columns), ranges
        self._reuse = reuse
        self._spaces: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
        self._turn = 0
        self._ahead: tuple[Hashable, Future] | None = None

    def read(
        self,
        key: Hashable,
        members: Sequence[int],
        following: tuple[Hashable, Sequence[int]] | None = None,
    ) -> dict[str, np.ndarray]:
        """Return a dict of arrays.

        Args:
            key: names the buffer.
            members: positions in `groups`.
            following: (key, members) of the buffer likely to be asked for next, or None. It is
                read in a thread of its own; its errors are raised when it is asked for.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            wait([ahead[1]])  # two readers would share memory
        if ahead is not None and ahead[0] == key:
            arrays = ahead[1].result()
        else:
            arrays = self._fill(members)
        if following is not None:
            pool = ThreadPoolExecutor(1)
            self._ahead = (following[0], pool.submit(self._fill, following[1]))
            pool.shutdown(wait=False)  # the thread ends with its task
        return arrays

    def _fill(self, members):
        rows = sum(self._groups[g].rows for g in members)
        self._turn = 1 - self._turn
        arrays, start = {}, 0
        for g in members:
            length = self._groups[g].rows
            for name, part in self._groups[g].load(self._ranges, self._columns).items():
                if name not in arrays:
                    arrays[name] = self._space(name, rows, part)
                arrays[name][start : start + length] = part
            start += length
        return arrays

    def _space(self, name, rows, like):
        shape = (rows, *like.shape[1:])
        if not self._reuse:
            return np.empty(shape, like.dtype)
        spaces = self._spaces[self._turn]
        if name not in spaces or len(spaces[name]) < rows:
            spaces[name] = np.empty(shape, like.dtype)
        return spaces[name][:rows]

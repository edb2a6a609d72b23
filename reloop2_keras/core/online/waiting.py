"""Rows whose labels came, kept until there are enough of them for one step."""

from collections.abc import Mapping

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer
from reloop2_keras.core.array_state import ArrayState


class Waiting(ArrayState):
    """Some columns of the rows that wait, fewer than `rows`, in a fixed space.

    Args:
        rows: int >= 1, so many are a block.
        columns: name -> (shape of a row, dtype).

    Attributes:
        held: int, rows that wait.
        numbers: int64 (rows,), by which a row that waits is found again; not saved.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> waiting = Waiting(3, {"labels": ((), "float64")})
        >>> waiting.put([np.ones(2)])
        >>> waiting.joined([np.zeros(2)])
        [array([1., 1., 0., 0.])]
        >>> waiting.joined([np.zeros(0)]) is None
        True
    """

    COUNTERS = ("held",)

    def __init__(self, rows: int, columns: Mapping[str, tuple[tuple[int, ...], str]]) -> None:
        super().__init__()
        self.rows = integer("rows", rows, 1, MOST_ROWS)
        self.held, self.ARRAYS = 0, tuple(columns)
        for name, (shape, dtype) in columns.items():
            setattr(self, name, np.zeros((self.rows, *shape), dtype))
        self.numbers = np.zeros(self.rows, "int64")

    def joined(self, new: list[np.ndarray]) -> list[np.ndarray] | None:
        """Return all columns of the rows that wait and the new ones, or None if too few are there.

        Args:
            new: arrays (rows, …), one a column.
        """
        with self.lock:
            if self.held + len(new[0]) < self.rows:
                return None
            held = [getattr(self, name)[: self.held] for name in self.ARRAYS]
            return [np.concatenate(pair) for pair in zip(held, new, strict=True)]

    def put(self, new: list[np.ndarray], first: int = 0) -> None:
        """Keep new rows, numbered from `first` on; fewer than `rows` must wait then."""
        with self.lock:
            stop = self.held + len(new[0])
            self.numbers[self.held : stop] = np.arange(first, first + len(new[0]))
            for name, part in zip(self.ARRAYS, new, strict=True):
                getattr(self, name)[self.held : stop] = part
            self.held = stop
            self.version += 1

    def remove(self, numbers: np.ndarray) -> np.ndarray:
        """Let go of rows that wait.

        Args:
            numbers: int (n,), of rows that wait or not.

        Returns:
            bool (n,), which of them did.
        """
        with self.lock:
            held = self.numbers[: self.held]
            found, stay = np.isin(numbers, held), ~np.isin(held, numbers)
            self.held = int(stay.sum())
            for name in ("numbers", *self.ARRAYS):
                column = getattr(self, name)
                column[: self.held] = column[: len(stay)][stay]
            self.version += 1
            return found

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`."""
        if np.any(np.asarray(arrays.get("held", 0)) >= self.rows):
            raise ValueError(f"held: expected fewer than {self.rows} rows, found {arrays['held']}")
        super().load_state(arrays)

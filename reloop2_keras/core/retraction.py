"""What rows have taught, kept so that it can be taken back when their labels prove wrong (ours)."""

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.served import Rows, Served, divided

LIMIT = 1 << 18  # rows


@dataclasses.dataclass
class Receipt:
    """What some rows have taught; made by `learn_with_receipt`, given back to `retract`.

    Attributes:
        served: `Served`, by which they were learnt.
        labels: float64 (rows,), with which they were learnt.
        added: part's name -> dict of arrays (rows, …), what they added to it.
        stamps: part's name -> anything, of the moment.
        whole: bool, False for some rows of another receipt.
    """

    served: Served
    labels: np.ndarray
    added: dict[str, Any]
    stamps: dict[str, Any]
    whole: bool = True
    _open: Served = dataclasses.field(default_factory=Served)

    def __post_init__(self) -> None:
        if not self._open:
            self._open = Served(rows=np.arange(len(self.labels)))

    @property
    def spent(self) -> bool:
        """Whether one of its rows was retracted already."""
        return self._open.spent

    @property
    def nbytes(self) -> int:
        """Bytes of its arrays."""
        arrays = [*self.served.values(), self.labels]
        arrays += [array for part in self.added.values() for array in part.values()]
        return sum(np.asarray(array).nbytes for array in arrays)

    def check(self) -> None:
        """Raise ValueError if one of its rows was retracted already."""
        if self.spent:
            raise ValueError("`receipt` was retracted already: its rows would be taken back twice")

    def spend(self) -> None:
        """Mark its rows as retracted."""
        self._open.spend()

    def part(self, rows: Rows) -> "Receipt":
        """Return the receipt of some of its rows; each row is retracted once.

        Args:
            rows: slice, or int array of distinct rows.
        """
        parts = self.served.part(rows), self.labels[rows], divided(self.added, rows)
        return Receipt(*parts, self.stamps, False, self._open.part(rows))


class Receipts:
    """The receipts of the last rows: a window of bounded size, for clicks that come late.

    Only negatives are kept: a click does not become a negative.

    Args:
        limit: int >= 1, rows; the oldest are let go of, and can no longer be retracted.

    Attributes:
        rows: int, rows that are kept.
        dropped: int, rows that were let go of since they were too many.
        missed: int, rows that were asked for and were not there.

    Raises:
        ValueError: if the limit is out of range.

    Example:
        >>> def receipt(labels):
        ...     return Receipt(Served(corrected=np.zeros(len(labels))), np.array(labels), {}, {})
        >>> window = Receipts(limit=3)
        >>> window.put("monday", np.arange(3), receipt([0, 1, 0]))
        >>> window.put("tuesday", np.arange(2), receipt([0, 0]))
        >>> window.rows, window.dropped
        (2, 2)
        >>> [at.tolist() for _, at in window.take("tuesday", np.array([1]))]
        [[0]]
        >>> list(window.take("monday", np.array([0]))), window.missed
        ([], 1)
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = integer("limit", limit, 1)
        self.rows, self.dropped, self.missed = 0, 0, 0
        self._kept: collections.OrderedDict[int, tuple[Any, np.ndarray, Receipt]]
        self._kept = collections.OrderedDict()
        self._of: dict[Any, list[int]] = {}
        self._next = 0

    def put(self, name: Any, rows: np.ndarray, receipt: Receipt) -> None:
        """Keep the negatives of a receipt.

        Args:
            name: of what the rows are counted in, such as a slot's number.
            rows: int (rows,), the number of each row there.
            receipt: of as many rows.
        """
        negative = np.flatnonzero(receipt.labels == 0)
        if not len(negative):
            return
        self._kept[self._next] = name, rows[negative], receipt.part(negative)
        self._of.setdefault(name, []).append(self._next)
        self._next += 1
        self.rows += len(negative)
        while self.rows > self.limit:
            oldest, (owner, numbers, _) = next(iter(self._kept.items()))
            self._forget(oldest, owner)
            self.rows -= len(numbers)
            self.dropped += len(numbers)

    def __contains__(self, name: Any) -> bool:
        """Whether a row of this name is kept."""
        return name in self._of

    def items(self) -> Iterator[tuple[Any, np.ndarray, Receipt]]:
        """Yield (name, rows, receipt) of all that is kept, the oldest first."""
        yield from self._kept.values()

    def _forget(self, key, name):
        del self._kept[key]
        self._of[name].remove(key)
        if not self._of[name]:
            del self._of[name]

    def take(self, name: Any, rows: np.ndarray) -> Iterator[tuple[Receipt, np.ndarray]]:
        """Yield the receipts that hold rows, and let go of these rows.

        Args:
            name: what `put` was given.
            rows: int (rows,), distinct.

        Yields:
            (receipt of some of the rows, int64: which of `rows` they are)
        """
        left = len(rows)
        for key in list(self._of.get(name, ())):
            _, numbers, receipt = self._kept[key]
            _, here, at = np.intersect1d(numbers, rows, return_indices=True)
            if not len(here):
                continue
            # in the order in which they were learnt
            order = np.argsort(here, kind="stable")
            here, at = here[order], at[order]
            rest = np.setdiff1d(np.arange(len(numbers)), here)
            if len(rest):
                self._kept[key] = name, numbers[rest], receipt.part(rest)
            else:
                self._forget(key, name)
            self.rows -= len(here)
            left -= len(here)
            yield receipt.part(here), at
        self.missed += left

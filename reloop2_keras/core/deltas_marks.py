"""A mark in what a memory learns: from there on it writes down what it touches (ours)."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.deltas import Delta


@dataclasses.dataclass(frozen=True)
class Mark:
    """A place in what one memory learnt.

    Attributes:
        serial: int, the how manieth of this memory.
        clock: int, where the memory's clock stood, rows or writes.
    """

    serial: int
    clock: int


NO_MARK = Mark(0, 0)


@dataclasses.dataclass
class Journal:
    """What was touched since a mark, as it was before: at most one entry a place.

    Attributes:
        mark: `Mark`.
        count: int64 (1,), entries in use.
        places: int64 (room,).
        before: float64 (room, width).
        dense: float64 (m,), of what is of no place.
    """

    mark: Mark
    count: np.ndarray
    places: np.ndarray
    before: np.ndarray
    dense: np.ndarray

    def make_room(self, more: int, most: int) -> None:
        """Have room for more entries, and never for more than there are places."""
        need = min(int(self.count[0]) + more, most)
        if need <= len(self.places):
            return
        size, used = min(max(need, 2 * len(self.places)), most), int(self.count[0])
        places, before = np.empty(size, "int64"), np.empty((size, self.before.shape[1]))
        places[:used], before[:used] = self.places[:used], self.before[:used]
        self.places, self.before = places, before

    def held(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (places, what was there), views of the entries in use."""
        count = int(self.count[0])
        return self.places[:count], self.before[:count]


class Marked(ArrayState):
    """Mixin of memories that add up: they keep a journal since their last mark.

    Before a place is touched for the first time since the mark, what is there is copied: as much
    space as what was touched takes, and at most as much as the memory. The other way, a copy of
    the whole memory at the mark, takes that space always, and time for all of it at each mark.
    A memory has one mark at a time; without one it writes nothing down. A copy or a saved memory
    has none.
    """

    UNCOPIED: Sequence[str] = ("_journal",)  # names of what copies and files do not hold
    _journal: Journal | None = None
    _serial: int = 0  # of the last mark; kept by copies: places remember by it who touched them

    def __getstate__(self) -> dict:
        with self.lock:
            there = [name for name in self.UNCOPIED if name in self.__dict__]
            held = {name: self.__dict__.pop(name) for name in there}
            try:
                return super().__getstate__()
            finally:
                self.__dict__.update(held)

    def reset(self) -> None:
        """Forget everything that was learnt, the mark included."""
        with self.lock:
            super().reset()
            self._journal = None

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`; a mark of what was there before is gone."""
        with self.lock:
            super().load_state(arrays)
            self._journal = None

    def _begin(self, clock: int, width: int, dense: np.ndarray) -> Mark:
        """Let a new journal begin, in the space of the one before."""
        self._serial += 1
        old, mark = self._journal, Mark(self._serial, clock)
        places = np.empty(0, "int64") if old is None else old.places
        before = np.empty((0, width)) if old is None else old.before
        self._journal = Journal(mark, np.zeros(1, "int64"), places, before, dense)
        return mark

    def _delta(
        self, kind: str, clock: tuple[int, int], ids: np.ndarray, numbers: np.ndarray, **more: Any
    ) -> Delta:
        """Return a delta of this memory; `clock`: (at the mark, now); `more`: what is not usual."""
        start, now = clock
        told: dict[str, Any] = {"kind": kind, "signature": self._signature(), "mode": "added"}
        told |= {"clock": now - start, "start": start, "ids": ids, "numbers": numbers}
        told |= {"kept": np.ones(len(ids), "uint8"), "dense": np.zeros(0), **more}
        return Delta(**told)

    def _signature(self) -> str:
        """All that two memories must share so that one takes the other's delta, as JSON."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """Write nothing down until the next mark; the journal's space is kept for it."""
        if self._journal is not None:
            self._journal.mark = NO_MARK

    def _since(self, mark: Mark, clock: int) -> Journal:
        """Return the journal; ValueError unless it is the mark's, and not taken back since."""
        if self._journal is None or self._journal.mark != mark:
            raise ValueError(
                "`mark` must be the last one of this memory, which nothing has replaced as a whole "
                f"since (`reset`, `load_state`, `merge`). Received: {mark}"
            )
        if clock < mark.clock:
            raise ValueError(f"`mark` is of rows that were taken back since. Received: {mark}")
        return self._journal

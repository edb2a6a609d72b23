"""Rows whose labels have not arrived, handed out when they have: in the order of arrival."""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.delay import Delay
from reloop2_keras.core.late_clicks import LateClicks


@dataclasses.dataclass(frozen=True)
class Arrival:
    """Labels of one slot that arrived together.

    Attributes:
        number: int, of the slot.
        item: what was given to `Pending.add` with the slot.
        rows: None for all of the slot's rows, or a slice or int64 array of them.
        labels: (rows,), what is known of their labels now.
        corrects: bool, whether it corrects labels that were handed out before.
    """

    number: int
    item: Any
    rows: slice | np.ndarray | None
    labels: np.ndarray
    corrects: bool = False


@dataclasses.dataclass
class _Slot:
    """What is due of a slot, and how much of it was handed out."""

    number: int
    item: Any
    labels: np.ndarray
    order: np.ndarray | None  # rows by arrival; None: in the order of the log
    due: np.ndarray  # float64, ascending
    corrects: bool = False
    taken: int = 0

    def rows(self, start, stop):
        """Rows number start to stop in the order of arrival."""
        if self.order is not None:
            return self.order[start:stop]
        whole = (start, stop) == (0, len(self.labels))
        return None if whole else slice(start, stop)


class Pending:
    """Slots under way, from their prediction until all of their labels have arrived.

    Of what has arrived before a slot is predicted, rows come in the order of arrival, equal ones
    in the order of the log; a run of one slot's rows comes as one `Arrival`. Corrections come
    after all labels that arrived for the first time.

    Args:
        delay: `Delay`.
        late: `LateClicks`, or None.

    Example:
        >>> pending = Pending(Delay.of("4rows"))
        >>> pending.add({"label": np.array([0, 1])}, "slot 0")
        >>> pending.arrived()
        []
        >>> pending.add({"label": np.array([1, 1])}, "slot 1")
        >>> [(a.item, a.rows, a.labels.tolist()) for a in pending.arrived()]
        [('slot 0', slice(0, 1, None), [0])]
    """

    def __init__(self, delay: Delay, late: LateClicks | None = None) -> None:
        self.delay, self.late = delay, late
        if late is not None:
            late.check(delay)
        self._slots: list[_Slot] = []
        self._seen, self._rows = 0, 0

    @property
    def by_time(self) -> bool:
        """Whether `arrived` must be told the slot that is predicted next."""
        return self.delay.unit == "seconds"

    def add(self, arrays: Mapping[str, np.ndarray], item: Any) -> None:
        """Keep a slot that was predicted, until its labels have arrived.

        Args:
            arrays: has `label` (rows,), and `time` (rows,) where the delay is one of time.
            item: anything, handed out with the slot's rows.

        Raises:
            ValueError: if there is no `time` where it is needed.
        """
        labels = arrays["label"]
        due = self._clock(arrays) + self.delay.amount
        if self.late is None:
            self._append(item, labels, due)
        else:
            after = self.late.lateness(self._seen, labels)
            if self.late.way == "wait":
                self._append(item, labels, due + self.late.longest.amount)
            else:
                self._append(item, np.where(np.isfinite(after), 0, labels), due)
            if self.late.way == "retract":
                self._append(item, labels, due + after, corrects=True)
        self._seen += 1
        self._rows += len(labels)

    def _append(self, item, labels, due, corrects=False):
        order: Any = np.argsort(due, kind="stable")
        due = due[order]
        if corrects:  # of rows that are not late nothing will come
            order = order[: np.searchsorted(due, np.inf)]
            due = due[: len(order)]
        elif np.array_equal(order, np.arange(len(order))):
            order = None
        self._slots.append(_Slot(self._seen, item, labels, order, due, corrects))

    def _clock(self, arrays):
        """When each row was there, by the delay's unit."""
        rows = len(arrays["label"])
        if self.delay.unit == "slots":
            return np.full(rows, self._seen + 1.0)
        if self.delay.unit == "rows":
            return self._rows + np.arange(rows, dtype="float64")
        return _times(arrays)

    def arrived(self, arrays: Mapping[str, np.ndarray] | None = None) -> list[Arrival]:
        """Return what arrived since the last call, up to the slot that is predicted next.

        Args:
            arrays: that slot's, with `time` (rows,), where the delay is one of time.

        Raises:
            ValueError: if there is no `time` where it is needed.
        """
        if self.delay.unit == "slots":
            return self._until(float(self._seen))
        if self.delay.unit == "rows":
            return self._until(float(self._rows))
        times = _times(arrays or {})
        return self._until(times[0]) if len(times) else []

    def rest(self) -> list[Arrival]:
        """Return all that has not arrived yet, in the order of arrival."""
        return self._until(np.inf)

    def _until(self, now):
        first = [slot for slot in self._slots if not slot.corrects]
        again = [slot for slot in self._slots if slot.corrects]
        out = [*_runs(first, now), *_runs(again, now)]
        self._slots = [slot for slot in self._slots if slot.taken < len(slot.due)]
        return out


def _times(arrays):
    if "time" not in arrays:
        raise ValueError(
            "`delay` must be in slots or rows where the log has no column `time`. "
            f"Received one in seconds, and columns {sorted(arrays)}"
        )
    return np.asarray(arrays["time"], "float64")


def _runs(slots: Sequence[_Slot], now: float) -> Iterable[Arrival]:
    """Hand out what is due, a run of rows of one slot at a time."""
    parts = []
    for slot in slots:
        stop = int(np.searchsorted(slot.due, now, side="right"))
        if stop > slot.taken:
            parts.append((slot, slot.taken, stop))
            slot.taken = stop
    ends = [(slot.due[start], slot.due[stop - 1]) for slot, start, stop in parts]
    if any(last > following[0] for (_, last), following in zip(ends, ends[1:], strict=False)):
        parts = list(_interleaved(parts))
    for slot, start, stop in parts:
        rows = slot.rows(start, stop)
        labels = slot.labels if rows is None else slot.labels[rows]
        yield Arrival(slot.number, slot.item, rows, labels, slot.corrects)


def _interleaved(parts):
    """Cut parts so that all of them together are in the order of arrival."""
    due = np.concatenate([slot.due[start:stop] for slot, start, stop in parts])
    part = np.repeat(np.arange(len(parts)), [stop - start for _, start, stop in parts])
    part = part[np.argsort(due, kind="stable")]
    cuts = np.flatnonzero(np.diff(part, prepend=-1, append=-1))
    done: collections.Counter[int] = collections.Counter()
    for first, after in zip(cuts[:-1], cuts[1:], strict=True):
        slot, start, _ = parts[part[first]]
        at = start + done[int(part[first])]
        done[int(part[first])] += int(after - first)
        yield slot, at, at + int(after - first)


def first_learnt(slots: Iterable[Any], delay: Delay) -> int:
    """Return the number of the first slot that anything is learnt before; the rows are not kept.

    Args:
        slots: things with `load() -> dict of arrays`.
        delay: `Delay`.

    Returns:
        int; the number of slots if nothing arrives before the last one.

    Example:
        >>> first_learnt([None] * 5, Delay.of(1))
        2
    """
    slots = list(slots)
    if delay.unit == "slots":
        return min(int(delay.amount) + 1, len(slots))
    pending = Pending(delay)
    for number, slot in enumerate(slots):
        arrays = slot.load()
        if pending.arrived(arrays if pending.by_time else None):
            return number
        pending.add(arrays, None)
    return len(slots)

"""What readers have not got yet, and how long they go without it (ours)."""

import collections
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from reloop2_keras.core.online.reading_state import layout, occupied, places_of, rule_of, values_at
from reloop2_keras.distributed.ray_serving_model import SharedModel

Mark = tuple[str, int]  # which writer, and how many changes of it a reader has
REMEMBERED = 1 << 18  # rows: a reader that lacks more gets the full state
SAMPLES = 10_000


class News:
    """Messages of a writer to readers that each have seen some of its changes.

    Changes are numbered. A message holds the values of all that changed since the reader's own
    mark, as they are now, so that any gap is closed by one message. It is the full state where the
    mark is of another writer, where more changed than is remembered, or where the layout did: after
    a rollback, or when a cross gave way to another.

    Args:
        model: `SharedModel`; its `changed` is taken.
        remembered: int >= 1, rows whose values are remembered.

    Attributes:
        epoch: str, of this writer alone.
        number: int, changes so far.
        full, partial: ints, messages of each kind.
        partial_bytes: int, of the values in those that were not the full state.
    """

    def __init__(self, model: SharedModel, remembered: int = REMEMBERED) -> None:
        self.epoch, self.number = secrets.token_hex(8), 0
        self.full, self.partial, self.partial_bytes = 0, 0, 0
        self._model, self._limit, self._rows = model, remembered, 0
        self._kept: collections.deque[tuple[int, np.ndarray]] = collections.deque()
        self._since = 0  # changes from here on are remembered
        self._rule, self._ruled = -1, 0  # version of the rule, and the change that brought it
        self._online = model.online
        self._generation = self._generation_now()
        self._last: dict[str, Any] = {}  # the last message, which another reader may want as well
        self._told = threading.Condition()
        model.changed = self._changed

    def _generation_now(self):
        recent = self._model.online.recent
        return 0 if recent is None else recent.generation

    def _changed(self, words: np.ndarray | None) -> None:
        with self._told:
            self.number += 1
            if words is not None:
                self._kept.append((self.number, words))
                self._rows += len(words)
            while self._rows > self._limit and self._kept:
                self._since, oldest = self._kept.popleft()
                self._rows -= len(oldest)
            self._told.notify_all()

    def wait(self, mark: Mark | None, seconds: float) -> bool:
        """Wait until there is something that a reader lacks; returns whether there is."""
        with self._told:
            return self._told.wait_for(lambda: mark != (self.epoch, self.number), seconds)

    def message(self, mark: Mark | None) -> dict[str, Any] | None:
        """Return what a reader lacks, or None.

        Args:
            mark: that of the last message which the reader has taken; None: it has nothing.

        Returns:
            dict: `mark`, to give here the next time; `after`, the mark that it follows, None for
            the full state; `plan` (`layout`) where it is full; `values` (`values_at`); `base`,
            `before`, `trial`: names of the bases to serve by, None where there is none, and the
            number of the trial.
        """
        model = self._model
        with model.writing:  # between two events
            online, generation = model.online, self._generation_now()
            if online is not self._online or generation != self._generation:
                self._forget(online, generation)
            now = self.epoch, self.number
            if mark == now:
                return None
            stage = online.stage.version
            if stage != self._rule:
                self._rule, self._ruled = stage, self.number
            whole = mark is None or mark[0] != self.epoch or mark[1] < self._since
            if not whole and (self._last.get("after"), self._last.get("mark")) == (mark, now):
                self.partial += 1
                self.partial_bytes += _bytes(self._last)
                return self._last
            about = {"mark": now, "after": None if whole else mark, **self._bases()}
            tables = online.arms.tables
            if whole or mark is None:
                self.full += 1
                values = values_at(online, occupied(tables))
                return {**about, "plan": layout(online), "values": values}
            words = [words for number, words in self._kept if number > mark[1]]
            places = np.empty(0, "int64")
            if words:
                places = places_of(tables, np.concatenate(words))
            values = values_at(online, places, rule=False)
            if self._ruled > mark[1]:
                values |= rule_of(online)
            self.partial += 1
            self._last = {**about, "values": values}
            self.partial_bytes += _bytes(self._last)
            return self._last

    def _forget(self, online, generation):
        """What was remembered says nothing of the layout of now."""
        self._online, self._generation = online, generation
        with self._told:
            self._kept.clear()
            self._rows, self._since, self._rule = 0, self.number, -1

    def _bases(self) -> dict[str, Any]:
        model, trial = self._model, self._model.trial
        goes_on = trial is not None and not trial.ended and model.bases.before is not None
        return {
            "base": model.base_name if model.base is not None else None,
            "before": trial.old if goes_on and trial is not None else None,
            "trial": trial.number if goes_on and trial is not None else 0,
        }


def _bytes(message):
    return sum(array.nbytes for array in message["values"].values())


class Staleness:
    """How long after a label is acknowledged every reader that serves has it.

    Args:
        forget: float > 0, seconds: a reader that has not asked for so long is not waited for.
        clock: function that returns seconds.

    Example:
        >>> now = [0.0]
        >>> staleness = Staleness(clock=lambda: now[0])
        >>> staleness.has("reader 0", 4)
        >>> staleness.acknowledged(5)
        >>> now[0] = 0.02
        >>> staleness.has("reader 0", 5)
        >>> staleness.figures()["p50_ms"]
        20.0
    """

    def __init__(self, forget: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._forget, self._clock = forget, clock
        self._readers: dict[str, tuple[float, int | None]] = {}
        self._open: collections.deque[tuple[int, float]] = collections.deque()
        self._samples: collections.deque[float] = collections.deque(maxlen=SAMPLES)
        self._lock = threading.Lock()

    def acknowledged(self, number: int) -> None:
        """A label is answered that was learnt by change `number` at the latest."""
        with self._lock:
            self._open.append((number, self._clock()))
            self._close()

    def has(self, reader: str, number: int | None) -> None:
        """A reader has taken all changes up to a number; None: it serves nothing yet."""
        with self._lock:
            self._readers[reader] = self._clock(), number
            self._close()

    def _serving(self):
        now = self._clock()
        recent = {r: n for r, (at, n) in self._readers.items() if now - at < self._forget}
        return {reader: number for reader, number in recent.items() if number is not None}

    def _close(self):
        there = self._serving()
        if not there:
            while len(self._open) > SAMPLES:
                self._open.popleft()
            return
        least = min(there.values())
        while self._open and self._open[0][0] <= least:
            self._samples.append(self._clock() - self._open.popleft()[1])

    def reached(self, number: int) -> bool:
        """Return whether every reader that serves has all changes up to a number."""
        with self._lock:
            return all(own >= number for own in self._serving().values())

    def figures(self, number: int = 0) -> dict[str, Any]:
        """Return what is known.

        Args:
            number: int, changes so far.

        Returns:
            dict: `p50_ms`, `p99_ms`, `max_ms` of the last 10,000 answers to labels, None before the
            first; `answers`, how many these are; `now_ms` and `now_events`, the age of the oldest
            answer that a reader lacks, and how many there are; `readers`, for each how many
            changes it lacks.
        """
        with self._lock:
            self._close()
            some, there = np.array(self._samples) * 1e3, self._serving()
            out: dict[str, Any] = {"answers": len(some)}
            for name, share in (("p50_ms", 50), ("p99_ms", 99), ("max_ms", 100)):
                out[name] = round(float(np.percentile(some, share)), 3) if len(some) else None
            oldest = self._open[0][1] if self._open else None
            out["now_ms"] = 0.0 if oldest is None else round((self._clock() - oldest) * 1e3, 3)
            out["now_events"] = len(self._open)
            out["readers"] = {reader: max(0, number - own) for reader, own in there.items()}
        return out

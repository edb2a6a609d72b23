"""Raw texts of the values seen lately, and where their beliefs stood: a drift monitor (ours)."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.online.online import Online
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.raw_fields import RawFields
from reloop2_keras.core.serving.explaining import coefficients
from reloop2_keras.core.serving.spaced import spaced

LONGEST = 200  # characters of a text that are kept
MOST_VALUES = 2**24  # 6.4 GB and more
NEW = 64  # values that one call may add, so that a prediction waits for no more


class SeenValues:
    """A bounded reverse map from hashed values to raw text, with marks of their beliefs.

    A mark is a moment and what was believed then of all values in the map. `moved` compares with
    the last mark before a moment; a value that came later is compared with what was believed when
    it came. Marks stand ever further apart, the older they are (`spaced`): 12 of every 5 minutes
    reach hours back, up to days. Crosses are not followed: their values are those of single fields.

    Memory: about 400 bytes a value and 4 A bytes a value and mark, with A arms of tables.

    Args:
        fields: list of dicts, as in dataset.json.
        raw: dict, `Encoder.description["raw"]`.
        arms: int, arms of tables of the `Online`.
        limit: int >= 1, values; of those that came the longest ago some (one in 64) are let go of
            where there is no room, and counted.
        marks: int >= 4, moments that are kept.

    Attributes:
        began: float, the first mark's time, from which on it is known what moved; None before it.
        dropped: int, values that were let go of.
    """

    def __init__(
        self,
        fields: Sequence[Mapping[str, Any]],
        raw: Mapping[str, Any],
        arms: int,
        limit: int = 16_384,
        marks: int = 12,
    ) -> None:
        self.limit, self.dropped = integer("values", limit, 1, MOST_VALUES), 0
        self._most = integer("marks", marks, 4, MOST_VALUES)
        self.names = [field["name"] for field in fields]
        taken = RawFields(self.names, RawColumns.of_json(dict(raw)), strict=False)
        self._read = [taken.reader(name) for name in self.names]
        self._lock = threading.Lock()
        # (column, hash) as one number -> place; of each place its number, text, and when it came
        self._places: dict[int, int] = {}
        self._numbers, self._came = np.zeros((2, self.limit), "int64")
        self._texts: list[str | None] = [""] * self.limit
        self._free, self._time = list(range(self.limit))[::-1], 0
        self._columns = np.arange(len(self.names), dtype="int64") << 32
        self._first = np.zeros((self.limit, arms), "float32")
        self._marks: list[tuple[float, np.ndarray]] = []
        self.began: float | None = None

    def __len__(self) -> int:
        return len(self._places)

    def note(self, rows: Any, hashes: np.ndarray, means: np.ndarray) -> None:
        """Remember the values of rows; of those that are new, 64 at most.

        Args:
            rows: list of dicts of raw values; a table is not read.
            hashes: int32 (rows, width).
            means: float (rows, K, A), what is believed of them; the first K are the fields'.
        """
        if type(rows) is not list and isinstance(rows, Mapping):
            rows = (rows,)
        if not isinstance(rows, list | tuple):
            return
        numbers = (hashes.view("uint32") + self._columns).ravel().tolist()
        with self._lock:
            found = list(map(self._places.get, numbers))
            if None in found:
                self._touch([place for place in found if place is not None])
                self._add(numbers, rows, means)
            else:
                self._touch(found)

    def _touch(self, places):
        self._time += 1
        self._came[places] = self._time

    def _add(self, numbers, rows, means):
        new: list[tuple[int, int, int]] = []
        for at, number in enumerate(numbers):
            if number in self._places:
                continue
            if len(new) == NEW:
                break  # the others will come again, or do not matter
            place = self._places[number] = self._room()
            self._numbers[place] = number
            self._touch([place])
            row, column = divmod(at, len(self.names))
            value = self._read[column](rows[row])
            self._texts[place] = None if value is None else str(value)[:LONGEST]
            new.append((place, row, column))
        places, of_rows, columns = np.array(new).T  # all at once takes as long as one
        self._first[places] = means[of_rows, columns]
        for _, marked in self._marks:
            marked[places] = np.nan

    def _room(self):
        """A free place; where there is none, a few of those that came the longest ago are freed."""
        if not self._free:
            some = max(1, self.limit // 64)  # to look for them takes as long as for one
            self._free = np.argpartition(self._came, some - 1)[:some].tolist()
            for number in self._numbers[self._free].tolist():
                del self._places[number]
            self.dropped += some
        return self._free.pop()

    def _now(self, online: Online) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(columns, places, means (values, A)) of all values in the map; holds the lock."""
        count = len(self._places)
        numbers = np.fromiter(self._places, "int64", count)
        places = np.fromiter(self._places.values(), "int64", count)
        columns, values = numbers >> 32, (numbers & 0xFFFFFFFF).astype("uint32").view("int32")
        means = np.zeros((count, self._first.shape[1]))
        width, rank = len(self.names), np.zeros(count, "int64")
        for column in range(width):
            here = columns == column
            rank[here] = np.arange(here.sum())
        # a row of the table reads one value of each column
        hashes = np.zeros((int(rank.max(initial=-1)) + 1, width), "int32")
        hashes[rank, columns] = values
        if len(hashes):
            tables = online.arms.tables
            means = tables.read(tables.words(hashes))[0].transpose(0, 2, 1)[rank, columns]
        return columns, places, means

    def mark(self, online: Online, time: float) -> None:
        """Note where all beliefs stand."""
        with self._lock:
            _, places, means = self._now(online)
            marked = np.full(self._first.shape, np.nan, "float32")
            marked[places] = means
            self._marks.append((time, marked))
            self.began = time if self.began is None else self.began
            times = [time for time, _ in self._marks]
            kept = spaced(times, max(times), 3, self._most - 3)
            self._marks = [self._marks[k] for k in kept]

    def moved(self, online: Online, since: float, count: int = 20) -> dict[str, Any]:
        """Return the values of which the beliefs moved most.

        Args:
            online: `Online`.
            since: seconds, a moment as `mark` was given.
            count: int >= 1, how many.

        Returns:
            dict: `since`, the moment that they are compared with; `clipped`, whether nothing is
            known of the moment that was asked for, and `since` is the first that something is
            known of (None before the first mark): then with what was believed when each value
            was first seen. `values`, a list of dicts `field`, `text` (None: missing),
            `before`, `now`, `moved`: what the value adds to the served logit, by the weights of
            now.
        """
        with self._lock:
            columns, places, means = self._now(online)
            old = [mark for mark in self._marks if mark[0] <= since]
            before = self._first[places].astype("float64")
            if old:
                marked = old[-1][1][places]
                before = np.where(np.isnan(marked), before, marked)
            tables, _ = coefficients(online)
            was = (before * tables[columns]).sum(axis=1)
            now = (means * tables[columns]).sum(axis=1)
            order = np.argsort(-np.abs(now - was), kind="stable")[:count]
            texts = [self._texts[place] for place in places[order]]
        values = [
            {
                "field": self.names[columns[k]],
                "text": text,
                "before": float(was[k]),
                "now": float(now[k]),
                "moved": float(now[k] - was[k]),
            }
            for k, text in zip(order.tolist(), texts, strict=True)
        ]
        from_ = old[-1][0] if old else self.began
        return {"since": from_, "clipped": not old, "values": values}

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return (plain values, arrays), of which `load` makes the same again."""
        with self._lock:
            places = np.fromiter(self._places.values(), "int64", len(self._places))
            places = places[np.argsort(self._came[places], kind="stable")]
            head: dict[str, Any] = {"texts": [self._texts[k] for k in places.tolist()]}
            head |= {"began": self.began, "dropped": self.dropped}
            head["times"] = [time for time, _ in self._marks]
            marks = [marked[places] for _, marked in self._marks]
            arrays = {"numbers": self._numbers[places], "first": self._first[places]}
            return head, arrays | ({"marks": np.stack(marks)} if marks else {})

    def load(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` returned; of more values than there is room for, the last ones."""
        with self._lock:
            last = max(0, len(head["texts"]) - self.limit)
            numbers, first = arrays["numbers"][last:], arrays["first"][last:]
            if first.shape[1:] != self._first.shape[1:]:
                return  # other arms of tables: nothing compares
            count = self._time = len(numbers)
            self._places = {number: place for place, number in enumerate(numbers.tolist())}
            self._numbers[:count], self._came[:count] = numbers, np.arange(count)
            self._texts[:count] = head["texts"][last:]
            self._free = list(range(count, self.limit))[::-1]
            self._first[:count], self.began = first, head["began"]
            self.dropped, self._marks = head["dropped"] + last, []
            for time, part in zip(head["times"], arrays.get("marks", ()), strict=True):
                marked = np.full(self._first.shape, np.nan, "float32")
                marked[:count] = part[last:]
                self._marks.append((time, marked))

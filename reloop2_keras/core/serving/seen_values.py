"""Raw texts of the values seen lately, and where their beliefs stood: a drift monitor (ours)."""

import collections
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.online.online import Online
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.raw_fields import RawFields
from reloop2_keras.core.serving.explaining import coefficients
from reloop2_keras.core.serving.spaced import spaced

LONGEST = 200  # characters of a text that are kept
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
        limit: int >= 1, values; those that came the longest ago are let go of, and counted.
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
        if int(limit) != limit or limit < 1:
            raise ValueError(f"`values` must be a positive integer. Received: {limit}")
        self.names = [field["name"] for field in fields]
        taken = RawFields(self.names, RawColumns.of_json(dict(raw)), strict=False)
        self._read = [taken.reader(name) for name in self.names]
        self.limit, self.dropped = int(limit), 0
        self._lock = threading.Lock()
        # (column, hash) -> place; the one that came the longest ago first
        self._places: collections.OrderedDict[tuple[int, int], int] = collections.OrderedDict()
        self._texts = [""] * self.limit
        self._first = np.zeros((self.limit, arms), "float32")
        self._marks: list[tuple[float, np.ndarray]] = []
        self._most = max(4, int(marks))
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
        if isinstance(rows, Mapping):
            rows = (rows,)
        if not isinstance(rows, list | tuple):
            return
        with self._lock:
            places = self._places
            new: list[int] = []
            at: list[tuple[int, int]] = []
            for r, of_row in enumerate(hashes.tolist()):
                for column, value in enumerate(of_row):
                    key = (column, value)
                    if key in places:
                        places.move_to_end(key)
                        continue
                    if len(new) == NEW:
                        continue  # it will come again, or does not matter
                    place = len(places)
                    if place >= self.limit:
                        _, place = places.popitem(last=False)
                        self.dropped += 1
                    places[key] = place
                    self._texts[place] = str(self._read[column](rows[r]))[:LONGEST]
                    new.append(place)
                    at.append((r, column))
            if new:  # all at once, as an assignment takes as long for one
                self._first[new] = means[tuple(np.array(at).T)]
                for _, marked in self._marks:
                    marked[new] = np.nan

    def _now(self, online: Online) -> tuple[list[tuple[int, int]], np.ndarray, np.ndarray]:
        """(keys, places, means (values, A)) of all values in the map; holds the lock."""
        keys, places = list(self._places), np.array(list(self._places.values()), "int64")
        means = np.zeros((len(keys), self._first.shape[1]))
        columns, values = np.array(keys, "int64").reshape(-1, 2).T
        width, rank = len(self.names), np.zeros(len(keys), "int64")
        for column in range(width):
            here = columns == column
            rank[here] = np.arange(here.sum())
        # a row of the table reads one value of each column
        hashes = np.zeros((int(rank.max(initial=-1)) + 1, width), "int32")
        hashes[rank, columns] = values
        if len(hashes):
            tables = online.arms.tables
            means = tables.read(tables.words(hashes))[0].transpose(0, 2, 1)[rank, columns]
        return keys, places, means

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
            was first seen. `values`, a list of dicts `field`, `text`, `before`, `now`, `moved`:
            what the value adds to the served logit, by the weights of now.
        """
        with self._lock:
            keys, places, means = self._now(online)
            old = [mark for mark in self._marks if mark[0] <= since]
            before = self._first[places].astype("float64")
            if old:
                marked = old[-1][1][places]
                before = np.where(np.isnan(marked), before, marked)
            tables, _ = coefficients(online)
            columns = np.array([column for column, _ in keys], "int64")
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
            places = list(self._places.values())
            head: dict[str, Any] = {"texts": [self._texts[k] for k in places], "began": self.began}
            head["times"] = [time for time, _ in self._marks]
            head["dropped"] = self.dropped
            keys = np.array(list(self._places), "int64").reshape(-1, 2)
            marks = [marked[places] for _, marked in self._marks]
            arrays = {"keys": keys, "first": self._first[places]}
            return head, arrays | ({"marks": np.stack(marks)} if marks else {})

    def load(self, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` returned; of more values than there is room for, the last ones."""
        with self._lock:
            last = max(0, len(head["texts"]) - self.limit)
            keys, first = arrays["keys"][last:].tolist(), arrays["first"][last:]
            if first.shape[1:] != self._first.shape[1:]:
                return  # other arms of tables: nothing compares
            self._places.clear()
            for place, (key, text) in enumerate(zip(keys, head["texts"][last:], strict=True)):
                self._places[key[0], key[1]] = place
                self._texts[place] = text
            count = len(keys)
            self._first[:count], self.began = first, head["began"]
            self.dropped, self._marks = head["dropped"] + last, []
            for time, part in zip(head["times"], arrays.get("marks", ()), strict=True):
                marked = np.full(self._first.shape, np.nan, "float32")
                marked[:count] = part[last:]
                self._marks.append((time, marked))

"""Arms on a stream: each base serves and learns each row once, whoever shares it."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.pending import Arrival
from reloop2_keras.core.retraction import Receipts
from reloop2_keras.core.served import Part, divided


@dataclasses.dataclass
class Item:
    """What is kept of a slot until its labels have arrived.

    Attributes:
        arrays: those that slow parts learn from.
        served: number of a slow part -> what its fast parts learn from.
        kept: arm -> what its fast part kept.
    """

    arrays: Mapping[str, np.ndarray]
    served: dict[int, Any]
    kept: dict[str, Any]

    def part(self, rows: slice | np.ndarray) -> "Item":
        """Return some of its rows."""
        served = {name: divided(dict(one), rows) for name, one in self.served.items()}
        return Item(Part(self.arrays, rows), served, divided(self.kept, rows))


class RunningArms:
    """Arms that predict slots, and learn rows when their labels arrive.

    Args:
        arms: see `core.prequential.iter_prequential`.
        late: `LateClicks`, or None; with "retract" what is learnt is kept as long as a click may
            come.

    Attributes:
        receipts: arm -> `Receipts`, what may still be retracted.

    Raises:
        ValueError: if arms share a name, or there is none.
    """

    def __init__(self, arms: Sequence[Any], late: LateClicks | None = None) -> None:
        names = [arm.name for arm in arms]
        if len(set(names)) != len(names) or not names:
            raise ValueError(
                f"`arms` must be a list of arms with distinct names. Received: {names}"
            )
        self.arms = list(arms)
        # arms may share a base: it serves, and learns from, each slot once
        self._more = {arm.name: getattr(arm, "more", {}) for arm in arms}
        parts = [slow for arm in arms for slow in (arm.slow, *self._more[arm.name].values())]
        self._slows = list({id(slow): slow for slow in parts}.values())
        self._fasts = [
            [arm.fast for arm in arms if arm.slow is slow and arm.fast is not None]
            for slow in self._slows
        ]
        self._seconds: dict[Any, float] = {}  # number of a slow part, or name of an arm -> its own
        self._retracts = late is not None and late.way == "retract"
        self.receipts = {
            arm.name: Receipts() for arm in arms if hasattr(arm.fast, "observe_with_receipt")
        }

    def _number(self, slow: Any) -> int:
        """Which of the slow parts this is: a number that another process understands, too."""
        return next(number for number, one in enumerate(self._slows) if one is slow)

    def predict(self, arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], Item]:
        """Return (arm -> probabilities float32 (rows,), what `learn` will need)."""
        served = {}
        for number, slow in enumerate(self._slows):
            with self._timed(number):
                served[number] = slow.serve(arrays)
        predictions: dict[str, np.ndarray] = {}
        kept: dict[str, Any] = {}
        for arm in self.arms:
            base = served[self._number(arm.slow)]
            if self._more[arm.name]:
                more = {n: self._number(slow) for n, slow in self._more[arm.name].items()}
                others = {n: served[number]["probability"] for n, number in more.items()}
                base = {**base, "probabilities": others}
            if arm.fast is None:
                predictions[arm.name], kept[arm.name] = base["probability"], None
            else:
                with self._timed(arm.name):
                    predictions[arm.name], kept[arm.name] = arm.fast.predict(base)
        item = Item(
            _learnt_from(arrays, self._slows),
            {n: _learnt_from(served[n], fasts) for n, fasts in enumerate(self._fasts)},
            kept,
        )
        return predictions, item

    def learn(self, arrivals: Iterable[Arrival]) -> None:
        """Let all arms learn what arrived: the fast parts of each run of rows, then the slow.

        Corrections that a slow part wants among its next rows (`LateRows`) come first.
        """
        steps = [(a, a.item if a.rows is None else a.item.part(a.rows)) for a in arrivals]
        for arrival, item in steps:
            for number, slow in enumerate(self._slows):
                if arrival.corrects and hasattr(slow, "observe_late"):
                    with self._timed(number):
                        slow.observe_late(self._labelled(arrival, item))
        for arrival, item in steps:
            (self._correct if arrival.corrects else self._learn)(arrival, item)
            arrays = self._labelled(arrival, item)
            for number, slow in enumerate(self._slows):
                if not (arrival.corrects and hasattr(slow, "observe_late")):
                    with self._timed(number):
                        slow.observe(arrays)

    def seconds(self) -> dict[str, float]:
        """Return arm -> seconds that it took so far: its own and those of its slow parts.

        A slow part that several arms share counts for each: an arm is what one would run alone.
        """
        out = {}
        for arm in self.arms:
            slows = {self._number(slow) for slow in (arm.slow, *self._more[arm.name].values())}
            out[arm.name] = sum(self._seconds.get(name, 0.0) for name in (arm.name, *slows))
        return out

    @contextlib.contextmanager
    def _timed(self, name: Any) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        except Exception as error:
            error.add_note(self._told(name))
            raise
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - start

    def _told(self, name):
        """Which arms a step is of, for what is told of an error in it."""
        if isinstance(name, str):
            return f"arm {name}"
        slow = self._slows[name]
        names = [
            arm.name for arm in self.arms if slow in (arm.slow, *self._more[arm.name].values())
        ]
        return f"the base of {', '.join(names)}"

    @staticmethod
    def _labelled(arrival, item):
        """What slow parts learn from, with what is known of the labels now."""
        before, after = item.arrays.get("label"), arrival.labels
        if before is None or before is after or np.array_equal(before, after):
            return item.arrays
        return _relabelled(item.arrays, after)

    def _learn(self, arrival, item):
        for arm in self.arms:
            if arm.fast is None:
                continue
            given = item.served[self._number(arm.slow)], arrival.labels, item.kept[arm.name]
            receipt = None
            with self._timed(arm.name):
                if self._retracts and arm.name in self.receipts:
                    receipt = arm.fast.observe_with_receipt(*given)
                else:
                    arm.fast.observe(*given)
            if receipt is not None:
                # of clicks nothing will be retracted
                rows = _numbers(arrival.rows, len(arrival.labels))
                self.receipts[arm.name].put(arrival.number, rows, receipt)

    def _correct(self, arrival, item):
        """Retract what the rows had taught, and learn them again."""
        rows = _numbers(arrival.rows, len(arrival.labels))
        for arm in self.arms:
            if arm.name not in self.receipts:
                continue
            for receipt, at in self.receipts[arm.name].take(arrival.number, rows):
                with self._timed(arm.name):
                    kept = arm.fast.retract(receipt)
                    served = divided(dict(item.served[self._number(arm.slow)]), at)
                    arm.fast.observe(served, arrival.labels[at], kept)


def _numbers(rows, count):
    if rows is None:
        return np.arange(count)
    return np.arange(rows.start, rows.stop) if isinstance(rows, slice) else rows


def _relabelled(arrays, labels):
    """The same rows with other labels; still known as rows of their slot."""
    if isinstance(arrays, Part):
        out = Part({}, arrays.rows)
        out.whole = arrays.whole
    else:
        out = Part({}, slice(None))
        out.whole = arrays
    out.update({**arrays, "label": labels.astype(arrays["label"].dtype)})
    return out


def _learnt_from(arrays, parts):
    """What of a dict of arrays these parts learn from; all of it if one of them does not say."""
    names: list[Any] = [getattr(part, "learns_from", None) for part in parts]
    if None in names:
        return arrays
    wanted = set(itertools.chain.from_iterable(names))
    return {name: array for name, array in arrays.items() if name in wanted}

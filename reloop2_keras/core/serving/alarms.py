"""Drift alarms on what was served: Page-Hinkley on log loss and on calibration, block by block.

E. S. Page, "Continuous inspection schemes", Biometrika 1954; the form with a running mean is that
of J. Gama et al., "A survey on concept drift adaptation", ACM Computing Surveys 2014.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer, number

BLOCK = 512  # rows
WARM_UP = 10  # blocks before the first alarm, which a standard deviation needs
TOLERATED, THRESHOLD = 0.25, 12.0  # in standard deviations of a block's figure
_COUNTS = ("count", "mean", "square", "sum", "least", "alarms")


class PageHinkley:
    """Tells when the mean of a series has risen.

    With d_t the distance of a value from the mean so far, in standard deviations so far,
    m_t = m_{t-1} + d_t - tolerated; an alarm is where m_t - min m > threshold. Then all starts
    anew. Values are cut to 4 standard deviations, so that no single block is an alarm.

    Args:
        tolerated, threshold: floats > 0, in standard deviations.
        warm_up: int >= 2, values before it may alarm.

    Attributes:
        alarms: int, how many there were.

    Example:
        >>> watch = PageHinkley()
        >>> calm = [watch.add(x) for x in [0.5, 0.51] * 20]
        >>> any(calm), any(watch.add(0.6) for _ in range(5))
        (False, True)
    """

    def __init__(
        self, tolerated: float = TOLERATED, threshold: float = THRESHOLD, warm_up: int = WARM_UP
    ) -> None:
        self.tolerated = number("tolerated", tolerated, "(0, inf)")
        self.threshold = number("threshold", threshold, "(0, inf)")
        self.warm_up = integer("warm_up", warm_up, 2)
        self.alarms = 0
        self._restart()

    def _restart(self):
        self.count, self.mean, self.square, self.sum, self.least = 0, 0.0, 0.0, 0.0, 0.0

    def add(self, value: float) -> bool:
        """Take the next value; returns whether the mean has risen."""
        if self.count >= self.warm_up:
            deviation = math.sqrt(self.square / (self.count - 1)) + 1e-12
            distance = min(4.0, max(-4.0, (value - self.mean) / deviation))
            self.sum += distance - self.tolerated
            self.least = min(self.least, self.sum)
            if self.sum - self.least > self.threshold:
                self.alarms += 1
                self._restart()
                return True
        self.count += 1
        step = value - self.mean
        self.mean += step / self.count
        self.square += step * (value - self.mean)
        return False

    def state(self) -> dict[str, float]:
        """Return what `load` takes."""
        return {name: getattr(self, name) for name in _COUNTS}

    def load(self, state: Mapping[str, float]) -> None:
        """Take what `state` returned."""
        for name in _COUNTS:
            setattr(self, name, state[name])


class Alarms:
    """Watches what was served, a block of labelled rows at a time.

    Attributes:
        watches: name -> `PageHinkley`: "log_loss" rises; labels are "above" what was served, or
            "below" it.
        last: dict, figures of the last whole block: `log_loss`, `bias` (mean label less mean
            served), `rate` (mean label); empty before it.
        raised: list of dicts, the last 100 alarms: `watch`, `row` (rows labelled by then), `value`.

    Example:
        >>> alarms = Alarms()
        >>> alarms.add(np.full(512, 0.5), np.tile([0.0, 1.0], 256))
        >>> round(alarms.last["log_loss"], 3), alarms.last["bias"]
        (0.693, 0.0)
    """

    def __init__(self) -> None:
        self.watches = {name: PageHinkley() for name in ("log_loss", "above", "below")}
        self.last: dict[str, float] = {}
        self.raised: list[dict[str, Any]] = []
        self.rows = 0
        self._sums: list[float] = [0.0, 0.0, 0.0, 0.0]

    def add(self, served: np.ndarray, labels: np.ndarray) -> None:
        """Take rows in the order in which their labels came.

        Args:
            served: float (rows,), probabilities as they were shown.
            labels: (rows,) of 0 and 1.
        """
        p = np.clip(np.asarray(served, "float64"), 1e-7, 1 - 1e-7)
        y = np.asarray(labels, "float64")
        losses = -np.where(y > 0, np.log(p), np.log1p(-p))
        while len(y):
            take = BLOCK - int(self._sums[0])
            for k, part in enumerate((np.ones(len(y)), losses, y - p, y)):
                self._sums[k] += part[:take].sum() if k else min(take, len(y))
            self.rows += min(take, len(y))
            if self._sums[0] == BLOCK:
                self._end_block()
            losses, p, y = losses[take:], p[take:], y[take:]

    def _end_block(self):
        rows, loss, bias, rate = (float(x) for x in self._sums)
        self.last = {"log_loss": loss / rows, "bias": bias / rows, "rate": rate / rows}
        self._sums = [0.0, 0.0, 0.0, 0.0]
        values = {"log_loss": loss / rows, "above": bias / rows, "below": -bias / rows}
        for name, value in values.items():
            if self.watches[name].add(value):
                self.raised.append({"watch": name, "row": self.rows, "value": value})
        del self.raised[:-100]

    def state(self) -> dict[str, Any]:
        """Return plain values, of which `load` makes the same again."""
        return {
            "watches": {name: watch.state() for name, watch in self.watches.items()},
            "last": dict(self.last),
            "raised": list(self.raised),
            "rows": self.rows,
            "sums": [float(x) for x in self._sums],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take what `state` returned."""
        for name, watch in self.watches.items():
            watch.load(state["watches"][name])
        self.last, self.raised = dict(state["last"]), list(state["raised"])
        self.rows, sums = state["rows"], state["sums"]
        self._sums = list(sums)

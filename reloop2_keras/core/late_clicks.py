"""Clicks that come after the window in which labels are waited for: a simulation."""

import dataclasses
import math
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer, number
from reloop2_keras.core.delay import Delay

WAYS = ("wait", "assume", "retract")
_MEANS = 3.0  # the longest lateness, in means of the exponential distribution that is cut there


@dataclasses.dataclass(frozen=True)
class LateClicks:
    """Let a share of the clicks come after the window, and say what is done about it.

    The window is the stream's `delay`: when it ends, a row without a click is taken for a negative.
    A late click comes a random time after that, of an exponential distribution cut at `longest`.

    Args:
        share: float in (0, 1], of all clicks.
        longest: `Delay`, or what `Delay.of` takes, > 0 and of the window's unit.
        way: "wait": each row is learnt when its label is sure, at the window's end + `longest`.
            "assume": learnt at the window's end, a late click as a negative, and never corrected.
            "retract": so too, but when the click comes, what the row had taught is retracted and
            it is learnt as a click. What cannot retract learns the row once more, as a click:
            Vowpal Wabbit and AdPredictor at once, a model that is trained on among the next rows
            (`LateRows`).
        seed: int >= 0, of who is late and how much: the same for all ways.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> late = LateClicks(share=0.5, longest="1000rows")
        >>> lateness = late.lateness(0, np.ones(1000))
        >>> bool(np.isfinite(lateness).mean().round(1) == 0.5), bool(np.nanmin(lateness) >= 0)
        (True, True)
    """

    share: float
    longest: Any
    way: str = "retract"
    seed: int = 1001

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", number("share", self.share, "(0, 1]"))
        if self.way not in WAYS:
            raise ValueError(f"`way` must be one of {WAYS}. Received: {self.way!r}")
        object.__setattr__(self, "seed", integer("seed", self.seed, 0))
        object.__setattr__(self, "longest", Delay.of(self.longest, "longest"))
        if not self.longest.amount:
            raise ValueError(f"`longest` must be > 0. Received: {self.longest}")

    def check(self, window: Delay) -> None:
        """Raise ValueError unless `longest` is of the window's unit."""
        if window.unit != self.longest.unit:
            raise ValueError(
                f"`longest` must be in {window.unit}, as the delay is. Received: {self.longest}"
            )

    def lateness(self, number: int, labels: np.ndarray) -> np.ndarray:
        """Return by how much each row's click comes after the window; infinity where none is late.

        Args:
            number: int, of the slot.
            labels: (rows,) of 0 and 1, the true ones.

        Returns:
            float64 (rows,), in the unit of `longest`.
        """
        rng = np.random.default_rng((self.seed, number))
        chosen, draws = rng.random((2, len(labels)))
        late = (chosen < self.share) & (np.asarray(labels).reshape(-1) == 1)
        times = -np.log1p(-draws * -math.expm1(-_MEANS)) / _MEANS * self.longest.amount
        return np.where(late, times, np.inf)

"""What a rule must offer to `Correction`."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np


@runtime_checkable
class FixedRule(Protocol):
    """A rule that learns nothing, such as `Compensation`: it takes the reading of one memory."""

    @property
    def READS(self) -> Sequence[str]:
        """Names of the parts of a reading that it needs; the memory's `READING` has them."""

    def __call__(self, probabilities: np.ndarray, reading: Any, /) -> np.ndarray:
        """Return corrected probabilities, float32 (rows,) in [0, 1].

        Args:
            probabilities: float32 (rows,), the base's predictions.
            reading: what the memory's `read_at` returned; p should stay where it found nothing.
        """


@runtime_checkable
class LearningRule(Protocol):
    """A rule that learns from labels, such as `Gate`: it takes the offsets of all memories.

    It may have a `lock`; see `CorrectingMemory`.
    """

    def __call__(self, probabilities: np.ndarray, offsets: np.ndarray | None, /) -> np.ndarray:
        """Return corrected probabilities, float32 (rows,) in [0, 1].

        Args:
            probabilities: float32 (rows,), the base's predictions.
            offsets: float32 (rows, K), what the memories' `offsets` returned, side by side in
                their order; None if there is no memory.

        Raises:
            ValueError: if K is not what the rule was made for.
        """

    def solved(
        self, labels: np.ndarray, probabilities: np.ndarray, offsets: np.ndarray | None, /
    ) -> Any:
        """Return what learning from these rows would make of the rule; changes nothing.

        Args:
            labels: float64 (rows,) of 0 and 1.
            probabilities, offsets: those of serving time.

        Raises:
            ValueError: if they do not fit.
        """

    def store(self, solution: Any, /) -> None:
        """Take what `solved` returned; never fails."""


Rule: TypeAlias = FixedRule | LearningRule

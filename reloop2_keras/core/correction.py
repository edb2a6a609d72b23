"""Memories, and the rule that turns their readings into a corrected probability."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import number
from reloop2_keras.core.array_state import all_locked
from reloop2_keras.core.compensation import compensated
from reloop2_keras.core.correction_learning import CorrectionLearning
from reloop2_keras.core.protocols import CorrectingMemory, FixedRule, LearningRule, Rule
from reloop2_keras.core.rows import check_probabilities
from reloop2_keras.core.served import Served

__all__ = ["Compensation", "Correction", "Served"]

_OFFERED = sorted(name for name in vars(CorrectingMemory) if not name.startswith("_"))


class Compensation:
    """The paper's rule: y_pred = clip(p + lambda * y_err, 0, 1); see `compensated`.

    Args:
        compensation: float in [0, 1], lambda: 0 is the base model, 1 the memory alone (gamma = 1).
        label_weight: float in [0, 1], gamma.

    Raises:
        ValueError: if an argument is out of range.
    """

    READS = ("mean_label", "mean_probability", "found")

    def __init__(self, compensation: float = 0.5, label_weight: float = 1.0) -> None:
        self.compensation = number("compensation", compensation, "[0, 1]")
        self.label_weight = number("label_weight", label_weight, "[0, 1]")

    def __call__(self, probabilities: np.ndarray, reading: Mapping) -> np.ndarray:
        """Return corrected probabilities, float32 (rows,)."""
        corrected = compensated(probabilities, reading, self.compensation, self.label_weight)
        return np.clip(corrected, 0.0, 1.0).astype("float32")


class Correction(CorrectionLearning):
    """Correct a base model's predictions by memories, and learn when labels arrive.

    Needs no framework: a slow model gives probabilities, and where each memory is to be read
    (`memory.places(keys)`); all that follows is here, for a study, a service and a batch alike.

    Calls may come from several threads: a prediction sees memories and rule before or after what
    `learn` does, never half of it, and of two calls of `learn` one waits for the other.

    Args:
        memories: list of `Memory` or of one's own, see `protocols.CorrectingMemory`; may be empty
            with a gate.
        rule: `Compensation` (one memory of similarity), or `Gate` with as many offsets as the
            memories give; or one's own, see `protocols.Rule`.

    Raises:
        ValueError: if rule and memories do not fit together, or one lacks what it must offer.

    Example:
        >>> from reloop2_keras.core.gate import Gate
        >>> from reloop2_keras.core.memories import FeatureMemory
        >>> memory = FeatureMemory(num_bits=8)
        >>> memory.build(1)
        >>> correction = Correction([memory], Gate(1))
        >>> keys, p = np.full((100, 1), 7, "int32"), np.full(100, 0.5, "float32")
        >>> for _ in range(3):
        ...     served = correction(p, [memory.places(keys)])
        ...     _ = correction.learn(served, np.ones(100))
        >>> bool(correction(p, [memory.places(keys)])["corrected"][0] > 0.9)
        True
    """

    def __init__(self, memories: Sequence[CorrectingMemory], rule: Rule) -> None:
        self.memories, self.rule = list(memories), rule
        for place, memory in enumerate(self.memories):
            missing = [name for name in _OFFERED if not _offers(memory, name)]
            if missing:
                raise ValueError(
                    f"`memories` must offer what `core.protocols.CorrectingMemory` says. Received "
                    f"at {place}: {type(memory).__name__} without {', '.join(missing)}"
                )
        self._learning: LearningRule | None = None
        self._fixed: FixedRule | None = None
        if isinstance(rule, LearningRule) and not isinstance(rule, type):
            self._learning = rule
        elif isinstance(rule, FixedRule) and not isinstance(rule, type):
            self._fixed = rule
            if len(self.memories) != 1 or set(rule.READS) - set(_parts(self.memories[0])):
                raise ValueError(
                    "`rule` must be a Gate for several memories or a FeatureMemory: the paper's "
                    "compensation takes one memory of similarity, whose reading has "
                    f"{', '.join(rule.READS)}. Received: {self.memories}"
                )
        else:
            raise ValueError(
                "`rule` must be a Compensation or a Gate, or offer what `core.protocols` says. "
                f"Received: {rule!r}"
            )

    def __call__(self, probabilities: np.ndarray, places: Sequence[np.ndarray]) -> Served:
        """Return `Served` for rows.

        Args:
            probabilities: float32 (rows,) in [0, 1], the base model's predictions.
            places: for each memory (rows, …), what its `places` returned.

        Raises:
            ValueError: naming the first row whose probability is NaN or out of range, or if
                places are not what these memories returned for as many rows.
        """
        check_probabilities(probabilities)
        probabilities = np.asarray(probabilities, "float32").reshape(-1)
        served = Served(probability=probabilities)
        found = [len(at) for at in places]
        if len(found) != len(self.memories) or set(found) - {len(probabilities)}:
            raise ValueError(
                f"`places` must be {len(self.memories)} arrays of {len(probabilities)} rows. "
                f"Received: {len(found)} of {found} rows"
            )
        with self.locked():
            readings = [m.read_at(at) for m, at in zip(self.memories, places, strict=True)]
            inputs = None
            if self._learning is not None:
                inputs = self._inputs(readings, probabilities)
                served["corrected"] = self._learning(probabilities, inputs)
            elif self._fixed is not None:
                served["corrected"] = self._fixed(probabilities, readings[0])
        if inputs is not None:
            served["offsets"] = inputs
        served.update({f"places_{number}": at for number, at in enumerate(places)})
        return served

    def _inputs(self, readings: Sequence[Mapping], probabilities: np.ndarray) -> np.ndarray | None:
        if not readings:
            return None
        pairs = zip(self.memories, readings, strict=True)
        return np.concatenate([m.offsets(r, probabilities) for m, r in pairs], axis=1)

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Hold the locks of all parts."""
        return all_locked((*self.memories, self.rule))


def _parts(memory: CorrectingMemory) -> Sequence[str]:
    return getattr(memory, "READING", ())


def _offers(part: Any, name: str) -> bool:
    # of the class first: a property may fail before the memory is built
    return hasattr(type(part), name) or hasattr(part, name)

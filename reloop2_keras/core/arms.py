"""What is compared: arms of a slow base with or without a fast part, which are memories and a rule.

The slow bases need a framework; `reloop2_keras.streaming` and `mindspore_port.streaming` make them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.correction import Compensation, Correction, Served
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.protocols import FastPart, SlowModel
from reloop2_keras.core.retraction import Receipt


class Corrected:
    """Fast part: memories and a rule, which correct what the base served; see `Correction`.

    Args:
        memories: list of `(memory, key)`: a `core.Memory` or a layer around one, and the name of
            what it is read by: a key that the base serves, or "feature_hashes".
        shuffle_labels: bool. True makes the control: labels are permuted within a slot before
            they are written, so that the memories hold the slot's click rate but no more. A gate
            learns from true labels and therefore finds that these memories carry no signal.
        seed: int, of that permutation.
    """

    learns_from = ()  # of what was served: all is in what `predict` keeps

    def __init__(
        self, memories: Sequence[tuple[Any, str]], shuffle_labels: bool = False, seed: int = 1001
    ) -> None:
        self.memories = [memory for memory, _ in memories]
        self.keys = [key for _, key in memories]
        self._rng = np.random.default_rng(seed) if shuffle_labels else None

    @property
    def _cores(self):
        # looked at anew each time: a copied layer has a core of its own
        return [_core(memory) for memory in self.memories]

    def rule(self) -> Compensation | Gate:
        """Return the rule; the memories are built by then."""
        raise NotImplementedError

    def predict(self, served: dict) -> tuple[np.ndarray, Served]:
        """Return corrected probabilities (rows,) and what must be kept until labels arrive.

        Args:
            served: what the base served: `probability` and the keys of these memories.
        """
        places = []
        for core, key in zip(self._cores, self.keys, strict=True):
            keys = core.checked_keys(served[key])
            if not core.built:
                core.build(keys.shape[1])
            places.append(core.places(keys))
        kept = Correction(self._cores, self.rule())(served["probability"], places)
        return kept["corrected"], kept

    def observe(self, served: dict, labels: np.ndarray, kept: Served) -> None:
        """Learn from a slot's rows, with places, offsets and predictions of serving time.

        Args:
            served: what the base served.
            labels: (rows,).
            kept: what `predict` returned with it; spent afterwards.
        """
        mixed = None if self._rng is None else self._rng.permutation(labels)
        Correction(self._cores, self.rule()).learn(kept, labels, mixed)

    def observe_with_receipt(
        self, served: dict, labels: np.ndarray, kept: Served
    ) -> Receipt | None:
        """Learn as `observe` does, and return what `retract` takes; None for a control."""
        if self._rng is not None:  # a control must not be told which rows were clicks
            self.observe(served, labels, kept)
            return None
        return Correction(self._cores, self.rule()).learn_with_receipt(kept, labels)

    def retract(self, receipt: Receipt) -> Served:
        """Take back what rows have taught; returns what `observe` wants to learn them again."""
        return Correction(self._cores, self.rule()).retract(receipt)


class Memory(Corrected):
    """Fast part: one memory of similarity with the paper's compensation.

    Args:
        memory: see `Corrected`.
        key: name of the served key it is read and written by.
        compensation: float, lambda.
        label_weight: float, gamma.
        shuffle_labels, seed: see `Corrected`.

    Example:
        >>> from reloop2_keras.core.memories import SketchMemory
        >>> sketch = SketchMemory(8, 4, key_normalization="none")
        >>> fast = Memory(sketch, "hidden", compensation=0.5)
        >>> served = {"probability": np.float32([0.2]), "hidden": np.float32([[1, 2]])}
        >>> _, kept = fast.predict(served)
        >>> fast.observe(served, [1], kept)
        >>> fast.predict(served)[0]  # half way from .2 to the click it saw
        array([0.6], dtype=float32)
    """

    def __init__(
        self,
        memory: Any,
        key: str,
        compensation: float,
        label_weight: float = 1.0,
        shuffle_labels: bool = False,
        seed: int = 1001,
    ) -> None:
        super().__init__([(memory, key)], shuffle_labels, seed)
        self.compensation, self.label_weight = compensation, label_weight

    def rule(self) -> Compensation:
        """See `Corrected.rule`."""
        return Compensation(self.compensation, self.label_weight)


class Gated(Corrected):
    """Fast part: any memories as inputs of a gate (ours; docs/method.md, section 4).

    Args:
        memories: see `Corrected`; a memory of features has the key "feature_hashes". Without any
            this is the control that only recalibrates: what it gains needs no memory.
        gate: `Gate` or a layer around one, of the right size; None makes a `Gate`.
        shuffle_labels, seed: see `Corrected`.
    """

    def __init__(
        self,
        memories: Sequence[tuple[Any, str]] = (),
        gate: Any = None,
        shuffle_labels: bool = False,
        seed: int = 1001,
    ) -> None:
        super().__init__(memories, shuffle_labels, seed)
        self.gate = gate

    def rule(self) -> Gate:
        """See `Corrected.rule`."""
        if self.gate is None:
            self.gate = Gate(sum(core.num_offsets for core in self._cores))
        return _core(self.gate)


class Recalibration(Gated):
    """Fast part: only the base's logit is rescaled and shifted online, by a gate."""

    def __init__(self, gate: Any = None) -> None:
        super().__init__((), gate)


@dataclasses.dataclass
class Arm:
    """A named combination: a slow base, and a fast part or None.

    Args:
        name: str.
        slow: has `serve(arrays)`, which returns `probability` and keys, and `observe(arrays)`.
        fast: has `predict(served)` and `observe(served, labels, kept)`; None for the base alone.
        more: name -> further slow part, for a fast part that combines several: what it is given
            to predict from holds `probabilities` too, a dict of name -> float32 (rows,).

    Example:
        >>> Arm("frozen", slow=None).fast is None
        True
    """

    name: str
    slow: SlowModel
    fast: FastPart | None = None
    more: dict[str, SlowModel] = dataclasses.field(default_factory=dict)


def arms_of(
    frozen: Any, memories: dict[str, Callable[[bool], Corrected]], trained: Any = None
) -> list[Arm]:
    """Make the arms of docs/method.md, section 5, for the given memories.

    Args:
        frozen: the base as it was trained.
        memories: dict name -> function of `shuffle_labels` (bool) that returns a fresh `Memory`
            or `Gated`. The first one also makes the "shuffled" control, the last one the
            "incremental+<name>" arm; if that is another one, a control "shuffled <name>" too.
        trained: the base that goes on training on every slot; None leaves those arms out.

    Returns:
        list of `Arm`: frozen, recalibrated, shuffled (one or two), one a memory, incremental,
        incremental+<last memory>.

    Example:
        >>> [arm.name for arm in arms_of("base", {"a": lambda mix: None}, "trained")]
        ['frozen', 'recalibrated', 'shuffled', 'a', 'incremental', 'incremental+a']
    """
    arms = [Arm("frozen", frozen), Arm("recalibrated", frozen, Recalibration())]
    names = list(memories)
    for name in dict.fromkeys([*names[:1], *names[-1:]]):
        control = "shuffled" if name == names[0] else f"shuffled {name}"
        arms.append(Arm(control, frozen, memories[name](True)))
    arms += [Arm(name, frozen, memories[name](False)) for name in names]
    if trained is not None:
        arms.append(Arm("incremental", trained))
        if names:
            arms.append(Arm(f"incremental+{names[-1]}", trained, memories[names[-1]](False)))
    return arms


def _core(part: Any) -> Any:
    """A core object itself, or the one that a layer is around."""
    return getattr(part, "core", part)

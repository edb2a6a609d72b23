"""What is compared: each arm is a slow base, frozen or trained on, with or without a fast part."""

import dataclasses

import keras
import numpy as np

from reloop2_keras.core.correction import Compensation, Correction, Served
from reloop2_keras.layers import OnlineGate
from reloop2_keras.models.serving import HASHES, Serving


class FrozenBase:
    """The base model as it was trained. Arms that share one object share its predictions.

    Args:
        base: `DeepFM` or a functional `keras.Model`.
        keys: names of the keys that fast parts will ask for.
    """

    def __init__(self, base, keys=("hidden", "embedding")):
        self.base = base
        self._serving = Serving(base, keys)

    def serve(self, arrays):
        """Return `Served` for a slot's arrays: `probability` (rows,) and keys (rows, dim)."""
        served = Served(self._serving(inputs(arrays)))
        if HASHES in arrays:
            served[HASHES] = arrays[HASHES]
        return served

    def observe(self, arrays):
        """Labels arrived: a frozen model does nothing."""


class IncrementalBase(FrozenBase):
    """The base model trained on every slot after its labels arrived; works on a copy.

    Args:
        base: compiled or not; its weights are copied.
        learning_rate: float, of Adam.
        batch_size: int.
        epochs: int, passes over each slot.
        keys: see `FrozenBase`.
    """

    def __init__(
        self, base, learning_rate=1e-3, batch_size=256, epochs=1, keys=("hidden", "embedding")
    ):
        copy = type(base).from_config(base.get_config())
        if not copy.built:
            copy.build_from_config(base.get_build_config())
        copy.set_weights(base.get_weights())
        copy.compile(keras.optimizers.Adam(learning_rate), "binary_crossentropy")
        super().__init__(copy, keys)
        self.batch_size, self.epochs = batch_size, epochs

    def observe(self, arrays):
        """Train on the slot: `epochs` passes in chronological order."""
        self.base.fit(
            inputs(arrays),
            arrays["label"].astype("float32")[:, None],
            batch_size=self.batch_size,
            epochs=self.epochs,
            shuffle=False,
            verbose=0,
        )


class Corrected:
    """Fast part: memories and a rule, which correct what the base served; see `core.Correction`.

    Args:
        memories: list of `(memory, key)`, an `ErrorMemory` and the name of what it is read by: a
            key that the base serves, or "feature_hashes".
        shuffle_labels: bool. True makes the control: labels are permuted within a slot before
            they are written, so that the memories hold the slot's click rate but no more. A gate
            learns from true labels and therefore finds that these memories carry no signal.
        seed: int, of that permutation.
    """

    def __init__(self, memories, shuffle_labels=False, seed=1001):
        self.memories = [memory for memory, _ in memories]
        self.keys = [key for _, key in memories]
        self._rng = np.random.default_rng(seed) if shuffle_labels else None

    def rule(self):
        """Return the rule, `core.Compensation` or `core.Gate`; memories are built by then."""
        raise NotImplementedError

    def _correction(self):
        return Correction([memory.core for memory in self.memories], self.rule())

    def predict(self, served):
        """Return corrected probabilities (rows,) and what must be kept until labels arrive.

        Args:
            served: `Served` of the base, with the keys of these memories.
        """
        places = []
        for memory, key in zip(self.memories, self.keys, strict=True):
            if not memory.built:
                memory.build((None, served[key].shape[1]))
            places.append(memory.core.places(memory.core.checked_keys(served[key])))
        kept = self._correction()(served["probability"], places)
        return kept["corrected"], kept

    def observe(self, served, labels, kept):
        """Learn from a slot's rows, with places, readings and predictions of serving time.

        Args:
            served: what the base served.
            labels: (rows,).
            kept: what `predict` returned with it.
        """
        mixed = None if self._rng is None else self._rng.permutation(labels)
        self._correction().learn(kept, labels, mixed)


class Memory(Corrected):
    """Fast part: an error memory with the paper's compensation.

    Args:
        memory: `ErrorMemory` of similarity.
        key: name of the served key it is read and written by.
        compensation: float, lambda.
        label_weight: float, gamma.
        shuffle_labels, seed: see `Corrected`.
    """

    def __init__(
        self, memory, key, compensation, label_weight=1.0, shuffle_labels=False, seed=1001
    ):
        super().__init__([(memory, key)], shuffle_labels, seed)
        self.compensation, self.label_weight = compensation, label_weight

    def rule(self):
        """See `Corrected.rule`."""
        return Compensation(self.compensation, self.label_weight)


class Gated(Corrected):
    """Fast part: any memories as inputs of an `OnlineGate` (ours; docs/method.md, section 4).

    Args:
        memories: see `Corrected`; a `FeatureErrorMemory` has the key "feature_hashes". Without any
            this is the control that only recalibrates: what it gains needs no memory.
        gate: `OnlineGate` of the right size, or None to make one.
        shuffle_labels, seed: see `Corrected`.
    """

    def __init__(self, memories=(), gate=None, shuffle_labels=False, seed=1001):
        super().__init__(memories, shuffle_labels, seed)
        self.gate = gate

    def rule(self):
        """See `Corrected.rule`."""
        if self.gate is None:
            self.gate = OnlineGate(sum(memory.num_gate_inputs for memory in self.memories))
        return self.gate.core


class Recalibration(Gated):
    """Fast part: only the base's logit is rescaled and shifted online, by an `OnlineGate`."""

    def __init__(self, gate=None):
        super().__init__((), gate)


@dataclasses.dataclass
class Arm:
    """A named combination: a slow base, and a fast part or None.

    Example:
        >>> frozen = FrozenBase(base)
        >>> arms = [Arm("frozen", frozen), Arm("sketch", frozen, Memory(sketch, "hidden", 0.5))]
    """

    name: str
    slow: FrozenBase
    fast: Corrected | None = None


def inputs(arrays):
    """The part of a slot's arrays that models take."""
    return {name: arrays[name] for name in ("feature_ids", "feature_values")}


def standard_arms(base, memories, incremental=True, **incremental_options):
    """Make the arms of method.md, section 5, for the given memories.

    Args:
        base: trained base model.
        memories: dict name -> function of `shuffle_labels` (bool) that returns a fresh `Memory`
            or `Gated`. The first one also makes the "shuffled" control, the last one the
            "incremental+<name>" arm; if that is another one, a control "shuffled <name>" too.
        incremental: bool; training on every slot costs most of the time.
        **incremental_options: passed to `IncrementalBase`.

    Returns:
        list of `Arm`: frozen, recalibrated, shuffled (one or two), one a memory, incremental,
        incremental+<last memory>.
    """
    frozen = FrozenBase(base)
    arms = [Arm("frozen", frozen), Arm("recalibrated", frozen, Recalibration())]
    names = list(memories)
    for name in dict.fromkeys([*names[:1], *names[-1:]]):
        control = "shuffled" if name == names[0] else f"shuffled {name}"
        arms.append(Arm(control, frozen, memories[name](True)))
    arms += [Arm(name, frozen, memories[name](False)) for name in names]
    if incremental:
        trained = IncrementalBase(base, **incremental_options)
        arms.append(Arm("incremental", trained))
        if names:
            arms.append(Arm(f"incremental+{names[-1]}", trained, memories[names[-1]](False)))
    return arms

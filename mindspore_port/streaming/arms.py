"""What is compared: each arm is a slow base, frozen or trained on, with or without a fast part."""

import dataclasses
import functools

import numpy as np

from mindspore_port.layers import OnlineGate, compensate
from mindspore_port.layers.state import assign, to_tensor
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.gated import gated, learn
from mindspore_port.models.serving import HASHES, Served, Serving, in_batches, inputs
from mindspore_port.models.train_step import TrainStep, adam


class FrozenBase:
    """The base model as it was trained. Arms that share one object share its predictions.

    Args:
        base: `DeepFM`.
        keys: names of the keys that fast parts will ask for.
    """

    learns_from = ()

    def __init__(self, base, keys=("hidden", "embedding")):
        self.base = base
        self._serving = Serving(base, keys)

    def serve(self, arrays):
        """Return `Served` for a slot's arrays: `probability` (rows,) and keys (rows, dim)."""
        served = Served(self._serving(arrays))
        if HASHES in arrays:
            served[HASHES] = arrays[HASHES]
        return served

    def observe(self, arrays):
        """Labels arrived: a frozen model does nothing."""


class IncrementalBase(FrozenBase):
    """The base model trained on every slot after its labels arrived; works on a copy.

    Args:
        base: `DeepFM`; its weights are copied.
        learning_rate: float, of Adam.
        batch_size: int.
        epochs: int, passes over each slot.
        keys: see `FrozenBase`.
    """

    learns_from = ("feature_ids", "feature_values", "label")

    def __init__(
        self, base, learning_rate=1e-3, batch_size=256, epochs=1, keys=("hidden", "embedding")
    ):
        copy = DeepFM(**base.get_config())
        for mine, theirs in zip(copy.get_parameters(), base.get_parameters(), strict=True):
            assign(mine, theirs)
        super().__init__(copy, keys)
        self._step = TrainStep(copy, adam(copy, learning_rate))
        self.batch_size, self.epochs = batch_size, epochs

    def observe(self, arrays):
        """Train on the slot: `epochs` passes in chronological order."""
        self._step.set_train(True)
        columns = [*inputs(arrays).values(), np.asarray(arrays["label"], "float32")]
        rows = len(columns[-1])
        for _ in range(self.epochs):
            for start in range(0, rows, self.batch_size):
                batch = [column[start : start + self.batch_size] for column in columns]
                count = len(batch[-1])
                batch.append(np.full(count, 1 / count, "float32"))
                # one shape, so that a graph compiles once; padding weighs nothing
                pad = self.batch_size - count
                self._step(
                    *(
                        to_tensor(np.concatenate([x, np.zeros((pad, *x.shape[1:]), x.dtype)]))
                        for x in batch
                    )
                )


class Memory:
    """Fast part: an error memory with the paper's compensation.

    Args:
        memory: `ErrorMemory`.
        key: name of the served key it is read and written by.
        compensation: float, lambda.
        label_weight: float, gamma.
        shuffle_labels: bool. True makes the control: labels are permuted within a slot before
            they are written, so that the memory holds the slot's click rate but no more.
        seed: int, of that permutation.
    """

    learns_from = ("probability",)  # of what was served; the rest is in what `predict` kept

    def __init__(
        self, memory, key, compensation, label_weight=1.0, shuffle_labels=False, seed=1001
    ):
        self.memory, self.key = memory, key
        self.compensation, self.label_weight = compensation, label_weight
        self._rng = np.random.default_rng(seed) if shuffle_labels else None

    def predict(self, served):
        """Return corrected probabilities (rows,) and what must be kept until labels arrive."""
        if not self.memory.built:
            self.memory.build(served[self.key].shape[1])
        kept = in_batches(
            self._corrected,
            {name: served[name] for name in ("probability", self.key)},
            self.memory.read_batch_size,
        )
        return kept["corrected"], kept

    def _corrected(self, batch):
        reading, places = self.memory.look_up(batch[self.key])
        settings = self.compensation, self.label_weight
        corrected = compensate(batch["probability"], reading, *settings)
        return {"corrected": corrected, "places": places}

    def observe(self, served, labels, kept):
        """Write a slot's rows, with the keys and predictions of serving time.

        Args:
            served: what the base served.
            labels: (rows,).
            kept: what `predict` returned with it; None for rows that were not predicted.
        """
        if self._rng is not None:
            labels = self._rng.permutation(labels)
        if kept is None:
            self.memory.write(served[self.key], labels, served["probability"])
        else:
            self.memory.write_at(kept["places"], labels, served["probability"])


class Gated:
    """Fast part: any memories as inputs of an `OnlineGate` (ours; method.md, section 4).

    Args:
        memories: list of `(memory, key)`; a `FeatureErrorMemory` has the key "feature_hashes".
            Without any this is the control that only recalibrates: what it gains needs no memory.
        gate: `OnlineGate` of the right size, or None to make one.
        shuffle_labels: bool. True makes the control: the MEMORIES learn labels permuted within a
            slot. The gate learns the true ones, and so that there is nothing to listen to.
        seed: int, of that permutation.
    """

    learns_from = ("probability",)  # of what was served; the rest is in what `predict` kept

    def __init__(self, memories=(), gate=None, shuffle_labels=False, seed=1001):
        self.memories = [memory for memory, _ in memories]
        self.keys = [key for _, key in memories]
        self.gate = gate
        self._rng = np.random.default_rng(seed) if shuffle_labels else None

    def predict(self, served):
        """Return gated probabilities (rows,), and with what was read to make them."""
        for memory, key in zip(self.memories, self.keys, strict=True):
            if not memory.built:
                memory.build(served[key].shape[1])
        if self.gate is None:
            self.gate = OnlineGate(sum(memory.num_gate_inputs for memory in self.memories))
        step = functools.partial(gated, self.memories, self.keys, self.gate)
        needed = {name: served[name] for name in dict.fromkeys(["probability", *self.keys])}
        size = min([4096, *(memory.read_batch_size for memory in self.memories)])
        kept = in_batches(step, needed, size)
        return kept["corrected"], kept

    def observe(self, served, labels, kept):
        """One Newton step of the gate on the slot, then write its rows."""
        self.gate.update(labels, served["probability"], kept.get("gate_inputs"))
        if self._rng is not None:
            labels = self._rng.permutation(labels)
        learn(self.memories, {**served, **kept}, labels)


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
    fast: Memory | Gated | None = None


def read(memory, keys):
    """Read a memory for any number of rows: dict of NumPy float32 (rows,)."""
    if not memory.built:
        memory.build(keys.shape[1])
    return in_batches(
        lambda batch: memory.read(batch["keys"]), {"keys": keys}, memory.read_batch_size
    )


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

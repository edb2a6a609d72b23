"""What is compared: each arm is a slow base, frozen or trained on, with or without a fast part."""

import dataclasses

import numpy as np

from mindspore_port.layers import OnlineGate
from mindspore_port.layers.state import assign, to_numpy, to_tensor
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.reloop2 import correct, read
from mindspore_port.models.serving import Serving, inputs
from mindspore_port.models.train_step import TrainStep, adam


class FrozenBase:
    """The base model as it was trained. Arms that share one object share its predictions.

    Args:
        base: `DeepFM`.
        keys: names of the keys that fast parts will ask for.
    """

    def __init__(self, base, keys=("hidden", "embedding")):
        self.base = base
        self._serving = Serving(base, keys)

    def serve(self, arrays):
        """Return a dict of `probability` (rows,) and keys (rows, dim) for a slot's arrays."""
        return self._serving(arrays)

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

    def __init__(
        self, memory, key, compensation, label_weight=1.0, shuffle_labels=False, seed=1001
    ):
        self.memory, self.key = memory, key
        self.compensation, self.label_weight = compensation, label_weight
        self._rng = np.random.default_rng(seed) if shuffle_labels else None

    def predict(self, served):
        """Return corrected probabilities (rows,) and what must be kept until labels arrive."""
        reading = read(self.memory, served[self.key])
        probability = served["probability"]
        return correct(probability, reading, self.compensation, self.label_weight), None

    def observe(self, served, labels, kept):
        """Write a slot's rows, with the keys and predictions of serving time."""
        if self._rng is not None:
            labels = self._rng.permutation(labels)
        self.memory.write(served[self.key], labels, served["probability"])


class Recalibration:
    """Fast part: only the base's logit is rescaled and shifted online, by an `OnlineGate`.

    The control for memories: what it gains needs no memory.
    """

    def __init__(self, gate=None):
        self.gate = gate or OnlineGate()

    def predict(self, served):
        """Return recalibrated probabilities (rows,)."""
        return to_numpy(self.gate(to_tensor(served["probability"]))), None

    def observe(self, served, labels, kept):
        """One Newton step on the slot."""
        self.gate.update(labels, served["probability"])


@dataclasses.dataclass
class Arm:
    """A named combination: a slow base, and a fast part or None.

    Example:
        >>> frozen = FrozenBase(base)
        >>> arms = [Arm("frozen", frozen), Arm("sketch", frozen, Memory(sketch, "hidden", 0.5))]
    """

    name: str
    slow: FrozenBase
    fast: Memory | Recalibration | None = None


def standard_arms(base, memories, seed=1001, incremental=True, **incremental_options):
    """Make the arms of method.md, section 5, for the given memories.

    Args:
        base: trained base model.
        memories: dict name -> function without arguments that returns a fresh `Memory`. The first
            one also makes the "shuffled" control, the last one the "incremental+<name>" arm.
        seed: int, of the control's permutation.
        incremental: bool; training on every slot costs most of the time.
        **incremental_options: passed to `IncrementalBase`.

    Returns:
        list of `Arm`: frozen, recalibrated, shuffled, one a memory, incremental,
        incremental+<last memory>.
    """
    frozen = FrozenBase(base)
    arms = [Arm("frozen", frozen), Arm("recalibrated", frozen, Recalibration())]
    names = list(memories)
    if names:
        control = memories[names[0]]()
        control = Memory(
            control.memory, control.key, control.compensation, control.label_weight, True, seed
        )
        arms.append(Arm("shuffled", frozen, control))
    arms += [Arm(name, frozen, memories[name]()) for name in names]
    if incremental:
        trained = IncrementalBase(base, **incremental_options)
        arms.append(Arm("incremental", trained))
        if names:
            arms.append(Arm(f"incremental+{names[-1]}", trained, memories[names[-1]]()))
    return arms

"""Slow bases of the arms that are compared, frozen or trained on; fast parts are core's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.serving import HASHES, Serving, inputs
from mindspore_port.models.train_step import TrainStep, adam
from mindspore_port.tensors import assign, to_tensor
from reloop2_keras.core.arms import Arm, Corrected, Gated, Memory, Recalibration, arms_of
from reloop2_keras.core.correction import Served

__all__ = [
    "Arm",
    "FrozenBase",
    "Gated",
    "IncrementalBase",
    "Memory",
    "Recalibration",
    "standard_arms",
]


class FrozenBase:
    """The base model as it was trained. Arms that share one object share its predictions.

    Args:
        base: `DeepFM`.
        keys: names of the keys that fast parts will ask for.
    """

    learns_from: tuple[str, ...] = ()

    def __init__(self, base: DeepFM, keys: Sequence[str] = ("hidden", "embedding")) -> None:
        self.base = base
        self._serving = Serving(base, keys)

    def serve(self, arrays: Mapping[str, np.ndarray]) -> Served:
        """Return `Served` for a slot's arrays: `probability` (rows,) and keys (rows, dim)."""
        served = Served(self._serving(arrays))
        if HASHES in arrays:
            served[HASHES] = arrays[HASHES]
        return served

    def observe(self, arrays: Mapping[str, np.ndarray]) -> None:
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
        self,
        base: DeepFM,
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        epochs: int = 1,
        keys: Sequence[str] = ("hidden", "embedding"),
    ) -> None:
        copy = DeepFM(**base.get_config())
        for mine, theirs in zip(copy.get_parameters(), base.get_parameters(), strict=True):
            assign(mine, theirs)
        super().__init__(copy, keys)
        self._step = TrainStep(copy, adam(copy, learning_rate))
        self.batch_size, self.epochs = batch_size, epochs

    def observe(self, arrays: Mapping[str, np.ndarray]) -> None:
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


def standard_arms(
    base: DeepFM,
    memories: dict[str, Callable[[bool], Corrected]],
    incremental: bool = True,
    **incremental_options: Any,
) -> list[Arm]:
    """Make the arms of docs/method.md, section 5, for the given memories.

    Args:
        base: trained base model.
        memories: see `core.arms.arms_of`, as for which arms they make.
        incremental: bool; training on every slot costs most of the time.
        **incremental_options: passed to `IncrementalBase`.
    """
    trained = IncrementalBase(base, **incremental_options) if incremental else None
    return arms_of(FrozenBase(base), memories, trained)

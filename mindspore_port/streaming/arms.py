"""Slow bases of the arms that are compared, frozen or trained on; fast parts are core's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.row_sparse_step import RowSparseStep
from mindspore_port.models.serving import Serving, inputs
from mindspore_port.models.train_step import TrainStep, adam
from mindspore_port.tensors import assign, to_tensor
from reloop2_keras.core.arms import Arm, Corrected, Gated, Memory, Recalibration, arms_of
from reloop2_keras.core.array_checks import FEATURES
from reloop2_keras.core.late_rows import LateRows
from reloop2_keras.core.slow_bases import FrozenPart

__all__ = [
    "Arm",
    "FrozenBase",
    "Gated",
    "IncrementalBase",
    "Memory",
    "Recalibration",
    "standard_arms",
]


class FrozenBase(FrozenPart):
    """The base model as it was trained. Arms that share one object share its predictions.

    Args:
        base: `DeepFM`.
        keys: names of the keys that fast parts will ask for.
    """

    def __init__(self, base: DeepFM, keys: Sequence[str] = ("hidden", "embedding")) -> None:
        super().__init__(base, keys, Serving(base, keys))


class IncrementalBase(LateRows, FrozenBase):
    """The base model trained on every slot after its labels arrived; works on a copy.

    Args:
        base: `DeepFM`; its weights are copied.
        learning_rate: float, of Adam.
        batch_size: int.
        epochs: int, passes over each slot.
        keys: see `FrozenBase`.
        row_sparse: bool, whether only a batch's rows are trained, by `RowSparseStep`. None: if the
            base has `hashed` rows.
        beta_1: float in (0, 1), Adam's decay of its first moment. None: .9, or .5 where `hashed`
            rows are trained row-sparse; `reloop2_keras.streaming.IncrementalBase` says why.
    """

    def __init__(
        self,
        base: DeepFM,
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        epochs: int = 1,
        keys: Sequence[str] = ("hidden", "embedding"),
        row_sparse: bool | None = None,
        beta_1: float | None = None,
    ) -> None:
        copy = DeepFM(**base.get_config())
        for mine, theirs in zip(copy.get_parameters(), base.get_parameters(), strict=True):
            assign(mine, theirs)
        super().__init__(copy, keys)
        sparse = base.takes_hashes if row_sparse is None else row_sparse
        decay = (0.5 if base.takes_hashes and sparse else 0.9) if beta_1 is None else beta_1
        self._step: TrainStep | RowSparseStep
        if sparse:
            self._step = RowSparseStep(copy, learning_rate, beta_1=decay)
        else:
            self._step = TrainStep(copy, adam(copy, learning_rate, beta_1=decay))
        self.batch_size, self.epochs = batch_size, epochs
        self.options = {  # to make another one of the same kind
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "epochs": epochs,
            "keys": tuple(keys),
            "row_sparse": sparse,
            "beta_1": decay,
        }
        self.learns_from = ("label", *(FEATURES if base.takes_hashes else FEATURES[:2]))

    def observe(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Train on the slot: `epochs` passes in chronological order."""
        self._step.set_train(True)
        arrays = self.with_late(arrays)
        ids, values, *hashes = inputs(arrays, self.base).values()
        labels = np.asarray(arrays["label"], "float32")
        rows = len(labels)
        for _ in range(self.epochs):
            for start in range(0, rows, self.batch_size):
                count = min(self.batch_size, rows - start)
                # one shape, so that a graph compiles once: a short batch's last row is repeated,
                # so that no other row of a table is touched, and weighs nothing
                places = np.minimum(np.arange(start, start + self.batch_size), start + count - 1)
                weights = np.where(np.arange(self.batch_size) < count, 1 / count, 0.0)
                columns = [ids[places], values[places], labels[places], weights.astype("float32")]
                batch = [to_tensor(x) for x in (*columns, *(x[places] for x in hashes))]
                self._step(*self._step.prepare(*batch))


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

"""Slow bases of the arms that are compared, frozen or trained on; fast parts are core's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from reloop2_keras.core.arms import Arm, Corrected, Gated, Memory, Recalibration, arms_of
from reloop2_keras.core.array_checks import FEATURES
from reloop2_keras.core.late_rows import LateRows
from reloop2_keras.core.slow_bases import FrozenPart
from reloop2_keras.models.serving import Serving

__all__ = [
    "Arm",
    "FrozenBase",
    "Gated",
    "IncrementalBase",
    "Memory",
    "Recalibration",
    "inputs",
    "standard_arms",
]


class FrozenBase(FrozenPart):
    """The base model as it was trained. Arms that share one object share its predictions.

    Args:
        base: `DeepFM` or a functional `keras.Model`.
        keys: names of the keys that fast parts will ask for.
    """

    def __init__(self, base: keras.Model, keys: Sequence[str] = ("hidden", "embedding")) -> None:
        super().__init__(base, keys, Serving(base, keys))

    def inputs_of(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return ids and values, and hashes if the model reads them."""
        return inputs(arrays, self.base)


class IncrementalBase(LateRows, FrozenBase):
    """The base model trained on every slot after its labels arrived; works on a copy.

    Args:
        base: compiled or not; its weights are copied.
        learning_rate: float, of Adam.
        batch_size: int.
        epochs: int, passes over each slot.
        keys: see `FrozenBase`.
        row_sparse: bool, whether only a batch's rows of the tables are trained, see `DeepFM`. None:
            if the base has `hashed` rows, or is row-sparse itself.
        beta_1: float in [0, 1), Adam's decay of its first moment. None: .9, or .5 where `hashed`
            rows are trained row-sparse: a row that no later batch meets would get a tenth of the
            step that Adam on the whole table gives it in the end (ours; docs/method.md, section 1).
    """

    def __init__(
        self,
        base: keras.Model,
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        epochs: int = 1,
        keys: Sequence[str] = ("hidden", "embedding"),
        row_sparse: bool | None = None,
        beta_1: float | None = None,
    ) -> None:
        config = base.get_config()
        hashed = bool(getattr(base, "takes_hashes", False))
        sparse = hashed or bool(config.get("row_sparse")) if row_sparse is None else row_sparse
        if sparse != bool(config.get("row_sparse")):
            config["row_sparse"] = sparse
        copy = type(base).from_config(config)
        if not copy.built:
            copy.build_from_config(base.get_build_config())
        copy.set_weights(base.get_weights())
        decay = (0.5 if hashed and sparse else 0.9) if beta_1 is None else beta_1
        copy.compile(keras.optimizers.Adam(learning_rate, decay), "binary_crossentropy")
        super().__init__(copy, keys)
        self.batch_size, self.epochs = batch_size, epochs
        self.options = {  # to make another one of the same kind
            "learning_rate": learning_rate,
            "batch_size": batch_size,
            "epochs": epochs,
            "keys": tuple(keys),
            "row_sparse": sparse,
            "beta_1": decay,
        }
        self.learns_from = (*_names(copy), "label")

    def observe(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Train on the slot: `epochs` passes in chronological order."""
        arrays = self.with_late(arrays)
        self.base.fit(
            inputs(arrays, self.base),
            arrays["label"].astype("float32")[:, None],
            batch_size=self.batch_size,
            epochs=self.epochs,
            shuffle=False,
            verbose=0,
        )


def inputs(
    arrays: Mapping[str, np.ndarray], base: keras.Model | None = None
) -> dict[str, np.ndarray]:
    """The part of a slot's arrays that a model takes: ids and values, and hashes if it reads them.

    Args:
        arrays: of a slot.
        base: the model; None: one without hashed rows.
    """
    return {name: arrays[name] for name in _names(base)}


def _names(base):
    return FEATURES if getattr(base, "takes_hashes", False) else FEATURES[:2]


def standard_arms(
    base: keras.Model,
    memories: dict[str, Callable[[bool], Corrected]],
    incremental: bool = True,
    **incremental_options: Any,
) -> list[Arm]:
    """Make the arms of docs/method.md, section 5, for the given memories.

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
    trained = IncrementalBase(base, **incremental_options) if incremental else None
    return arms_of(FrozenBase(base), memories, trained)

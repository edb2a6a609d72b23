"""Choices made on the validation period: core's, for MindSpore models."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mindspore_port.layers.error_memory import ErrorMemory
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.serving import HASHES, Serving
from mindspore_port.streaming.arms import FrozenBase
from reloop2_keras.core import tune as core
from reloop2_keras.core.arms import Corrected
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.slots import Slot
from reloop2_keras.core.tune import COMPENSATIONS, LABEL_WEIGHTS, best_setting

__all__ = [
    "COMPENSATIONS",
    "LABEL_WEIGHTS",
    "best_setting",
    "replay",
    "training_keys",
    "tune_memory",
]


def training_keys(
    base: DeepFM,
    batches: Iterable[Mapping[str, np.ndarray]],
    keys: Sequence[str] = ("hidden", "embedding"),
    max_rows: int = 65_536,
) -> dict[str, np.ndarray]:
    """Serve training rows and return their keys, to fit a memory's key normalization.

    Args:
        base: trained base model.
        batches: iterable of dicts of arrays, such as `dataset.train(4096)`.
        keys: names of keys.
        max_rows: int; a mean over that many shuffled rows is exact enough.

    Returns:
        dict: key name -> float32 (rows, dim).
    """
    return core.training_keys(Serving(base, keys), batches, keys, max_rows)


def tune_memory(
    base: DeepFM,
    slots: Sequence[Slot],
    candidates: dict[str, tuple[ErrorMemory, str]],
    compensations: Sequence[float] = COMPENSATIONS,
    label_weights: Sequence[float] = LABEL_WEIGHTS,
    delay: int | str | Delay = 0,
    fill: int | None = None,
) -> list[dict[str, Any]]:
    """Replay the validation slots through each candidate memory; see `core.tune.tune_memory`.

    Args:
        base: trained base model.
        slots, candidates, compensations, label_weights, delay, fill: as there.

    Returns:
        list of dicts: candidate, key, compensation, label_weight, auc, logloss.

    Raises:
        ValueError: as there.

    Example:
        >>> grid = tune_memory(base, dataset.validation_slots(5),
        ...                    {"sketch": (sketch, "hidden")})
        >>> best_setting(grid)["compensation"]
    """
    frozen = _frozen(base, (key for _, key in candidates.values()))
    return core.tune_memory(frozen, slots, candidates, compensations, label_weights, delay, fill)


def replay(
    base: DeepFM,
    slots: Sequence[Slot],
    candidates: dict[str, Corrected],
    delay: int | str | Delay = 0,
    fill: int | None = None,
) -> list[dict[str, Any]]:
    """Replay the validation slots through fast parts; see `core.tune.replay`."""
    frozen = _frozen(base, (key for fast in candidates.values() for key in fast.keys))
    return core.replay(frozen, slots, candidates, delay, fill)


def _frozen(base: DeepFM, keys: Iterable[str]) -> FrozenBase:
    return FrozenBase(base, sorted(set(keys) - {HASHES}))

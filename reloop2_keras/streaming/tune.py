"""Choices made on the validation period: core's, for Keras models, as DataFrames."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from reloop2_keras.core import tune as core
from reloop2_keras.core.arms import Corrected
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.tune import COMPENSATIONS, LABEL_WEIGHTS
from reloop2_keras.models.serving import HASHES, Serving
from reloop2_keras.streaming.arms import FrozenBase


def training_keys(
    base: keras.Model,
    batches: Iterable[Any],
    keys: Sequence[str] = ("hidden", "embedding"),
    max_rows: int = 65_536,
) -> dict[str, np.ndarray]:
    """Serve training rows and return their keys, to fit a memory's key normalization.

    Args:
        base: trained base model.
        batches: iterable of `(x, y)`, such as `dataset.train(4096)`.
        keys: names of keys.
        max_rows: int; a mean over that many shuffled rows is exact enough.

    Returns:
        dict: key name -> float32 (rows, dim).
    """
    return core.training_keys(Serving(base, keys), (x for x, *_ in batches), keys, max_rows)


def tune_memory(
    base: keras.Model,
    slots: Iterable[Any],
    candidates: dict[str, tuple[Any, str]],
    compensations: Sequence[float] = COMPENSATIONS,
    label_weights: Sequence[float] = LABEL_WEIGHTS,
    delay: int | str | Delay = 0,
    fill: int | None = None,
) -> pd.DataFrame:
    """Replay the validation slots through each candidate memory; see `core.tune.tune_memory`.

    Args:
        base: trained base model.
        slots, candidates, compensations, label_weights, delay, fill: as there.

    Returns:
        DataFrame with columns candidate, key, compensation, label_weight, auc, logloss.

    Raises:
        ValueError: as there.

    Example:
        >>> sketch = SketchErrorMemory()
        >>> sketch.adapt(training_keys(base, dataset.train(4096))["hidden"])
        >>> table = tune_memory(base, dataset.validation_slots(5),
        ...                     {"sketch": (sketch, "hidden")})
        >>> best_setting(table)["compensation"]
    """
    frozen = _frozen(base, (key for _, key in candidates.values()))
    settings = compensations, label_weights, delay, fill
    return pd.DataFrame(core.tune_memory(frozen, slots, candidates, *settings))


def replay(
    base: keras.Model,
    slots: Iterable[Any],
    candidates: dict[str, Corrected],
    delay: int | str | Delay = 0,
    fill: int | None = None,
) -> pd.DataFrame:
    """Replay the validation slots through fast parts; see `core.tune.replay`.

    Returns:
        DataFrame with columns candidate, auc, logloss; the base alone is candidate "frozen".
    """
    frozen = _frozen(base, (key for fast in candidates.values() for key in fast.keys))
    return pd.DataFrame(core.replay(frozen, slots, candidates, delay, fill))


def best_setting(table: pd.DataFrame, metric: str = "logloss") -> dict[str, Any]:
    """Return the row of a table that validation picks, as a dict; see `core.tune.best_setting`.

    Args:
        table: DataFrame of `tune_memory` or `replay`, or a part of it (one kind of memory, say).
        metric: "logloss" (lower is better; a proper score, the default) or "auc".
    """
    return core.best_setting(table.to_dict("records"), metric)


def _frozen(base, keys):
    return FrozenBase(base, sorted(set(keys) - {HASHES}))

"""The pick of a comparison of Keras models, as a folder that `serve` loads."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.serving import shipping
from reloop2_keras.core.serving.shipping import SHIPPED, said_of_shipping
from reloop2_keras.models.deepfm import DeepFM

__all__ = ["SHIPPED", "said_of_shipping", "ship_pick"]


def ship_pick(report: Any, arms: Mapping[str, Arm], dataset: Any, folder: str | Path) -> Path:
    """Write `online` (else `tables`) as it is when all labels of the stream have come.

    A `DeepFM` is written as ONNX where the package onnx is installed, which needs no framework to
    serve; else, and any other base, as .keras.

    Args:
        report, arms, dataset, folder: see `core.serving.shipping.ship_pick`.

    Raises:
        ValueError: as there.

    Example:
        >>> kept = {}
        >>> report = compare(dataset, kept=kept)
        >>> ship_pick(report, kept, dataset, "runs/mine/model")
    """
    return shipping.ship_pick(report, arms, dataset, folder, _written)


def _written(base: Any, folder: Path) -> Path:
    if isinstance(base, DeepFM) and importlib.util.find_spec("onnx") is not None:
        from reloop2_keras.models.onnx_export import export_onnx

        export_onnx(base, folder / "base.onnx")
        return folder / "base.onnx"
    base.save(folder / "base.keras")
    return folder / "base.keras"

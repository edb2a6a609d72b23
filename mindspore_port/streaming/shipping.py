"""The pick of a comparison of MindSpore models, as a folder that `serve` loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindspore_port.neutral import neutral_form
from reloop2_keras.core.arms import Arm
from reloop2_keras.core.serving import shipping
from reloop2_keras.core.serving.onnx_file import export_neutral
from reloop2_keras.core.serving.shipping import SHIPPED, said_of_shipping

__all__ = ["SHIPPED", "said_of_shipping", "ship_pick"]


def ship_pick(report: Any, arms: Mapping[str, Arm], dataset: Any, folder: str | Path) -> Path:
    """Write `online` (else `tables`) as it is at the stream's end, its base as ONNX.

    It is served without MindSpore.

    Args:
        report, arms, dataset, folder: see `core.serving.shipping.ship_pick`.

    Raises:
        ValueError: as there.
        ImportError: if there is a base and the package onnx is not installed.

    Example:
        >>> kept = {}
        >>> report = compare(dataset, kept=kept)
        >>> ship_pick(report, kept, dataset, "runs/mine/model")
    """
    return shipping.ship_pick(report, arms, dataset, folder, _written)


def _written(base: Any, folder: Path) -> Path:
    export_neutral(*neutral_form(base), folder / "base.onnx")
    return folder / "base.onnx"

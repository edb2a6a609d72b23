"""The pick of a comparison as a folder that `serve` loads: base, tables, encoder, verdict."""

import datetime
import importlib.util
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.online.fast_part import OnlinePart
from reloop2_keras.core.report import plain_tree
from reloop2_keras.core.serving.shipped import ship
from reloop2_keras.core.verdict import sentence
from reloop2_keras.models.deepfm import DeepFM

SHIPPED = ("online", "tables")  # the first of these that was compared


def ship_pick(report: Any, arms: Mapping[str, Arm], dataset: Any, folder: str | Path) -> Path:
    """Write `online` (else `tables`) as it is when all labels of the stream have come.

    Those that had not come by the last slot are learnt once all is scored, so that nothing of the
    log is lost to who serves on (`compare`, its `kept`). A `DeepFM` is written as ONNX where the
    package onnx is installed, which needs no framework to serve; else, and any other base, as
    .keras.

    Args:
        report: what `compare` returned; its verdict and the arm's figures become the card.
        arms: name -> `Arm`, of the first seed: what `compare` put in `kept`.
        dataset: `PreparedDataset`, of which the encoder is made.
        folder: where to; see `ship`.

    Raises:
        ValueError: if neither arm was compared, or the dataset says nothing of raw rows.

    Example:
        >>> kept = {}
        >>> report = compare(dataset, kept=kept)
        >>> ship_pick(report, kept, dataset, "runs/mine/model")
    """
    name = next((name for name in SHIPPED if name in arms), None)
    if name is None:
        raise ValueError(f"`arms` must hold one of {SHIPPED}. Received: {list(arms)}")
    encoder, slow = Encoder.load(dataset.folder), cast(Any, arms[name].slow)
    online = cast(OnlinePart, arms[name].fast).online
    card = {
        "arm": name,
        "verdict": sentence(report),
        "figures": plain_tree(report.scores()[name]),
        "dataset": dataset.name,
        "seed": int(report.seeds[0]),
        "backend": report.info.get("backend"),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "rows": int(online.arms.tables.rows),
    }
    if not online.bases:
        return ship(folder, online, encoder, None, card)
    with tempfile.TemporaryDirectory() as beside:
        written = _written(slow.base, Path(beside))
        return ship(folder, online, encoder, written, card)


def _written(base: Any, folder: Path) -> Path:
    if isinstance(base, DeepFM) and importlib.util.find_spec("onnx") is not None:
        from reloop2_keras.models.onnx_export import export_onnx

        export_onnx(base, folder / "base.onnx")
        return folder / "base.onnx"
    base.save(folder / "base.keras")
    return folder / "base.keras"

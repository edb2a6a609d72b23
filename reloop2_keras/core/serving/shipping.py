"""The pick of a comparison as a folder that `serve` loads, whatever framework its base is of."""

import datetime
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.beside import beside
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.files import writing
from reloop2_keras.core.metrics_content import plain_tree
from reloop2_keras.core.online.fast_part import OnlinePart
from reloop2_keras.core.serving.rows_learnt import RowsLearnt
from reloop2_keras.core.serving.shipped import ship
from reloop2_keras.core.verdict import decision, sentence

SHIPPED = ("online", "tables")  # the first of these that was compared


def ship_pick(
    report: Any,
    arms: Mapping[str, Arm],
    dataset: Any,
    folder: str | Path,
    write_base: Callable[[Any, Path], Path],
) -> Path:
    """Write `online` (else `tables`) as it is when all labels of the stream have come.

    Those that had not come by the last slot are learnt once all is scored, so that nothing of the
    log is lost to who serves on (`compare`, its `kept`).

    Args:
        report: what `compare` returned; its verdict and the arm's figures become the card.
        arms: name -> `Arm`, of the first seed: what `compare` put in `kept`.
        dataset: `PreparedDataset`, of which the encoder is made.
        folder: where to; see `ship`.
        write_base: function of the base model and a folder, which writes a file there, .onnx or
            .keras, and returns its path.

    Raises:
        ValueError: if neither arm was compared, or the dataset says nothing of raw rows.
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
    learnt = RowsLearnt.of_dataset(dataset)
    if not online.bases:
        return ship(folder, online, encoder, None, card, learnt)
    with writing(folder, reads=True), beside(Path(folder)) as work:
        written = write_base(slow.base, work)
        return ship(folder, online, encoder, written, card, learnt)


def said_of_shipping(report: Any, arms: Mapping[str, Arm], folder: str | Path) -> str:
    """Return the lines that a command line prints after `ship_pick`."""
    name = next(name for name in SHIPPED if name in arms)
    said = [f"shipped: {folder}, the arm {name}, every label of the log learnt"]
    if decision(report) != {"do": "deploy", "arm": name}:
        said.append(f"(the verdict does not say to deploy {name}: look before you do)")
    return "\n".join([*said, f"next: python -m reloop2_keras serve {folder}"])

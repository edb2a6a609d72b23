"""The prequential loop of core, with MindSpore's device noted in the report."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import mindspore as ms

from reloop2_keras.core import prequential as core
from reloop2_keras.core.arms import Arm
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.slots import Slot


def prequential(
    slots: Iterable[Slot],
    arms: Sequence[Arm],
    delay: int | str | Delay = 0,
    warmup: Iterable[Slot] = (),
    seed: int = 1001,
    progress: bool | None = None,
    info: Mapping[str, Any] | None = None,
    late: LateClicks | None = None,
) -> PrequentialReport:
    """Run the whole stream and return a report; see `core.prequential.prequential`.

    `info`, a dict, is noted in the report beside `backend`.

    Example:
        >>> report = prequential(dataset.slots(), arms, warmup=dataset.validation_slots())
        >>> report.overall()
    """
    noted = {"backend": backend(), **(info or {})}
    return core.prequential(slots, arms, delay, warmup, seed, progress, noted, late=late)


def backend() -> str:
    """Return what a report says of where it was made."""
    return f"mindspore {ms.get_context('device_target')}"

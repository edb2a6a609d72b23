"""The prequential loop of core, with Keras' backend noted in the report."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import keras

from reloop2_keras.core import prequential as core
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.streaming.report import PrequentialReport


def prequential(
    slots: Iterable[Any],
    arms: Sequence[Any],
    delay: int | str | Delay = 0,
    warmup: Iterable[Any] = (),
    seed: int = 1001,
    progress: bool | None = None,
    info: dict[str, Any] | None = None,
    late: LateClicks | None = None,
) -> PrequentialReport:
    """Run the whole stream and return a report; see `iter_prequential`.

    Args:
        slots: sequence of `Slot`.
        arms: list of `Arm`.
        delay: int, in slots, or text such as "2h", or a `Delay`; see `iter_prequential`.
        warmup: slots observed before the first scored one.
        seed: int, noted in the report; runs of several seeds are joined by
            `PrequentialReport.concat`.
        progress: bool, or None to show a bar on terminals and in notebooks only.
        info: dict, noted in the report.
        late: `LateClicks`, or None.

    Returns:
        `PrequentialReport`.

    Raises:
        ValueError: if there is no slot.

    Example:
        >>> report = prequential(dataset.slots(), arms, warmup=dataset.validation_slots())
        >>> report.overall()
    """
    info = {"backend": keras.backend.backend(), **(info or {})}
    report = core.prequential(
        slots, arms, delay, warmup, seed, progress, info, PrequentialReport, late
    )
    return cast(PrequentialReport, report)

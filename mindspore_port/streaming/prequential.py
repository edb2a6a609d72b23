"""The prequential loop of core, with MindSpore's device noted in the report."""

import mindspore as ms

from reloop2_keras.core import prequential as core


def prequential(slots, arms, delay=0, warmup=(), seed=1001, progress=None, info=None):
    """Run the whole stream and return a report; see `iter_prequential`.

    Args:
        slots: sequence of `Slot`.
        arms: list of `Arm`.
        delay: int, in slots.
        warmup: slots observed before the first scored one.
        seed: int, noted in the report; runs of several seeds are joined by
            `PrequentialReport.concat`.
        progress: bool, or None to show a bar on terminals only.
        info: dict, noted in the report.

    Returns:
        `PrequentialReport`.

    Raises:
        ValueError: if there is no slot.

    Example:
        >>> report = prequential(dataset.slots(), arms, warmup=dataset.validation_slots())
        >>> report.overall()
    """
    info = {"backend": backend()} | (info or {})
    return core.prequential(slots, arms, delay, warmup, seed, progress, info)


def backend():
    """Return what a report says of where it was made."""
    return f"mindspore {ms.get_context('device_target')}"

"""The order of events that keeps the evaluation honest (docs/method.md, section 3)."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from reloop2_keras.core.report import PrequentialReport


def iter_prequential(
    slots: Iterable[Any],
    arms: Sequence[Any],
    delay: int = 0,
    warmup: Iterable[Any] = (),
    progress: bool | None = None,
    drain: bool = False,
) -> Iterator[dict[str, Any]]:
    """Predict each slot, hand out the predictions, and only then let the arms learn.

    Slot t is predicted by arms that have observed slots < t - delay and no other row. Predictions
    and keys are those of serving time: they are kept until the labels arrive, never made again.

    Args:
        slots: sequence of `Slot` (anything with `load() -> dict of arrays`).
        arms: list of `Arm` with distinct names.
        delay: int >= 0, in slots: 0 means a slot's labels arrive before the next slot.
        warmup: slots observed before the first scored one, such as `dataset.validation_slots()`;
            they are predicted and observed in the same order of events, but not handed out.
        progress: bool, or None to show a bar on terminals only.
        drain: bool, whether the arms at the end also learn from the slots that no later one
            waits for, to go on with them elsewhere.

    Yields:
        dict a slot: `slot` int, `arrays`, `predictions` {arm: float32 (rows,)}, `unseen` {field:
        share of rows with a value that training never kept}.

    Raises:
        ValueError: if arms share a name or `delay` is negative.
    """
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"`arms` must be a list of arms with distinct names. Received: {names}")
    if int(delay) != delay or delay < 0:
        raise ValueError(f"`delay` must be an integer >= 0. Received: {delay}")
    # arms may share a base: it serves, and learns from, each slot once
    slows = list({id(arm.slow): arm.slow for arm in arms}.values())
    pending = collections.deque()

    def learn():
        arrays, served, kept = pending.popleft()
        for arm in arms:
            if arm.fast is not None:
                arm.fast.observe(served[id(arm.slow)], arrays["label"], kept[arm.name])
        for slow in slows:
            slow.observe(arrays)

    warmup, slots = list(warmup), list(slots)
    off = None if progress is None else not progress
    bar = tqdm([*warmup, *slots], desc="prequential", unit="slot", disable=off)
    for position, slot in enumerate(bar):
        while len(pending) > delay:
            learn()
        arrays = slot.load()
        served = {id(slow): slow.serve(arrays) for slow in slows}
        predictions, kept = {}, {}
        for arm in arms:
            base = served[id(arm.slow)]
            if arm.fast is None:
                predictions[arm.name], kept[arm.name] = base["probability"], None
            else:
                predictions[arm.name], kept[arm.name] = arm.fast.predict(base)
        if position >= len(warmup):
            yield {
                "slot": position - len(warmup),
                "arrays": arrays,
                "predictions": predictions,
                "unseen": slot.unseen_share(arrays) if hasattr(slot, "unseen_share") else {},
            }
        pending.append((arrays, served, kept))
    while drain and pending:
        learn()


def prequential(
    slots: Iterable[Any],
    arms: Sequence[Any],
    delay: int = 0,
    warmup: Iterable[Any] = (),
    seed: int = 1001,
    progress: bool | None = None,
    info: dict[str, Any] | None = None,
    report: type[PrequentialReport] = PrequentialReport,
) -> PrequentialReport:
    """Run the whole stream and return a report; see `iter_prequential`.

    Args:
        slots: sequence of `Slot`.
        arms: list of `Arm`.
        delay: int, in slots.
        warmup: slots observed before the first scored one.
        seed: int, noted in the report; runs of several seeds are joined by
            `PrequentialReport.concat`.
        progress: bool, or None to show a bar on terminals only.
        info: dict, noted in the report, such as the backend's name.
        report: class of the report.

    Raises:
        ValueError: if there is no slot.
    """
    events = iter_prequential(slots, arms, delay, warmup, progress)
    return report_of(events, arms, delay, seed, info, report)


def report_of(
    events: Iterable[dict[str, Any]],
    arms: Sequence[Any],
    delay: int = 0,
    seed: int = 1001,
    info: dict[str, Any] | None = None,
    report: type[PrequentialReport] = PrequentialReport,
) -> PrequentialReport:
    """Collect the events of `iter_prequential` in a report; see `prequential`."""
    events = list(events)
    if not events:
        raise ValueError("`slots` must hold at least one slot. Received: none")

    def joined(name):
        if name not in events[0]["arrays"]:
            return None
        return np.concatenate([event["arrays"][name] for event in events])

    rows = [len(event["arrays"]["label"]) for event in events]
    fields = events[0]["unseen"]
    return report(
        arms=[arm.name for arm in arms],
        seeds=[seed],
        predictions={
            arm.name: [np.concatenate([event["predictions"][arm.name] for event in events])]
            for arm in arms
        },
        labels=joined("label"),
        slot_of_row=np.repeat(np.arange(len(events), dtype="int32"), rows),
        groups=joined("group"),
        true_probability=joined("true_probability"),
        unseen_share={f: np.array([event["unseen"][f] for event in events]) for f in fields}
        or None,
        info={"delay": delay} | (info or {}),
    )

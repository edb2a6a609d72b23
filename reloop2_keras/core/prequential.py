"""The order of events that keeps the evaluation honest (docs/method.md, section 3)."""

import collections
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from reloop2_keras.core.report import PrequentialReport

KEPT = ("label", "group", "true_probability")  # of a slot's arrays, for the report


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

    Of a slot whose labels have not arrived only that is kept which `observe` takes. A part of an
    arm says so by its attribute `learns_from`: names of the slot's arrays for a slow part, names
    of what the slow part served for a fast part. Without that attribute all is kept.

    Args:
        slots: sequence of `Slot` (anything with `load() -> dict of arrays`).
        arms: list of `Arm` (anything with `name`, `slow`, `fast`) with distinct names. A slow part
            has `serve(arrays)`, which returns a dict with `probability`, and `observe(arrays)`; a
            fast part, or None, has `predict(served)`, which returns probabilities and what to keep
            beside, and `observe(served, labels, kept)`. `more`: see `Arm`.
        delay: int >= 0, in slots: 0 means a slot's labels arrive before the next slot.
        warmup: slots observed before the first scored one, such as `dataset.validation_slots()`;
            they are predicted and observed in the same order of events, but not handed out.
        progress: bool, or None to show a bar on terminals only.
        drain: bool, whether the arms at the end also learn from the slots that no later one
            waits for, to go on with them elsewhere.

    Yields:
        dict a slot: `slot` int, `arrays`, `predictions` {arm: float32 (rows,)}, `unseen` {field:
        share of rows with a value that training never kept}. A list of them holds the whole
        stream; `report_of` keeps the four columns that a report needs.

    Raises:
        ValueError: if arms share a name or `delay` is negative.
    """
    names = [arm.name for arm in arms]
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"`arms` must be a list of arms with distinct names. Received: {names}")
    if int(delay) != delay or delay < 0:
        raise ValueError(f"`delay` must be an integer >= 0. Received: {delay}")
    # arms may share a base: it serves, and learns from, each slot once
    further = {arm.name: getattr(arm, "more", {}) for arm in arms}
    parts = [slow for arm in arms for slow in (arm.slow, *further[arm.name].values())]
    slows = list({id(slow): slow for slow in parts}.values())
    pending: collections.deque[tuple] = collections.deque()

    fasts = {
        id(slow): [arm.fast for arm in arms if arm.slow is slow and arm.fast is not None]
        for slow in slows
    }

    def learn():
        labels, arrays, served, kept = pending.popleft()
        for arm in arms:
            if arm.fast is not None:
                arm.fast.observe(served[id(arm.slow)], labels, kept[arm.name])
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
        predictions: dict[str, np.ndarray] = {}
        kept: dict[str, Any] = {}
        for arm in arms:
            base = served[id(arm.slow)]
            if further[arm.name]:
                others = {n: served[id(s)]["probability"] for n, s in further[arm.name].items()}
                base = {**base, "probabilities": others}
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
        pending.append(
            (
                arrays["label"],
                _learnt_from(arrays, slows),
                {id(slow): _learnt_from(served[id(slow)], fasts[id(slow)]) for slow in slows},
                kept,
            )
        )
        # Nothing of this slot may be held while the next one is loaded, but what is pending.
        del arrays, served, predictions, kept, base
    while drain and pending:
        learn()


def _learnt_from(arrays, parts):
    """What of a dict of arrays these parts learn from; all of it if one of them does not say."""
    names: list[Any] = [getattr(part, "learns_from", None) for part in parts]
    if None in names:
        return arrays
    wanted = set(itertools.chain.from_iterable(names))
    return {name: array for name, array in arrays.items() if name in wanted}


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
    kept: dict[str, list[np.ndarray]] = {name: [] for name in KEPT}
    predictions: dict[str, list[np.ndarray]] = {arm.name: [] for arm in arms}
    shares: dict[str, list[float]] = {}
    rows = []
    for event in events:
        arrays = event["arrays"]
        rows.append(len(arrays["label"]))
        for name in KEPT:
            if name in arrays:
                # a copy where it is a view, which would hold the whole row group in memory
                kept[name].append(np.array(arrays[name]))
        for name, parts in predictions.items():
            parts.append(np.array(event["predictions"][name]))
        for field, share in event["unseen"].items():
            shares.setdefault(field, []).append(share)
        del event, arrays  # the next slot is loaded with this one gone
    if not rows:
        raise ValueError("`slots` must hold at least one slot. Received: none")

    def joined(parts):
        """One array; its parts are let go of at once, so that one column is there twice at most."""
        whole = np.concatenate(parts) if parts else None
        parts.clear()
        return whole

    return report(
        arms=[arm.name for arm in arms],
        seeds=[seed],
        predictions={name: [joined(parts)] for name, parts in predictions.items()},
        labels=joined(kept["label"]),
        slot_of_row=np.repeat(np.arange(len(rows), dtype="int32"), rows),
        groups=joined(kept["group"]),
        true_probability=joined(kept["true_probability"]),
        unseen_share={field: np.array(share) for field, share in shares.items()} or None,
        info={"delay": delay} | (info or {}),
    )

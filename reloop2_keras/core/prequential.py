"""The order of events that keeps the evaluation honest (docs/method.md, section 3)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.delay import Delay
from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.pending import Pending
from reloop2_keras.core.progress import bar
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.report_columns import KEPT, Columns
from reloop2_keras.core.running import RunningArms
from reloop2_keras.core.stream_backup import StreamBackup

__all__ = ["KEPT", "iter_prequential", "prequential", "report_of"]


def iter_prequential(
    slots: Iterable[Any],
    arms: Sequence[Any],
    delay: int | str | Delay = 0,
    warmup: Iterable[Any] = (),
    progress: bool | None = None,
    drain: bool = False,
    late: LateClicks | None = None,
    backup: StreamBackup | None = None,
) -> Iterator[dict[str, Any]]:
    """Predict each slot, hand out the predictions, and only then let the arms learn.

    A slot is predicted by arms that have learnt exactly those rows of earlier slots whose labels
    had arrived by then (`Delay`), in the order of arrival. Predictions and keys are those of
    serving time: they are kept until the labels arrive, never made again.

    Of a slot whose labels have not arrived only that is kept which `observe` takes. A part of an
    arm says so by its attribute `learns_from`: names of the slot's arrays for a slow part, names
    of what the slow part served for a fast part. Without that attribute all is kept.

    Args:
        slots: sequence of `Slot` (anything with `load() -> dict of arrays`).
        arms: list of `Arm` (anything with `name`, `slow`, `fast`) with distinct names. A slow part
            has `serve(arrays)`, which returns a dict with `probability`, and `observe(arrays)`; a
            fast part, or None, has `predict(served)`, which returns probabilities and what to keep
            beside, and `observe(served, labels, kept)`. `more`: see `Arm`. Where labels of a slot
            arrive at different times, each part of its rows is observed by itself, and what was
            kept must be divisible (`divided`).
        delay: int >= 0, in slots (0 means a slot's labels arrive before the next slot); or text
            such as "5000rows" or "2h", by the log's column `time`; or a `Delay`.
        warmup: slots observed before the first scored one, such as `dataset.validation_slots()`;
            they are predicted and observed in the same order of events, but not handed out.
        progress: bool, or None to show a bar on terminals and in notebooks only.
        drain: bool, whether the arms at the end also learn from the rows that no later slot
            waits for, to go on with them elsewhere.
        late: `LateClicks`, a simulation of clicks that come after the delay; or None.
        backup: `StreamBackup`, which is told of each slot that is done with; where it was begun
            before, `arms` are not looked at, and only the slots that are left are handed out.

    Yields:
        dict a slot: `slot` int, `arrays`, `predictions` {arm: float32 (rows,)}, `unseen` {field:
        share of rows with a value that training never kept}, `seconds` {arm: what it took so far,
        see `RunningArms.seconds`}. A list of them holds the whole stream; `report_of` keeps the
        four columns that a report needs.

    Raises:
        ValueError: if arms share a name, `delay` is out of range, or it is one of time and the
            log has no `time`.
    """
    if backup is not None and backup.running is not None:
        first, running, pending = backup.done, backup.running, backup.pending
    else:
        first, running, pending = 0, RunningArms(arms, late), Pending(Delay.of(delay), late)
    warmup, slots = list(warmup), list(slots)
    both = [*warmup, *slots][first:]
    note = None if backup is None else backup.note
    shown = bar(both, "predict, score, learn", "slot", progress, first, note)
    for position, slot in enumerate(shown, first):
        if not pending.by_time:  # else the slot's first row says what has arrived
            running.learn(pending.arrived())
        arrays = slot.load()
        if pending.by_time:
            running.learn(pending.arrived(arrays))
        predictions, item = running.predict(arrays)
        if position >= len(warmup):
            yield {
                "slot": position - len(warmup),
                "arrays": arrays,
                "predictions": predictions,
                "unseen": slot.unseen_share(arrays) if hasattr(slot, "unseen_share") else {},
                "seconds": running.seconds(),
            }
        pending.add(arrays, item)
        # Nothing of this slot may be held while the next one is loaded, but what is pending.
        del arrays, predictions, item
        if backup is not None:
            last = position + 1 == len(warmup) + len(slots)
            backup.save(position + 1, running, pending, last)
    if drain:
        running.learn(pending.rest())


def prequential(
    slots: Iterable[Any],
    arms: Sequence[Any],
    delay: int | str | Delay = 0,
    warmup: Iterable[Any] = (),
    seed: int = 1001,
    progress: bool | None = None,
    info: dict[str, Any] | None = None,
    report: type[PrequentialReport] = PrequentialReport,
    late: LateClicks | None = None,
    drain: bool = False,
    backup: StreamBackup | None = None,
) -> PrequentialReport:
    """Run the whole stream and return a report; see `iter_prequential`.

    Args:
        slots: sequence of `Slot`.
        arms: list of `Arm`.
        delay: int, in slots, or text such as "2h", or a `Delay`.
        warmup: slots observed before the first scored one.
        seed: int, noted in the report; runs of several seeds are joined by
            `PrequentialReport.concat`.
        progress: bool, or None to show a bar on terminals and in notebooks only.
        info: dict, noted in the report, such as the backend's name.
        report: class of the report.
        late: `LateClicks`, or None.
        drain: bool, whether the arms in the end learn what is left, to go on elsewhere.
        backup: `StreamBackup`, to go on from it after a kill; or None.

    Raises:
        ValueError: if there is no slot.
    """
    events = iter_prequential(slots, arms, delay, warmup, progress, drain, late, backup)
    columns = None if backup is None else backup.columns
    return report_of(events, arms, delay, seed, info, report, columns)


def report_of(
    events: Iterable[dict[str, Any]],
    arms: Sequence[Any],
    delay: int | str | Delay = 0,
    seed: int = 1001,
    info: dict[str, Any] | None = None,
    report: type[PrequentialReport] = PrequentialReport,
    columns: Columns | None = None,
) -> PrequentialReport:
    """Collect the events of `iter_prequential` in a report; see `prequential`."""
    columns = Columns() if columns is None else columns
    for event in events:
        columns.add(event)
        del event  # the next slot is loaded with this one gone
    kept, predictions, shares = columns.kept, columns.predictions, columns.shares
    seconds, rows = columns.seconds, columns.rows
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
        predictions={arm.name: [joined(predictions[arm.name])] for arm in arms},
        labels=joined(kept["label"]),
        slot_of_row=np.repeat(np.arange(len(rows), dtype="int32"), rows),
        groups=joined(kept["group"]),
        true_probability=joined(kept["true_probability"]),
        unseen_share={field: np.array(share) for field, share in shares.items()} or None,
        info={"delay": Delay.of(delay).plain(), "microseconds": _microseconds(seconds, rows)}
        | (info or {}),
    )


def _microseconds(seconds, rows):
    """Arm -> median over slots of what an event took, without the first, which may compile."""
    steps = zip(seconds[1:], seconds[:-1], rows[1:], strict=True)
    found: dict[str, list[float]] = {}
    for after, before, count in steps:
        for arm in after:
            found.setdefault(arm, []).append(1e6 * (after[arm] - before[arm]) / max(count, 1))
    return {arm: float(np.median(times)) for arm, times in found.items()}

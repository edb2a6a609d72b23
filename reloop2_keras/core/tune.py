"""Choices made on the validation period, by replay and without retraining."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.arms import Arm, Corrected
from reloop2_keras.core.compensation import compensated
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.core.pending import Pending, first_learnt
from reloop2_keras.core.prequential import iter_prequential, report_of
from reloop2_keras.core.progress import bar
from reloop2_keras.core.served import divided

COMPENSATIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LABEL_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def training_keys(
    serving: Callable[[Any], dict], inputs: Iterable[Any], keys: Sequence[str], max_rows: int
) -> dict[str, np.ndarray]:
    """Serve training rows and return their keys, to fit a memory's key normalization.

    Args:
        serving: function of a batch's inputs -> dict with `probability` and the keys.
        inputs: iterable of inputs, such as those of shuffled training batches.
        keys: names of keys.
        max_rows: int; a mean over 65,536 shuffled rows is exact enough.

    Returns:
        dict: key name -> float32 (rows, dim).
    """
    parts, rows = [], 0
    for x in inputs:
        parts.append(serving(x))
        rows += len(parts[-1]["probability"])
        if rows >= max_rows:
            break
    return {key: np.concatenate([part[key] for part in parts]) for key in keys}


def tune_memory(
    frozen: Any,
    slots: Iterable[Any],
    candidates: dict[str, tuple[Any, str]],
    compensations: Sequence[float] = COMPENSATIONS,
    label_weights: Sequence[float] = LABEL_WEIGHTS,
    delay: int | str | Delay = 0,
    fill: int | None = None,
    progress: bool | None = False,
) -> list[dict[str, Any]]:
    """Replay the validation slots through each candidate memory; return the grid as rows.

    A memory's readings do not depend on lambda and gamma, so one replay serves the whole grid.
    Run it on the validation period only, never on slots that will be scored.

    Args:
        frozen: slow part that serves `probability` and the keys; see `core.arms.Arm`.
        slots: `dataset.validation_slots(...)`.
        candidates: dict name -> (empty memory of similarity, key name). They are reset afterwards.
        compensations: values of lambda to try; 0 (no memory) is the fair fallback.
        label_weights: values of gamma to try; (1.0,) for the paper's published form.
        delay: see `iter_prequential`; as in the evaluation to come.
        fill: int, slots that only fill the memory and are not scored. None: half of them, and as
            many as are predicted before a label arrives. The stream to come starts with all of
            them in memory: an emptier one would ask for a smaller lambda.
        progress: bool, or None to show a bar on terminals and in notebooks only.

    Returns:
        list of dicts: candidate, key, compensation, label_weight, auc, logloss.

    Raises:
        ValueError: if no label arrives before the last slot, or there are no more than `fill`.
    """
    slots = list(slots)
    fill = _fill(slots, delay, fill)
    labels, probability = [], []
    readings: dict[str, list] = {name: [] for name in candidates}
    pending = Pending(Delay.of(delay))
    for t, slot in enumerate(bar(slots, "choosing", "slot", progress)):
        if not pending.by_time:
            _write(candidates, pending.arrived())
        arrays = slot.load()
        if pending.by_time:
            _write(candidates, pending.arrived(arrays))
        served, y = frozen.serve(arrays), arrays["label"]
        p = served["probability"]
        updates = []
        for name, (memory, key) in candidates.items():
            reading, places = memory.look_up(served[key])
            updates.append((places, y, p))
            if t >= fill:
                readings[name].append(reading)
        pending.add(arrays, updates)
        if t >= fill:
            labels.append(y)
            probability.append(p)
        del arrays, served  # a slot's keys are gone before the next one is served
    labels, probability = np.concatenate(labels), np.concatenate(probability)

    rows = []
    for name, (memory, key) in candidates.items():
        memory.reset()
        parts = readings.pop(name)
        reading = {part: np.concatenate([r[part] for r in parts]) for part in parts[0]}
        for weight, strength in itertools.product(label_weights, compensations):
            p = np.clip(compensated(probability, reading, strength, weight), 0.0, 1.0)
            setting = {"compensation": strength, "label_weight": weight}
            rows.append({"candidate": name, "key": key, **setting, **_scores(labels, p)})
    return rows


def replay(
    frozen: Any,
    slots: Iterable[Any],
    candidates: Mapping[str, Corrected],
    delay: int | str | Delay = 0,
    fill: int | None = None,
    progress: bool | None = False,
) -> list[dict[str, Any]]:
    """Replay the validation slots through fast parts with nothing to tune, such as `Gated`.

    Args:
        frozen: slow part that serves what the candidates are keyed by.
        slots: `dataset.validation_slots(...)`.
        candidates: dict name -> a fresh `Memory` or `Gated`; used up by the replay.
        delay: see `iter_prequential`; as in the evaluation to come.
        fill: see `tune_memory`.
        progress: bool, or None to show a bar on terminals and in notebooks only.

    Returns:
        list of dicts: candidate, auc, logloss; the base alone is candidate "frozen".

    Raises:
        ValueError: as `tune_memory`.
    """
    arms = [Arm("frozen", frozen), *(Arm(n, frozen, fast) for n, fast in candidates.items())]
    return replay_arms(arms, slots, delay, fill, progress)


def replay_arms(
    arms: Sequence[Arm],
    slots: Iterable[Any],
    delay: int | str | Delay = 0,
    fill: int | None = None,
    progress: bool | None = False,
) -> list[dict[str, Any]]:
    """Replay the validation slots through arms, which are used up; see `replay`."""
    slots = list(slots)
    fill = _fill(slots, delay, fill)
    events = iter_prequential(slots, arms, delay, progress=progress)
    report = report_of(itertools.islice(events, fill, None), arms)
    return [
        {"candidate": arm.name, **_scores(report.labels, report.predictions[arm.name][0])}
        for arm in arms
    ]


def best_setting(rows: Iterable[dict[str, Any]], metric: str = "logloss") -> dict[str, Any]:
    """Return the row that validation picks; ties go to the smaller lambda, then to the first.

    Args:
        rows: of `tune_memory` or `replay`, or a part of them (one kind of memory, say).
        metric: "logloss" (lower is better; a proper score, the default) or "auc".

    Raises:
        ValueError: if the metric is another one, or there is no row.

    Example:
        >>> best_setting([{"auc": 0.6, "logloss": 0.5}, {"auc": 0.7, "logloss": 0.6}], "auc")
        {'auc': 0.7, 'logloss': 0.6}
    """
    if metric not in ("auc", "logloss"):
        raise ValueError(f'`metric` must be "auc" or "logloss". Received: {metric!r}')
    rows = list(rows)
    if not rows:
        raise ValueError("`rows` must hold at least one row. Received: none")
    sign = 1 if metric == "logloss" else -1
    # a figure that is NaN, of one class only, is picked last
    return min(
        rows,
        key=lambda row: (
            row[metric] != row[metric],
            sign * row[metric],
            row.get("compensation", 0.0),
        ),
    )


def _scores(labels, probability):
    return {"auc": auc(labels, probability), "logloss": logloss(labels, probability)}


def _write(candidates, arrivals):
    """Write rows whose labels arrived to all memories."""
    for arrival in arrivals:
        for (memory, _), update in zip(candidates.values(), arrival.item, strict=True):
            rows = arrival.rows
            memory.write_at(*(update if rows is None else divided(update, rows)))


def _fill(slots, delay, fill):
    delay = Delay.of(delay)
    least = first_learnt(slots, delay)
    if least >= len(slots):
        raise ValueError(
            f"`slots` must be more than {least}, so that a label arrives before the last one with "
            f"a delay of {delay}. Received: {len(slots)}"
        )
    if fill is None:
        return max(least, (len(slots) + 1) // 2)
    return integer("fill", fill, least, len(slots) - 1)

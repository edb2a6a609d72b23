"""Choices made on the validation period, by replay and without retraining."""

import collections
import itertools

import numpy as np
import pandas as pd

from reloop2_keras.core.compensation import compensated
from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.core.prequential import iter_prequential, report_of
from reloop2_keras.models.serving import HASHES, Serving
from reloop2_keras.streaming.arms import Arm, FrozenBase

COMPENSATIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
LABEL_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def training_keys(base, batches, keys=("hidden", "embedding"), max_rows=65_536):
    """Serve training rows and return their keys, to fit a memory's key normalisation.

    Args:
        base: trained base model.
        batches: iterable of `(x, y)`, such as `dataset.train(4096)`.
        keys: names of keys.
        max_rows: int; a mean over that many shuffled rows is exact enough.

    Returns:
        dict: key name -> float32 (rows, dim).
    """
    serving, parts, rows = Serving(base, keys), [], 0
    for x, *_ in batches:
        parts.append(serving(x))
        rows += len(parts[-1]["probability"])
        if rows >= max_rows:
            break
    return {key: np.concatenate([part[key] for part in parts]) for key in keys}


def tune_memory(
    base,
    slots,
    candidates,
    compensations=COMPENSATIONS,
    label_weights=LABEL_WEIGHTS,
    delay=0,
    fill=None,
):
    """Replay the validation slots through each candidate memory; return the grid as a table.

    A memory's readings do not depend on lambda and gamma, so one replay serves the whole grid.
    Run it on the validation period only, never on slots that will be scored.

    Args:
        base: trained base model.
        slots: `dataset.validation_slots(...)`.
        candidates: dict name -> (empty memory, key name). The memories are reset afterwards.
        compensations: values of lambda to try; 0 (no memory) is the fair fallback.
        label_weights: values of gamma to try; (1.0,) for the paper's published form.
        delay: int, in slots, as in the evaluation to come.
        fill: int, slots that only fill the memory and are not scored. None: half of them, at
            least `delay + 1`. The stream to come starts with all of them in memory: an emptier
            one would ask for a smaller lambda.

    Returns:
        DataFrame with columns candidate, key, compensation, label_weight, auc, logloss.

    Raises:
        ValueError: if there are not more than `delay + 1` slots, or than `fill`.

    Example:
        >>> sketch = SketchErrorMemory()
        >>> sketch.adapt(training_keys(base, dataset.train(4096))["hidden"])
        >>> table = tune_memory(base, dataset.validation_slots(5),
        ...                     {"sketch": (sketch, "hidden")})
        >>> best_setting(table)["compensation"]
    """
    slots = list(slots)
    fill = _fill(slots, delay, fill)
    frozen = FrozenBase(base, sorted({key for _, key in candidates.values()} - {HASHES}))
    labels, probability = [], []
    readings = {name: [] for name in candidates}
    pending = collections.deque()  # what delayed labels will be learnt with
    for t, slot in enumerate(slots):
        while len(pending) > delay:
            for (memory, _), update in zip(candidates.values(), pending.popleft(), strict=True):
                memory.core.write_at(*update)
        arrays = slot.load()
        served, y = frozen.serve(arrays), arrays["label"]
        p = served["probability"]
        updates = []
        for name, (memory, key) in candidates.items():
            reading, places = memory.look_up(served[key])
            updates.append((places, y, p))
            if t >= fill:
                readings[name].append(reading)
        pending.append(updates)
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
            rows.append((name, key, strength, weight, auc(labels, p), logloss(labels, p)))
    columns = ["candidate", "key", "compensation", "label_weight", "auc", "logloss"]
    return pd.DataFrame(rows, columns=columns)


def replay(base, slots, candidates, delay=0, fill=None):
    """Replay the validation slots through fast parts with nothing to tune, such as `Gated`.

    Args:
        base: trained base model.
        slots: `dataset.validation_slots(...)`.
        candidates: dict name -> a fresh `Memory` or `Gated`; used up by the replay.
        delay: int, in slots, as in the evaluation to come.
        fill: see `tune_memory`.

    Returns:
        DataFrame with columns candidate, auc, logloss; the base alone is candidate "frozen".
    """
    slots = list(slots)
    fill = _fill(slots, delay, fill)
    frozen = FrozenBase(
        base, sorted({k for fast in candidates.values() for k in _layer_keys(fast)})
    )
    arms = [Arm("frozen", frozen), *(Arm(n, frozen, fast) for n, fast in candidates.items())]
    events = iter_prequential(slots, arms, delay, progress=False)
    report = report_of(itertools.islice(events, fill, None), arms)
    rows = []
    for arm in arms:
        p = report.predictions[arm.name][0]
        rows.append((arm.name, auc(report.labels, p), logloss(report.labels, p)))
    return pd.DataFrame(rows, columns=["candidate", "auc", "logloss"])


def _layer_keys(fast):
    return [key for key in fast.keys if key != HASHES]


def _fill(slots, delay, fill):
    if len(slots) <= delay + 1:
        raise ValueError(
            f"`slots` must hold more than delay + 1 = {delay + 1}. Received: {len(slots)}"
        )
    fill = max(delay + 1, (len(slots) + 1) // 2) if fill is None else int(fill)
    if not delay + 1 <= fill < len(slots):
        raise ValueError(
            f"`fill` must be in [delay + 1, slots) = [{delay + 1}, {len(slots)}). Received: {fill}"
        )
    return fill


def best_setting(table, metric="logloss"):
    """Return the row of a table that validation picks; ties go to the smaller lambda.

    Args:
        table: DataFrame of `tune_memory` or `replay`, or a part of it (one kind of memory, say).
        metric: "logloss" (lower is better; a proper score, the default) or "auc".

    Returns:
        dict with the table's columns.
    """
    if metric not in ("auc", "logloss"):
        raise ValueError(f'`metric` must be "auc" or "logloss". Received: {metric!r}')
    by = [metric, *(["compensation"] if "compensation" in table else [])]
    ordered = table.sort_values(by, ascending=[metric == "logloss", True][: len(by)], kind="stable")
    return ordered.iloc[0].to_dict()

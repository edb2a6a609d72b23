"""What a stream shows beside scores: calibration, drift, and what moved most."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BINS = 10


def calibration(report: Any, bins: int = BINS) -> dict[str, dict[str, list]]:
    """Return the observed click rate against the prediction, in bins of equally many rows.

    All seeds are taken together: each row counts once a seed.

    Args:
        report: `PrequentialReport`.
        bins: int, at most; fewer where there are fewer rows.

    Returns:
        dict: arm -> `predicted` (mean of each bin, ascending), `observed` (its click rate), `rows`.

    Example:
        >>> from reloop2_keras.core.report import PrequentialReport
        >>> y, p = np.array([0, 1, 1, 1]), np.array([0.25, 0.25, 0.75, 0.75])
        >>> report = PrequentialReport(["frozen"], [1], {"frozen": [p]}, y, np.zeros(4, int))
        >>> calibration(report, 2)["frozen"]
        {'predicted': [0.25, 0.75], 'observed': [0.5, 1.0], 'rows': [2, 2]}
    """
    found: dict[str, dict[str, list]] = {}
    for arm in report.arms:
        p = np.concatenate(report.predictions[arm]).astype("float64")
        y = np.tile(report.labels, len(report.predictions[arm])).astype("float64")
        parts = np.array_split(np.argsort(p, kind="stable"), min(bins, len(p)))
        found[arm] = {
            "predicted": [float(p[part].mean()) for part in parts],
            "observed": [float(y[part].mean()) for part in parts],
            "rows": [len(part) for part in parts],
        }
    return found


def drift(report: Any) -> dict[str, Any]:
    """Return what changes from slot to slot, whatever the arms make of it.

    Args:
        report: `PrequentialReport`.

    Returns:
        dict: `rows` and `click_rate` of each slot that has rows, and `unseen`: field -> share of
        each slot's rows with a value that training never kept (empty where that is not known).

    Example:
        >>> from reloop2_keras.core.report import PrequentialReport
        >>> y, p = np.array([0, 1, 1]), np.full(3, 0.5)
        >>> drift(PrequentialReport(["frozen"], [1], {"frozen": [p]}, y, np.array([0, 0, 1])))
        {'rows': [2, 1], 'click_rate': [0.5, 1.0], 'unseen': {}}
    """
    slots = report.slot_numbers()
    rows = np.bincount(report.slot_of_row)[slots]
    clicks = np.bincount(report.slot_of_row, weights=report.labels)[slots]
    shares = report.unseen_share or {}
    return {
        "rows": [int(count) for count in rows],
        "click_rate": [float(rate) for rate in clicks / rows],
        "unseen": {field: [float(x) for x in share] for field, share in shares.items()},
    }


def moved(content: Mapping[str, Any], count: int = 3) -> list[dict[str, Any]]:
    """Return what changed most from the first third of the stream to its last third.

    Args:
        content: of a metrics.json: `drift`, `slots`, and the weights under `info`.
        count: int, how many of each kind.

    Returns:
        list of dicts: `what` (the kind), `name`, `first` and `last` (means of the thirds) and
        `change`; within a kind the largest change comes first.

    Example:
        >>> rates = {"click_rate": [0.1, 0.2, 0.4], "unseen": {"user": [0.0, 0.5, 0.5]}}
        >>> [(row["what"], row["name"], row["change"]) for row in moved({"drift": rates})]
        [('click rate', '', 0.3), ('share of unseen values', 'user', 0.5)]
    """
    facts, info = content.get("drift") or {}, content.get("info") or {}
    kinds: dict[str, Mapping[str, Sequence[Any]]] = {
        "click rate": {"": facts.get("click_rate") or []},
        "share of unseen values": facts.get("unseen") or {},
        "AUC gained over frozen": _gains(content.get("slots") or {}),
    }
    for key, words in (("weights", "weight of an arm"), ("table_weights", "weight of a table")):
        for arm, runs in (info.get(key) or {}).items():
            if not arm.startswith("shuffled"):
                kinds[f"{words} inside {arm}"] = series(runs)
    rows = []
    for what, named in kinds.items():
        found = [{"what": what, "name": name, **_thirds(values)} for name, values in named.items()]
        known = [row for row in found if row["change"] is not None]
        rows += sorted(known, key=lambda row: -abs(row["change"]))[:count]
    return rows


def series(runs: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, list[float | None]]:
    """Return name -> its value after each slot, mean over seeds, of what `info.weights` holds.

    Args:
        runs: of each seed, of each slot: name -> weight. A name that a slot lacks is None there.

    Example:
        >>> series([[{"a": 1.0}, {"a": 0.5, "b": 0.5}], [{"a": 1.0}, {"a": 1.0}]])
        {'a': [1.0, 0.75], 'b': [None, 0.5]}
    """
    slots = max((len(run) for run in runs), default=0)
    names = dict.fromkeys(name for run in runs for slot in run for name in slot)
    found: dict[str, list[float | None]] = {name: [] for name in names}
    for slot in range(slots):
        given = [run[slot] for run in runs if slot < len(run)]
        for name, values in found.items():
            held = [part[name] for part in given if part.get(name) is not None]
            values.append(float(np.mean(held)) if held else None)
    return found


def _gains(slots):
    """Arm -> AUC over the frozen base in each slot; controls of shuffled labels are left out."""
    frozen = (slots.get("frozen") or {}).get("auc") or []
    return {
        arm: [
            None if a is None or b is None else a - b
            for a, b in zip(found.get("auc") or [], frozen, strict=False)
        ]
        for arm, found in slots.items()
        if arm != "frozen" and not arm.startswith("shuffled")
    }


def _thirds(values):
    """Means of the first and the last third of a series, and what lies between them."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return {"first": None, "last": None, "change": None}
    part = max(1, len(known) // 3)
    first, last = float(np.mean(known[:part])), float(np.mean(known[-part:]))
    return {"first": first, "last": last, "change": round(last - first, 12)}

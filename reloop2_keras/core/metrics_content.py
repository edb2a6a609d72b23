"""The content of metrics.json: what was found, and all that is needed to find it again."""

import math
from typing import Any

from reloop2_keras.core.stream_facts import calibration, drift
from reloop2_keras.core.verdict import decision, intervals, recommended, sentence

# what a run notes of itself; the rest of a report's `info` stands under "info"
ABOUT = (
    "dataset",
    "path",
    "checksum",
    "parameters",
    "date",
    "revision",
    "seconds",
    "rows",
    "backend",
    "versions",
)
# what differs when the same run is made again: moments, how long things took, the checksum of all
TIMES = frozenset({"date", "seconds", "microseconds", "sha256"})
_IN_PARAMETERS = ("base", "incremental", "delay")  # not told twice


def metrics_content(
    report: Any,
    slots: dict[str, dict[str, list[float]]],
    against_controls: dict[str, dict[str, str]] | None,
) -> dict[str, Any]:
    """Return the content of metrics.json: plain types, NaN as None.

    Args:
        report: `PrequentialReport`, of any package.
        slots: metric -> arm -> its value in each slot.
        against_controls: what core's `PrequentialReport.verdict` says, or None without controls.

    Returns:
        dict: what `ABOUT` names; `seeds`; `verdict`, the sentence; `decision`, the same for
        programs; `intervals` of the recommended arm; `against_controls`; `arms` (metrics over the
        stream, mean over seeds); `slots` (AUC and log loss of each); `calibration`; `drift`;
        `best_possible` where the log is synthetic; `info`.
    """
    arm = recommended(report)
    found = intervals(report, arm) if arm else {}
    rows = report.scores()
    best = rows.pop("best possible", None)
    for name, took in (report.info.get("microseconds") or {}).items():
        rows[name]["microseconds"] = took
    # a report that no study made has no parameters: there `info` is all that is known
    told = (*ABOUT, *(_IN_PARAMETERS if report.info.get("parameters") else ()))
    content = {
        **{key: report.info.get(key) for key in ABOUT},
        "seeds": list(report.seeds),
        "verdict": sentence(report, found),
        "decision": decision(report, found),
        "intervals": found if arm else None,
        "against_controls": against_controls,
        "arms": rows,
        "slots": {arm: {m: by_arm[arm] for m, by_arm in slots.items()} for arm in report.arms},
        "calibration": calibration(report),
        "drift": drift(report),
        "info": {key: value for key, value in report.info.items() if key not in told},
    }
    if best is not None:
        content["best_possible"] = {m: v for m, v in best.items() if not m.endswith("_sd")}
    return plain_tree(content)


def without_times(content: Any) -> Any:
    """Return a metrics.json, or a model.json, without what differs when the same run is made again.

    Those are the keys `TIMES`, however deep they lie. The rest is equal to the bit for the same
    seed, dataset, backend and machine (docs/reproducible.md).

    Example:
        >>> without_times({"date": "2026-11-26", "arms": {"frozen": {"auc": 0.7, "seconds": 3}}})
        {'arms': {'frozen': {'auc': 0.7}}}
    """
    if isinstance(content, dict):
        return {k: without_times(part) for k, part in content.items() if k not in TIMES}
    return [without_times(part) for part in content] if isinstance(content, list) else content


def plain_tree(value: Any) -> Any:
    """Return plain types for JSON, which has no NaN: None stands for it, however deep it lies.

    Example:
        >>> plain_tree({"a": (1, float("nan"))})
        {'a': [1, None]}
    """
    if isinstance(value, dict):
        return {name: plain_tree(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_tree(part) for part in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value

"""The content of curve.json: every arm at every point, what to do there, and what it costs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from reloop2_keras.core.bootstrap import paired_interval
from reloop2_keras.core.metrics_content import ABOUT, plain_tree
from reloop2_keras.core.verdict import (
    METRICS,
    advice,
    compared,
    decision,
    differences,
    intervals,
    is_better,
    recommended,
    sentence,
    warnings_of,
)


def curve_content(curve: Any, metrics: Sequence[str]) -> dict[str, Any]:
    """Return the content of curve.json: plain types, NaN as None.

    Args:
        curve: `Curve`.
        metrics: names of those to tell of each arm.

    Returns:
        dict: what `ABOUT` names, of the first point, but `seconds` and those `parameters` that
        differ, which are lists, one a point; `axis`; `points`; `bound`; `seeds`; `verdict`, the
        sentence; `decisions`, `verdicts` and `intervals`, one a point, as in a metrics.json;
        `changes`: what the recommended arm (`arm`) gains over the first point (`over`), one a
        point, or None; `arms`: arm -> metric -> list, one a point.
    """
    reports = list(curve.points.values())
    found = [_intervals(report) for report in reports]
    decided = [decision(*pair) for pair in zip(reports, found, strict=True)]
    arm = recommended(reports[0])
    scores = {metric: curve.scores(metric) for metric in metrics}
    first = reports[0].info
    content = {
        **{name: first.get(name) for name in ABOUT},
        "parameters": _together([report.info.get("parameters") or {} for report in reports]),
        "seconds": [report.info.get("seconds") for report in reports],
        "axis": curve.axis,
        "points": list(curve.points),
        "bound": curve.bound,
        "seeds": list(reports[0].seeds),
        "verdict": _sentence(curve, arm, decided),
        "decisions": decided,
        "verdicts": [sentence(*pair) for pair in zip(reports, found, strict=True)],
        "intervals": found,
        "changes": None if arm is None else _changes(curve, arm),
        "arms": {a: {m: scores[m][a] for m in metrics} for a in reports[0].arms},
    }
    return plain_tree(content)


def curve_sentence(curve: Any) -> str:
    """Return the verdict over all points: what to do, and what a delay or a way costs.

    Where one point is a bound ("none late"), the others are ways to choose among: the best by the
    recommended arm's log loss is named if it is known to be better than each other one. Else the
    points are what the world may ask for, and each gets its own advice.

    Args:
        curve: `Curve`.

    Example:
        >>> import numpy as np
        >>> from reloop2_keras.core.curve import Curve
        >>> from reloop2_keras.core.report import PrequentialReport
        >>> y = np.random.default_rng(0).integers(0, 2, 4000)
        >>> slots = np.arange(4000) // 200
        >>> def report(gain):
        ...     p = dict.fromkeys(["frozen", "recalibrated"], [np.full(4000, 0.5)])
        ...     return PrequentialReport(
        ...         [*p, "online"], [1], p | {"online": [0.5 + gain * (y - 0.5)]}, y, slots
        ...     )
        >>> for part in curve_sentence(Curve("delay", {"0": report(0.4), "1": report(0.2)})
        ... ).split(". "):
        ...     print(part)
        deploy: online, at each delay
        Against 0, online changes: at 1 AUC +.000 [+.000, +.000], log loss +.154 [+.154, +.154] \
(1 seed)
    """
    reports = list(curve.points.values())
    return _sentence(curve, recommended(reports[0]), [decision(report) for report in reports])


def _sentence(curve, arm, decided):
    reports = list(curve.points.values())
    head = _ways(curve, arm, decided) if curve.bound and arm else _each(curve, arm, decided)
    seeds = len(reports[0].seeds)
    counted = f" ({seeds} seed" + ("s" if seeds > 1 else "") + ")"
    return head + counted + "".join(f". {text}" for text in warnings_of(reports[0]))


def _each(curve, arm, decided):
    """Advice at each point, and what the arm loses from the first one on."""
    names = list(curve.points)
    groups: dict[str, list[str]] = {}
    for name, one in zip(names, decided, strict=True):
        groups.setdefault(advice(one), []).append(name)
    if len(groups) == 1 and len(names) > 1:
        told = f"{next(iter(groups))}, at each {curve.axis}"
    else:
        told = "; ".join(f"at {', '.join(at)}: {text}" for text, at in groups.items())
    changes = _changes(curve, arm) if arm else None
    if not changes or len(names) < 2:
        return told
    rows = zip(names[1:], changes["points"][1:], strict=True)
    parts = "; ".join(f"at {name} {differences(part)}" for name, part in rows)
    return f"{told}. Against {names[0]}, {arm} changes: {parts}"


def _ways(curve, arm, decided):
    """Which way is best for the arm, over which others, and what it loses to the bound."""
    names = list(curve.points)
    ways = [name for name in names if name != curve.bound]
    loss = dict(zip(names, curve.scores("logloss")[arm], strict=True))
    best = min(ways, key=lambda name: loss[name])
    others = [name for name in ways if name != best]
    found = [_difference(curve, arm, best, other) for other in others]
    known = all(part is not None and is_better(part) for part in found)
    way = best if known else f"not known yet, {best} at best"
    told = f"{advice(decided[names.index(best)])}; late clicks: {way}"
    pairs = [
        *zip(others, found, strict=True),
        (curve.bound, _difference(curve, arm, best, curve.bound)),
    ]
    parts = [compared(part, other) for other, part in pairs if part is not None]
    return f"{told}. {arm} with {best} is {'; '.join(parts)}" if parts else told


def _changes(curve, arm):
    """What the arm gains over the first point, at each; None where one slot has no spread."""
    first = next(iter(curve.points))
    found = [_difference(curve, arm, name, first) for name in curve.points]
    return None if None in found else {"arm": arm, "over": first, "points": found}


def _difference(curve, arm, point, other):
    """The arm at one point minus itself at another: metric -> (mean, low, high)."""
    report = curve.points[point]
    if len(report.slot_numbers()) < 2:
        return None
    runs = {"there": report, "here": curve.points[other]}
    both = dataclasses.replace(
        report,
        arms=list(runs),
        predictions={name: one.predictions[arm] for name, one in runs.items()},
    )
    return {metric: paired_interval(both, "there", "here", metric) for metric in METRICS}


def _intervals(report):
    arm = recommended(report)
    return {} if arm is None else intervals(report, arm)


def _together(parameters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Parameters of several runs: one value where all have it, else a list of each run's."""
    rows = {name: [row.get(name) for row in parameters] for name in parameters[0]}
    return {
        name: values[0] if all(v == values[0] for v in values) else values
        for name, values in rows.items()
    }

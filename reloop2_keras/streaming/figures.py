"""Figures of a prequential report; `matplotlib.figure.Figure` objects, no global state.

Each figure's label (`figure.get_label()`) is one sentence that says what it shows, with its
figures, for those who cannot see it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from reloop2_keras.core.arm_styles import GREY, PALETTE, style
from reloop2_keras.core.curve import Curve
from reloop2_keras.core.curve_page import amounts
from reloop2_keras.core.verdict import RIVALS, TRAINED_ON, recommended
from reloop2_keras.streaming.drawing import axes, label_ends
from reloop2_keras.streaming.report import PrequentialReport

LABELS = {"auc": "AUC", "gauc": "gAUC", "logloss": "log loss (nats)", "ece": "ECE"}
SLOTS = "slot (time runs to the right)"
FAR = 1.0  # a line further below 0 than the best one is above it is not drawn to scale
# the arms that tell the story; a figure of all of them is for those who look for one
STORY = (
    "recalibrated",
    "exact",
    "feature",
    "incremental hashed",
    "vw",
    "adpredictor",
    "tables",
    "online",
)


def metric_per_slot(report: PrequentialReport, metric: str = "auc") -> Figure:
    """Draw a metric of each slot, a line an arm.

    Args:
        report: `PrequentialReport`.
        metric: "auc", "gauc", "logloss", "ece" or "ctr_bias".

    Returns:
        `matplotlib.figure.Figure`.
    """
    name = LABELS.get(metric, metric)
    return lines(report.per_slot(metric), name, f"{name} of each slot")


def gain_per_slot(
    report: PrequentialReport,
    metric: str = "auc",
    over: str = "frozen",
    arms: Sequence[str] | None = None,
) -> Figure:
    """Draw what each arm gains over one of them, slot by slot; up is better for every metric.

    Args:
        report: `PrequentialReport`.
        metric: see `metric_per_slot`.
        over: name of an arm.
        arms: names, of which those that were not run are left out; None: all but controls of
            shuffled labels, which lie far below all others.

    Raises:
        ValueError: if `over` is no arm of the report.
    """
    if over not in report.arms:
        raise ValueError(f"`over` must be one of {report.arms}. Received: {over!r}")
    asked = [arm for arm in report.arms if not arm.startswith("shuffled")] if arms is None else arms
    found = [arm for arm in report.arms if arm in asked and arm != over]
    return gains(report.per_slot(metric), found, metric, over)


def gains(
    table: pd.DataFrame, arms: Sequence[str], metric: str = "auc", over: str = "frozen"
) -> Figure:
    """Draw `gain_per_slot` of a table: index slot, column arm."""
    sign = -1.0 if metric in ("logloss", "ece") else 1.0
    gained = table[list(arms)].sub(table[over], axis=0) * sign
    name = LABELS.get(metric, metric)
    title = f"{name} gained over {over}"
    figure = lines(gained, title, f"{title}, by slot", bottom=-FAR * float(gained.max().max()))
    figure.axes[0].axhline(0.0, color=GREY, lw=1.0, zorder=1)
    return figure


def lines(
    table: pd.DataFrame, ylabel: str, what: str, xlabel: str = SLOTS, bottom: float | None = None
) -> Figure:
    """Draw each column of a table as a line with its name at its end.

    Args:
        table: DataFrame, index x, a column an arm.
        ylabel, xlabel: names of the axes.
        what: str, what is shown, for the figure's label.
        bottom: float < 0, or None: lines that lie below it throughout are named at the lower edge,
            with an arrow, or they would press all others together.
    """
    arms = [str(name) for name in table.columns]
    figure, (ax,) = axes(ylabel, xlabel, height=max(3.4, 0.25 * len(arms) + 1.0))
    below = [a for a in arms if bottom is not None and bottom < 0 and table[a].max() < bottom]
    shown = table.rename(columns={arm: f"{arm} ↓" for arm in below})
    if below and bottom is not None:
        ax.set_ylim(bottom, 1.1 * float(table.max().max()))
    _draw(ax, shown, arms)
    means = table.mean().sort_values(ascending=False)
    said = ", ".join(f"{arm} {value:+.3f}" for arm, value in means.items())
    figure.set_label(f"Lines: {what}; means: {said}.")
    return figure


def _draw(ax: Any, table: pd.DataFrame, arms: list[str], marker: str | None = None) -> None:
    ends = {}
    for column, arm in zip(table.columns, arms, strict=True):
        looks = style(arm, arms)
        ax.plot(table.index, table[column], **looks, label=arm, marker=marker)
        known = table[column].dropna()
        ends[column] = (float(known.iloc[-1]) if len(known) else np.nan, looks)
    label_ends(ax, ends)


def calibration_curve(
    report: PrequentialReport, arms: Sequence[str] | None = None, num_bins: int = 10
) -> Figure:
    """Draw the observed click rate against the prediction, in bins of equally many rows.

    Args:
        report: `PrequentialReport`.
        arms: names; None: frozen, the rival of the smallest log loss, and the recommended arm,
            since more lines lie on each other.
        num_bins: int.
    """
    arms = _three(report) if arms is None else list(arms)
    figure, (ax,) = axes("observed click rate", "mean prediction", height=4.0, width=6.4)
    ends, far = {}, []
    for arm in arms:
        points = _bins(report.predictions[arm][0].astype("float64"), report.labels, num_bins)
        looks = style(arm, arms)
        ax.plot(points[:, 0], points[:, 1], marker="o", ms=4, **looks, label=arm)
        ends[arm] = (float(points[-1, 1]), looks)
        far.append(f"{arm} {np.abs(points[:, 0] - points[:, 1]).max():.3f}")
    top = 1.05 * max(float(line.get_xydata().max()) for line in ax.get_lines())
    ax.plot([0, top], [0, top], color=GREY, lw=1.0, zorder=1)
    ax.set(xlim=(0, top), ylim=(0, top))
    label_ends(ax, ends)
    figure.set_label(
        "Lines: observed click rate against mean prediction in ten bins, beside the diagonal; "
        f"largest distance from it: {', '.join(far)}."
    )
    return figure


def _three(report: PrequentialReport) -> list[str]:
    """Frozen, the best rival, what is recommended: as many of them as were run."""
    scores = report.scores()
    rivals = [arm for arm in report.arms if arm in (*RIVALS, *TRAINED_ON)]
    best = min(rivals, key=lambda arm: scores[arm]["logloss"]) if rivals else None
    wanted = ("frozen", best, recommended(report))
    return [arm for arm in report.arms if arm in wanted] or list(report.arms[:3])


def _bins(p: np.ndarray, labels: np.ndarray, num_bins: int) -> np.ndarray:
    parts = np.array_split(np.argsort(p, kind="stable"), num_bins)
    return np.array([(p[i].mean(), labels[i].mean()) for i in parts if len(i)])


def drift(report: PrequentialReport) -> Figure:
    """Draw the drift itself: click rate a slot, and the share of unseen values of each field."""
    slots = np.unique(report.slot_of_row)
    rows = np.bincount(report.slot_of_row)[slots]
    clicks = np.bincount(report.slot_of_row, weights=report.labels)[slots]
    return _drift(slots, clicks / rows, report.unseen_share or {})


def drift_of_slots(slots: Iterable[Any]) -> Figure:
    """Draw `drift` of a log before anything was run on it.

    Args:
        slots: `dataset.slots()`.
    """
    rates, shares = [], []
    for slot in slots:
        arrays = slot.load()
        rates.append(float(arrays["label"].mean()))
        shares.append(slot.unseen_share(arrays))
    by_field = {field: [share[field] for share in shares] for field in shares[0]}
    return _drift(range(len(rates)), rates, by_field)


def _drift(slots: Sequence[int], rates: Any, shares: dict[str, Any]) -> Figure:
    figure, (left, right) = axes("click rate", "slot", columns=2, width=8.4)
    left.plot(slots, rates, color="#000000", lw=1.6)
    left.set_ylim(bottom=0)
    right.set_ylabel("share of unseen values", fontsize=11)
    # the fields that drift most; 39 lines would say nothing
    top = sorted(shares, key=lambda field: -float(np.max(shares[field])))[:6]
    ends = {}
    for color, field in zip(PALETTE, top, strict=False):
        right.plot(slots, shares[field], color=color, label=field, lw=1.6)
        ends[field] = (float(shares[field][-1]), {"color": color})
    right.set_ylim(bottom=0)
    label_ends(right, ends)
    said = ", ".join(f"{field} {value:.0%}" for field, (value, _) in ends.items())
    figure.set_label(
        f"Left: click rate by slot, from {min(rates):.2f} to {max(rates):.2f}. Right: share of "
        f"rows with an unseen value; at the end: {said or 'none'}."
    )
    return figure


def curve(points: Curve) -> Figure:
    """Draw AUC and log loss of all arms but controls against the delay, or another condition."""
    at, label = _positions(points)
    arms = [arm for arm in points.scores("auc") if not arm.startswith("shuffled")]
    figure, found = axes("AUC", label, 2, max(3.4, 0.25 * len(arms) + 1.0), 9.6)
    found[1].set_ylabel("log loss (nats)", fontsize=11)
    for ax, metric in zip(found, ("auc", "logloss"), strict=True):
        rows = points.scores(metric)
        table = pd.DataFrame({arm: rows[arm] for arm in arms}, index=pd.Index(at))
        if ax is found[0]:
            for arm in arms:
                ax.plot(at, table[arm], marker=".", **style(arm, arms), label=arm)
        else:
            _draw(ax, table, arms, marker=".")
    figure.set_label(f"Lines: AUC and log loss against {label}, {len(arms)} arms.")
    return figure


def _positions(points):
    """Where points lie: by their amounts if all are delays of one unit, else side by side."""
    known = amounts(list(points.points))
    return (
        (known[0], f"{points.axis} ({known[1]})") if known else (list(points.points), points.axis)
    )

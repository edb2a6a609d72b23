"""Figures of a prequential report; `matplotlib.figure.Figure` objects, no global state."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reloop2_keras.core.curve import Curve
from reloop2_keras.core.delay import Delay
from reloop2_keras.streaming.report import PrequentialReport

# Okabe-Ito: told apart by colour-blind readers and in grey print
COLORS = {
    "frozen": "#777777",
    "recalibrated": "#b0b0b0",
    "shuffled": "#d8c8a8",
    "exact": "#0072b2",
    "sketch": "#56b4e9",
    "feature": "#f0a080",
    "incremental": "#009e73",
    "incremental hashed": "#44aa99",
    "incremental+feature": "#e8b8d0",
    "feature+sketch": "#f0c080",
    "shuffled feature": "#e8d8b8",
    "shuffled online": "#e8d8b8",
    "frozen linear": "#999999",
    "vw": "#8c510a",
    "vw+base": "#bf812d",
    "adpredictor": "#7b3294",
    "tables": "#e69f00",
    "online": "#d55e00",
    "online+incremental": "#cc79a7",
}
SPARE = ("#000000", "#f0e442", "#994f00")
DASHES = ("--", ":", "-.")
LABELS = {"auc": "AUC", "gauc": "gAUC", "logloss": "log loss (nats)", "ece": "ECE"}


def _style(arm, arms):
    """Colour and dashes of an arm; "exact hidden" takes after "exact", but is dashed."""
    if arm in COLORS:
        return {"color": COLORS[arm], "ls": "-"}
    others = [name for name in arms if name not in COLORS]
    first = arm.split(" ")[0]
    family = [name for name in others if name.split(" ")[0] == first]
    color = COLORS.get(first) or SPARE[others.index(arm) % len(SPARE)]
    return {"color": color, "ls": DASHES[family.index(arm) % len(DASHES)]}


def _axes(ylabel, xlabel="slot (time runs to the right)", columns=1):
    figure = Figure(figsize=(7.2, 3.4), dpi=80, layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#eeeeee")
        ax.set_xlabel(xlabel)
        if xlabel.startswith("slot"):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[0].set_ylabel(ylabel)
    return figure, axes


def _legend(ax):
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def metric_per_slot(report: PrequentialReport, metric: str = "auc") -> Figure:
    """Draw a metric of each slot, a line an arm.

    Args:
        report: `PrequentialReport`.
        metric: "auc", "gauc", "logloss", "ece" or "ctr_bias".

    Returns:
        `matplotlib.figure.Figure`.
    """
    figure, (ax,) = _axes(LABELS.get(metric, metric))
    table = report.per_slot(metric)
    for arm in report.arms:
        ax.plot(table.index, table[arm], **_style(arm, report.arms), label=arm, lw=1.6)
    _legend(ax)
    return figure


def gain_per_slot(report: PrequentialReport, metric: str = "auc", over: str = "frozen") -> Figure:
    """Draw what each arm gains over one of them, slot by slot; up is better for every metric.

    Controls of shuffled labels are left out: they lie far below all others.
    """
    if over not in report.arms:
        raise ValueError(f"`over` must be one of {report.arms}. Received: {over!r}")
    figure, (ax,) = _axes(f"{LABELS.get(metric, metric)} gained over {over}")
    table = report.per_slot(metric)
    sign = -1.0 if metric in ("logloss", "ece") else 1.0
    for arm in report.arms:
        if arm != over and not arm.startswith("shuffled"):
            gain = sign * (table[arm] - table[over])
            ax.plot(table.index, gain, **_style(arm, report.arms), label=arm, lw=1.6)
    ax.axhline(0.0, color=COLORS["frozen"], lw=1.0, ls="--")
    _legend(ax)
    return figure


def calibration_curve(report: PrequentialReport, num_bins: int = 10) -> Figure:
    """Draw the observed click rate against the prediction, in bins of equally many rows."""
    figure, (ax,) = _axes("observed click rate", "mean prediction")
    ax.plot([0, 1], [0, 1], color="#bbbbbb", lw=1.0, ls="--")
    for arm in report.arms:
        p = report.predictions[arm][0].astype("float64")
        parts = np.array_split(np.argsort(p, kind="stable"), num_bins)
        points = np.array([(p[i].mean(), report.labels[i].mean()) for i in parts if len(i)])
        style = _style(arm, report.arms)
        ax.plot(points[:, 0], points[:, 1], marker=".", **style, label=arm, lw=1.2)
    _legend(ax)
    return figure


def drift(report: PrequentialReport) -> Figure:
    """Draw the drift itself: click rate a slot, and the share of unseen values of each field."""
    figure, (left, right) = _axes("click rate", columns=2)
    slots = np.unique(report.slot_of_row)
    rows = np.bincount(report.slot_of_row)[slots]
    clicks = np.bincount(report.slot_of_row, weights=report.labels)[slots]
    left.plot(slots, clicks / rows, color="#000000", lw=1.6)
    left.set_ylim(bottom=0)
    right.set_ylabel("share of rows with an unseen value")
    shares = report.unseen_share or {}
    # the fields that drift most; 39 lines would say nothing
    top = sorted(shares, key=lambda field: -float(np.max(shares[field])))[:6]
    palette = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
    for color, field in zip(palette, top, strict=False):
        right.plot(slots, shares[field], color=color, label=field, lw=1.6)
    right.set_ylim(bottom=0)
    if top:
        _legend(right)
    return figure


def curve(points: Curve) -> Figure:
    """Draw AUC and log loss of all arms but controls against the delay, or another condition."""
    at, label = _positions(points)
    figure, axes = _axes("AUC", label, columns=2)
    axes[1].set_ylabel("log loss (nats)")
    for ax, metric in zip(axes, ("auc", "logloss"), strict=True):
        rows = points.scores(metric)
        for arm in (name for name in rows if not name.startswith("shuffled")):
            ax.plot(at, rows[arm], marker=".", **_style(arm, list(rows)), label=arm, lw=1.4)
    _legend(axes[1])
    return figure


def _positions(points):
    """Where points lie: by their amounts if all are delays of one unit, else side by side."""
    try:
        delays = [Delay.of(name) for name in points.points]
    except ValueError:
        return list(points.points), points.axis
    if len({delay.unit for delay in delays}) > 1:
        return list(points.points), points.axis
    return [delay.amount for delay in delays], f"{points.axis} ({delays[0].unit})"

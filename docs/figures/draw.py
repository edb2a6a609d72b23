"""Draws the pictures of docs/maths.md as SVG: python docs/figures/draw.py [FOLDER]."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from reloop2_keras.core.arm_styles import BLUE, GREEN, GREY, ORANGE, VERMILLION
from reloop2_keras.notebook import svg

ARCHITECTURE = (
    "A row's values go two ways. Slow: ids, embeddings and DeepFM give the base's logit z. Fast: "
    "hashes of the raw values find beliefs in tables. A gate mixes both to the corrected "
    "prediction; a Hedge weighs several such arms; a label that arrives teaches tables, gate and "
    "Hedge, and not the slow model."
)
PLANE = (
    "Two vectors at an angle theta in the plane, and three random lines through the origin: only "
    "the line that falls between the vectors puts them on different sides."
)


def box(ax, at, text, color, width=2.1, height=0.72):
    """Draw a named box around a place."""
    x, y = at
    style = {"boxstyle": "round,pad=0.02", "edgecolor": color, "facecolor": "white", "lw": 1.6}
    ax.text(x, y, text, ha="center", va="center", fontsize=10.5, zorder=3)
    from matplotlib.patches import FancyBboxPatch

    patch = FancyBboxPatch((x - width / 2, y - height / 2), width, height, **style, zorder=2)
    ax.add_patch(patch)


def arrow(ax, start, end, color="#000000", ls="-"):
    """Draw an arrow from one place to another."""
    look = {"arrowstyle": "-|>", "color": color, "lw": 1.4, "ls": ls, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=end, xytext=start, arrowprops=look)


def architecture():
    """Return the picture of slow model, tables, gate and Hedge."""
    figure = Figure(figsize=(9.2, 3.9), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(-0.1, 11.9), ylim=(-0.1, 4.7))
    ax.axis("off")
    box(ax, (1.1, 2.4), "a row:\nraw values", "#000000", 1.6)
    box(ax, (3.7, 3.9), "ids → embeddings V, w", BLUE, 2.5)
    box(ax, (6.8, 3.9), "DeepFM\n(slow, frozen)", BLUE)
    box(ax, (3.7, 1.3), "hashes → places", VERMILLION, 2.5)
    box(ax, (6.8, 1.3), "tables: mean m,\nvariance P", VERMILLION)
    box(ax, (8.9, 2.6), "gate\na z + c + Σ g m", ORANGE, 1.9)
    box(ax, (11.0, 2.6), "Hedge\nover arms", GREEN, 1.6)
    box(ax, (11.0, 0.45), "label y", "#000000", 1.6, 0.55)
    arrow(ax, (1.9, 2.65), (2.4, 3.7))
    arrow(ax, (1.9, 2.15), (2.4, 1.5))
    arrow(ax, (5.0, 3.9), (5.7, 3.9))
    arrow(ax, (5.0, 1.3), (5.7, 1.3))
    arrow(ax, (7.9, 3.75), (8.7, 3.0))
    arrow(ax, (7.9, 1.5), (8.7, 2.2))
    arrow(ax, (9.9, 2.6), (10.15, 2.6))
    arrow(ax, (11.0, 3.0), (11.0, 3.75))
    ax.text(11.0, 4.0, "corrected p", ha="center", fontsize=11, fontweight="bold")
    ax.text(8.35, 3.6, "z", fontsize=11, color=BLUE)
    arrow(ax, (11.0, 0.78), (11.0, 2.2), GREY, "--")
    arrow(ax, (10.15, 0.6), (9.1, 2.2), GREY, "--")
    arrow(ax, (10.15, 0.45), (7.9, 1.1), GREY, "--")
    ax.text(8.3, 0.25, "learn, after the score", fontsize=10.5, color=GREY, ha="center")
    return figure


def plane():
    """Return the picture of random planes and two vectors."""
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    ax = figure.subplots()
    ax.set(xlim=(-1.35, 1.5), ylim=(-1.05, 1.25), aspect="equal")
    ax.axis("off")
    for degrees, color, ls in ((50, VERMILLION, "-"), (100, GREY, "--"), (150, GREY, "--")):
        angle = np.radians(degrees)
        x, y = 1.2 * np.cos(angle), 1.0 * np.sin(angle)
        ax.plot([-x, x], [-y, y], color=color, ls=ls, lw=1.5)
    for degrees, name in ((25, "h"), (75, "h′")):
        x, y = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        arrow(ax, (0, 0), (x, y), BLUE)
        ax.text(1.08 * x, 1.08 * y, name, fontsize=13, color=BLUE, ha="center", va="center")
    arc = np.radians(np.linspace(25, 75, 30))
    ax.plot(0.4 * np.cos(arc), 0.4 * np.sin(arc), color="#000000", lw=1.2)
    ax.text(0.47, 0.33, "θ", fontsize=13)
    ax.text(0.86, 0.9, "between: signs differ", color=VERMILLION, fontsize=10.5, ha="left")
    ax.text(-1.3, -0.95, "θ/π of all planes fall between", fontsize=10.5)
    return figure


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for name, figure, alt in (
        ("architecture", architecture(), ARCHITECTURE),
        ("random_plane", plane(), PLANE),
    ):
        (folder / f"{name}.svg").write_text(svg(figure, alt), encoding="utf-8")

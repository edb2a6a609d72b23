"""The style of every figure: axes, and names beside the lines they belong to.

Colors and dashes: `core.arm_styles`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reloop2_keras.core.arm_styles import RECOMMENDED

FONT = {"font.size": 11, "axes.titlesize": 11, "axes.labelsize": 11, "legend.fontsize": 11}
FONT |= {"xtick.labelsize": 10, "ytick.labelsize": 10}
LINE = 1.22  # height of a line of text over its font size


def axes(
    ylabel: str, xlabel: str, columns: int = 1, height: float = 3.4, width: float = 7.2
) -> tuple[Figure, Any]:
    """Return a figure and an array of its axes, side by side, in the style of this house.

    Args:
        ylabel: str, of the first of them.
        xlabel: str, of all; one that begins with "slot" or "epoch" has whole numbers.
        columns: int.
        height, width: floats, inches.
    """
    import matplotlib

    with matplotlib.rc_context(FONT):
        figure = Figure(figsize=(width, height), layout="constrained")
        found = figure.subplots(1, columns, squeeze=False)[0]
    for ax in found:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#e6e6e6", lw=0.8)
        ax.set_axisbelow(True)
        ax.set_xlabel(xlabel, fontsize=11)
        ax.margins(x=0.02)
        if xlabel.startswith(("slot", "epoch")):
            ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    found[0].set_ylabel(ylabel, fontsize=11)
    return figure, found


def spread(heights: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> list:
    """Return heights at least `gap` apart and within [low, high], in the same order.

    Where there is no room for all, they are evenly spaced.

    Args:
        heights: floats, where things would like to be.
        gap: float.
        low, high: floats, the room.

    Example:
        >>> spread([0.5, 0.5, 0.1], 0.2)
        [0.5, 0.7, 0.1]
    """
    order = sorted(range(len(heights)), key=lambda i: (heights[i], i))
    if len(order) > 1 and gap * (len(order) - 1) > high - low:
        gap = (high - low) / (len(order) - 1)
    placed = [0.0] * len(heights)
    below = low - gap
    for i in order:
        placed[i] = below = max(min(heights[i], high), below + gap)
    above = high + gap
    for i in reversed(order):
        placed[i] = above = min(placed[i], above - gap)
    return [round(place, 9) for place in placed]


def label_ends(ax: Any, ends: Mapping[str, tuple[float, dict[str, Any]]]) -> None:
    """Write each line's name to the right of the axes, at the height where the line ends.

    Names that would lie on each other are moved apart. What leads from a line to its name has the
    line's color and dashes.

    Args:
        ax: axes whose lines are drawn and whose limits will not change.
        ends: name -> (its line's last value, its `style`).
    """
    shown = {name: end for name, end in ends.items() if end[0] == end[0]}  # not NaN
    low, high = ax.get_ylim()
    right = ax.get_xlim()[1]
    points = 72 * ax.figure.get_figheight() * 0.8  # what the axes take of the figure, about
    heights = [(value - low) / (high - low) for value, _ in shown.values()]
    places = spread(heights, 11 * LINE / points)
    for (name, (value, looks)), place in zip(shown.items(), places, strict=True):
        leader = {"color": looks["color"], "ls": looks.get("ls", "-"), "lw": 1.3}
        ax.annotate(
            name,
            xy=(right, min(max(value, low), high)),
            xytext=(1.09, place),
            textcoords="axes fraction",
            color=looks["color"],
            fontsize=11,
            va="center",
            fontweight="bold" if name == RECOMMENDED else "normal",
            arrowprops={
                **leader,
                "arrowstyle": "-",
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            },
            annotation_clip=False,
        )

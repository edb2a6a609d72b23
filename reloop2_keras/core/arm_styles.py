"""How each arm is drawn, in every figure and page: one color an arm, wherever it is shown."""

from collections.abc import Sequence

# Okabe-Ito: told apart by color-blind readers and in grey print
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
# for what is no arm: fields, tables
PALETTE = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c510a")
DASHES = ("dashed", "dotted", "dashdot")


def style_of(arm: str, arms: Sequence[str]) -> dict[str, str]:
    """Return the `color` and the `dash` of an arm; "exact hidden" takes after "exact".

    Args:
        arm: its name.
        arms: names of all arms of the figure, which those without a color are told apart by.

    Example:
        >>> style_of("exact hidden", ["exact", "exact hidden"])
        {'color': '#0072b2', 'dash': 'dashed'}
    """
    if arm in COLORS:
        return {"color": COLORS[arm], "dash": "solid"}
    others = [name for name in arms if name not in COLORS]
    first = arm.split(" ")[0]
    family = [name for name in others if name.split(" ")[0] == first]
    color = COLORS.get(first) or SPARE[others.index(arm) % len(SPARE)]
    return {"color": color, "dash": DASHES[family.index(arm) % len(DASHES)]}

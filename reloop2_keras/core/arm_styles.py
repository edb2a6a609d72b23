"""How an arm is drawn, in every figure and page: one color a family, dashes within it."""

from collections.abc import Sequence
from typing import Any

# Okabe and Ito's colors, which color-blind readers tell apart; yellow is too light on white
BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
BLUE, VERMILLION, PURPLE, GREY = "#0072b2", "#d55e00", "#cc79a7", "#707070"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
# as Matplotlib writes them
DASHES = ("-", "--", ":", "-.", (0, (6, 3)), (0, (1, 4)), (0, (8, 2, 1, 2, 1, 2)), (0, (3, 6)))
RECOMMENDED = "online"  # drawn last and thickest, so that nothing hides it
# One color a family: what is recommended and its kin vermillion and orange, the paper's memories
# blue, training green, rivals black, what knows nothing grey. Dashes tell a family's members apart.
STYLES: dict[str, tuple[str, Any]] = {
    "online": (VERMILLION, "-"),
    "online+incremental": (VERMILLION, ":"),
    "tables": (ORANGE, "-"),
    "exact": (BLUE, "-"),
    "sketch": (SKY, "-"),
    "feature": (PURPLE, "-"),
    "feature+sketch": (PURPLE, "--"),
    "incremental": (GREEN, "-"),
    "incremental hashed": (GREEN, "--"),
    "incremental+feature": (GREEN, ":"),
    "vw": (BLACK, "-"),
    "vw+base": (BLACK, "--"),
    "adpredictor": (BLACK, ":"),
    "frozen linear": (BLACK, "-."),
    "frozen": (GREY, "-"),
    "recalibrated": (GREY, "--"),
    "shuffled": (GREY, ":"),
    "shuffled online": (GREY, "-."),
    "shuffled feature": (GREY, (0, (1, 4))),
    "best possible": (GREY, (0, (6, 3))),
}


def style(arm: str, arms: Sequence[str]) -> dict[str, Any]:
    """Return color, dashes, width and order of an arm's line.

    An arm that is not in `STYLES` takes the color of its first word ("exact hidden" is blue, as
    "exact") or one of its own, and dashes that tell it from its kin.

    Args:
        arm: name.
        arms: names of all arms in the figure.

    Example:
        >>> style("exact hidden", ["exact", "exact hidden"])["ls"]
        '--'
    """
    front = {"lw": 2.8, "zorder": 4} if arm == RECOMMENDED else {"lw": 1.5, "zorder": 3}
    if arm in STYLES:
        color, dashes = STYLES[arm]
        order = {"zorder": 2} if color == GREY else {}
        return {"color": color, "ls": dashes, **front, **order}
    first = arm.split(" ")[0]
    others = [name for name in arms if name not in STYLES]
    kin = [name for name in others if name.split(" ")[0] == first]
    known = STYLES.get(first)
    color = known[0] if known else PALETTE[others.index(arm) % len(PALETTE)]
    taken = [dashes for other, dashes in STYLES.values() if other == color] if known else []
    free = [dashes for dashes in DASHES if dashes not in taken]
    return {"color": color, "ls": free[kin.index(arm) % len(free)], **front}

"""What a comparison says, in one sentence: which arm, by how much, over whom, how surely."""

import math
from collections.abc import Sequence
from typing import Any

from reloop2_keras.core.bootstrap import paired_interval

METRICS = ("auc", "logloss")
RIVALS = ("frozen linear", "vw", "vw+base", "adpredictor")
PREFERRED = "online"  # named before any result was seen, where it is among the arms


def controls_of(arms: Sequence[str]) -> list[str]:
    """Return the arms that know nothing: recalibrated, and every one of shuffled labels."""
    return [arm for arm in arms if arm == "recalibrated" or arm.startswith("shuffled")]


def intervals(report: Any, arm: str) -> dict[str, dict[str, Any]]:
    """Return what an arm gains over the frozen base, the best control and the best rival.

    Args:
        report: `PrequentialReport`.
        arm: its name.

    Returns:
        dict: "frozen", "control", "rival" where there are such arms -> `over`, the other arm's
        name (the best by log loss), and for auc and logloss (mean, low, high) of `arm` minus the
        other one, a 95 % interval; see `paired_interval`. Less is better for logloss.
    """
    if len(report.slot_numbers()) < 2:  # one slot has no spread
        return {}
    scores = {name: row["logloss"] for name, row in report.scores().items()}
    groups = {
        "frozen": [name for name in report.arms if name == "frozen"],
        "control": controls_of(report.arms),
        "rival": [name for name in report.arms if name in RIVALS],
    }
    found = {}
    for kind, names in groups.items():
        names = [name for name in names if name != arm]
        if names:
            over = min(names, key=lambda name: scores[name])
            found[kind] = {"over": over} | {
                metric: paired_interval(report, arm, over, metric) for metric in METRICS
            }
    return found


def recommended(report: Any) -> str | None:
    """Return the arm that the sentence is about; None where all are bases, controls or rivals.

    `online` where it was run; else the arm of the smallest log loss.
    """
    others = {"frozen", *controls_of(report.arms), *RIVALS}
    own = [arm for arm in report.arms if arm not in others]
    if PREFERRED in own:
        return PREFERRED
    scores = report.scores()
    return min(own, key=lambda arm: scores[arm]["logloss"]) if own else None


def sentence(report: Any) -> str:
    """Return the verdict as one sentence for people; figures are AUC and log loss.

    Example:
        >>> import numpy as np
        >>> from reloop2_keras.core.report import PrequentialReport
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 4000)
        >>> p = {"frozen": [np.full(4000, 0.5)], "online": [0.3 + 0.4 * y]}
        >>> sentence(PrequentialReport(["frozen", "online"], [1], p, y, np.arange(4000) // 200))
        'online helps: AUC +.500 [+.500, +.500], log loss -.336 [-.336, -.336] over frozen (1 seed)'
    """
    arm = recommended(report)
    if arm is None:
        return "nothing to say: no arm but bases, controls and rivals was run"
    found = intervals(report, arm)
    if not found:
        return f"{arm}: one slot, or nothing to compare it with"
    words = [_word(part) for part in found.values()]
    parts = [
        f"AUC {_shown(part['auc'])}, log loss {_shown(part['logloss'])} over {part['over']}"
        for part in found.values()
    ]
    seeds = len(report.seeds)
    counted = f"{seeds} seed" + ("s" if seeds > 1 else "")
    return f"{arm} {_told(words, list(found))}: " + "; ".join(parts) + f" ({counted})"


def _word(part: dict[str, Any]) -> str:
    """By log loss, the proper score: whether the interval is on one side of 0."""
    mean, low, high = part["logloss"]
    if math.isnan(mean):
        return "unknown"
    return "better" if high < 0 else "worse" if low > 0 else "unknown"


def _told(words: list[str], kinds: list[str]) -> str:
    named = dict(zip(kinds, words, strict=True))
    if set(words) == {"better"}:
        return "helps"
    worse = [kind for kind in kinds if named[kind] == "worse"]
    if worse:
        return "is below " + " and ".join({"frozen": "frozen"}.get(k, f"its {k}") for k in worse)
    return "is not known to help"


def _shown(interval: Sequence[float]) -> str:
    mean, low, high = (f"{value:+.3f}".replace("0.", ".", 1) for value in interval)
    return f"{mean} [{low}, {high}]"

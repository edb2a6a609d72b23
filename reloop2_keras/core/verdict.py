"""What a comparison says: what to do next, and why (how much, over whom, how surely)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.bootstrap import paired_interval

METRICS = ("auc", "logloss")
RIVALS = ("frozen linear", "vw", "vw+base", "adpredictor")
BETTER, BELOW, UNKNOWN = "better than", "below", "not known to differ from"
NO_CONTROL = "not known: no control was run; add recalibrated or shuffled online"
PREFERRED = "online"  # named before any result was seen, where it is among the arms
TRAINED_ON = ("incremental", "incremental hashed")  # what many do instead of a memory
BOTH = "online+incremental"  # on the frozen base and on the one of them that validation picks


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
        "rival": [name for name in report.arms if name in (*RIVALS, *TRAINED_ON)],
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

    `online` where it was run, or `online+incremental` where training the base on is better than
    `online` over a frozen one; else the arm of the smallest log loss.
    """
    loss = {arm: row["logloss"] for arm, row in report.scores().items()}
    trained = [arm for arm in report.arms if arm in TRAINED_ON]
    if PREFERRED in report.arms:
        behind = any(loss[arm] < loss[PREFERRED] for arm in trained)
        both = behind and BOTH in report.arms
        return BOTH if both else PREFERRED
    others = {"frozen", *controls_of(report.arms), *RIVALS, *TRAINED_ON}
    own = [arm for arm in report.arms if arm not in others] or trained
    return min(own, key=lambda arm: loss[arm], default=None)


def decision(report: Any, found: dict[str, dict[str, Any]] | None = None) -> dict[str, str | None]:
    """Return what to do next, for programs; `sentence` says it for people, with the reasons.

    An arm is deployed when it is known to be better than the frozen base, the best control and the
    best rival. Without a control nothing is known: what an arm gains may be the level of the click
    rate alone. The other two count as far as they were run. Log loss decides, and AUC where log
    loss does not tell.

    Args:
        report: `PrequentialReport`.
        found: the `intervals` of its `recommended` arm, where they are known already.

    Returns:
        dict: `do`: "deploy", "keep" (the memory does not help), "wait" (not known yet) or
        "nothing"; `arm`: what to deploy or keep, or None. `lacks`: "control", where all that is
        not known is what one would score.

    Example:
        >>> import numpy as np
        >>> from reloop2_keras.core.report import PrequentialReport
        >>> y = np.random.default_rng(0).integers(0, 2, 4000)
        >>> p = {"frozen": [0.4 + 0.2 * y], "online": [np.full(4000, 0.5)]}
        >>> report = PrequentialReport(["frozen", "online"], [1], p, y, np.arange(4000) // 200)
        >>> decision(report)
        {'do': 'keep', 'arm': 'frozen'}
    """
    arm = recommended(report)
    if arm is None:
        return {"do": "nothing", "arm": None}
    found = intervals(report, arm) if found is None else found
    words = {kind: _word(part) for kind, part in found.items()}
    below = [kind for kind, word in words.items() if word == BELOW]
    if below:
        scores = report.scores()
        known = [found[kind]["over"] for kind in ("frozen", "rival") if kind in found]
        # a control of shuffled labels is nothing to deploy, whatever it scores
        best = min(known, key=lambda name: scores[name]["logloss"], default=None)
        rival = "rival" in below and best == found["rival"]["over"]
        if not rival:
            return {"do": "keep", "arm": _kept(report)}
        arm = best
    if not found or (UNKNOWN in words.values() and not below):
        return {"do": "wait", "arm": None}
    if "control" not in found:
        return {"do": "wait", "arm": None, "lacks": "control"}
    return {"do": "deploy", "arm": arm}


def sentence(report: Any, found: dict[str, dict[str, Any]] | None = None) -> str:
    """Return the verdict for people: what to do next, and why; figures are AUC and log loss.

    For the frozen base, the best control and the best rival it says whether the arm is better,
    below, or not known to differ, each with 95 % intervals; and by AUC alone where log loss does
    not tell. `warnings_of` stand at the end.

    Args:
        report: `PrequentialReport`.
        found: the `intervals` of its `recommended` arm, where they are known already.

    Example:
        >>> import numpy as np
        >>> from reloop2_keras.core.report import PrequentialReport
        >>> y = np.random.default_rng(0).integers(0, 2, 4000)
        >>> p = {"frozen": [np.full(4000, 0.5)], "online": [0.3 + 0.4 * y]}
        >>> p["recalibrated"] = p["frozen"]
        >>> report = PrequentialReport(list(p), [1], p, y, np.arange(4000) // 200)
        >>> for part in sentence(report).split("; "):
        ...     print(part)
        deploy: online. It is better than frozen: AUC +.500 [+.500, +.500], \
log loss -.336 [-.336, -.336]
        better than its best control, recalibrated: AUC +.500 [+.500, +.500], \
log loss -.336 [-.336, -.336]
        no rival was run (1 seed)
    """
    arm = recommended(report)
    found = {} if arm is None else intervals(report, arm) if found is None else found
    next_step = advice(decision(report, found))
    if arm is None:
        return f"{next_step}: no arm but bases, controls and rivals was run"
    if not found:
        return f"{next_step}. {arm} was scored on one slot, or there is nothing to compare it with"
    called = {"frozen": "", "control": "its best control, ", "rival": "its best rival, "}
    parts = [compared(part, called[kind] + part["over"]) for kind, part in found.items()]
    absent = [f"no {kind}" for kind in called if kind not in found]
    parts += [" and ".join(absent) + " was run"] if absent else []
    seeds = len(report.seeds)
    counted = f"{seeds} seed" + ("s" if seeds > 1 else "")
    subject = "It" if next_step == f"deploy: {arm}" else arm
    warned = "".join(f". {text}" for text in warnings_of(report))
    return f"{next_step}. {subject} is {'; '.join(parts)} ({counted}){warned}"


def warnings_of(report: Any) -> list[str]:
    """Return what makes a comparison doubtful, a line each: a base below chance, odd controls.

    Both by AUC, and only where a 95 % interval (see `paired_interval`) leaves no doubt.

    Args:
        report: `PrequentialReport`.
    """
    if len(report.slot_numbers()) < 2 or "frozen" not in report.arms:
        return []
    auc = {arm: row["auc"] for arm, row in report.scores().items()}
    chance = [np.full(len(report.labels), 0.5)] * len(report.seeds)
    both = dataclasses.replace(
        report,
        arms=["frozen", "chance"],
        predictions={"frozen": report.predictions["frozen"], "chance": chance},
    )
    found = []
    below = paired_interval(both, "frozen", "chance", "auc") if auc["frozen"] < 0.5 else None
    if below and below[2] < 0:
        found.append(
            f"frozen ranks worse than chance: AUC - .5 = {_shown(below)}; look at the label, and "
            "at what the base learnt, before you believe what is gained over it"
        )
    for arm in controls_of(report.arms):
        if arm == "recalibrated" or not auc[arm] > auc["frozen"]:
            continue
        gained = paired_interval(report, arm, "frozen", "auc")
        if gained[1] > 0:
            found.append(
                f"labels of other rows help: {arm} gains AUC {_shown(gained)} over frozen, as "
                "slots differ in click rate; look at what is gained over the controls, and in slots"
            )
    return found


def compared(part: Mapping[str, Any], other: str) -> str:
    """Return in words whether something is better than `other`, and by how much.

    Args:
        part: "auc" and "logloss" -> (mean, low, high) of the difference; see `paired_interval`.
        other: what it is compared with.

    Example:
        >>> compared({"auc": (0.01, -0.01, 0.03), "logloss": (-0.02, -0.03, -0.01)}, "frozen")
        'better than frozen: AUC +.010 [-.010, +.030], log loss -.020 [-.030, -.010]'
    """
    return f"{_by_metric(part).format(other)}: {differences(part)}"


def differences(part: Mapping[str, Any]) -> str:
    """Return "AUC … [low, high], log loss … [low, high]" of what `compared` takes."""
    return f"AUC {_shown(part['auc'])}, log loss {_shown(part['logloss'])}"


def is_better(part: Mapping[str, Any]) -> bool:
    """Whether what `compared` takes is known to be better: by log loss, else by AUC."""
    return _word(part) == BETTER


def _tells(interval: Sequence[float]) -> bool:
    mean, low, high = interval
    return not math.isnan(mean) and (low > 0 or high < 0)


def _by_metric(part: Mapping[str, Any]) -> str:
    """The word for the other arm, {}; and by which metric, where it is not log loss."""
    word = _word(part)
    if word == UNKNOWN or _tells(part["logloss"]):
        return word + " {}"
    by = "better by AUC than" if word == BETTER else "below by AUC"
    return by + " {}, log loss not known to differ"


def _word(part: Mapping[str, Any]) -> str:
    """Log loss decides, the proper score; where its interval holds 0, the AUC's."""
    for (mean, low, high), sign in ((part["logloss"], -1.0), (part["auc"], 1.0)):
        if _tells((mean, low, high)):
            return BETTER if sign * mean > 0 else BELOW
    return UNKNOWN


def _kept(report: Any) -> str | None:
    """What serves on where no memory helps: the base, recalibrated where that is better."""
    scores = report.scores()
    able = [name for name in ("frozen", "recalibrated") if name in report.arms]
    return min(able, key=lambda name: scores[name]["logloss"], default=None)


def advice(decided: Mapping[str, str | None]) -> str:
    """Return what to do next, in the words that every place shows.

    Args:
        decided: what `decision` returns.

    Example:
        >>> advice({"do": "keep", "arm": "frozen"})
        'the memory does not help: keep frozen'
        >>> advice({"do": "wait", "arm": None, "lacks": "control"})
        'not known: no control was run; add recalibrated or shuffled online'
    """
    do, arm = decided["do"], decided["arm"]
    if do == "deploy":
        return f"deploy: {arm}" + (", a rival" if arm in (*RIVALS, *TRAINED_ON) else "")
    if do == "keep":
        return f"the memory does not help: keep {arm or 'what you have'}"
    if do == "wait":
        return NO_CONTROL if decided.get("lacks") else "not known yet: give it more slots or seeds"
    return "nothing to deploy"


def _shown(interval: Sequence[float]) -> str:
    if math.isnan(interval[0]):  # a stream of one class has no AUC
        return "not known"
    mean, low, high = (f"{value:+.3f}".replace("0.", ".", 1) for value in interval)
    return f"{mean} [{low}, {high}]"

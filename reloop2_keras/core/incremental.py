"""Bases that are trained on along the stream: which arms stand on them, and at what rate."""

from collections.abc import Iterable, Sequence
from typing import Any

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.tune import replay_arms
from reloop2_keras.core.verdict import BOTH, RIVALS, TRAINED_ON

# without and with rows for values that training never saw -> what makes it of a `TrainedBase`
INCREMENTAL = dict(zip(TRAINED_ON, ("incremental", "incremental_hashed"), strict=True))


def slow_part(arm: str) -> str:
    """Return the name of the slow part that an arm stands on.

    Example:
        >>> [slow_part(arm) for arm in ("online", "incremental+feature", "vw")]
        ['frozen', 'incremental', 'vw']
    """
    if arm in RIVALS:
        return arm
    slow = arm.partition("+")[0]
    return slow if slow in INCREMENTAL else "frozen"


def trained_kinds(arms: Iterable[str], can_hash: bool) -> list[str]:
    """Return which of `INCREMENTAL` the arms need.

    Args:
        arms: names.
        can_hash: whether the base can have hashed rows.

    Example:
        >>> trained_kinds(["frozen", "online+incremental"], can_hash=True)
        ['incremental', 'incremental hashed']
    """
    arms = list(arms)
    kinds = {slow_part(arm) for arm in arms}
    if any(arm.endswith(BOTH) for arm in arms):
        kinds |= set(INCREMENTAL) if can_hash else {"incremental"}
    return [kind for kind in INCREMENTAL if kind in kinds]


def incremental_scores(
    base: Any,
    kinds: Sequence[str],
    slots: Sequence[Any],
    delay: Any,
    rates: Sequence[float],
    progress: bool | None = False,
) -> list[dict[str, Any]]:
    """Return validation's scores of incremental bases, each kind at each learning rate.

    Args:
        base: `TrainedBase`; a rate among its `options` is the only one.
        kinds: of `INCREMENTAL`.
        slots: `dataset.validation_slots(...)`.
        delay: see `iter_prequential`.
        rates: learning rates.
        progress: bool, or None to show a bar on terminals and in notebooks only.

    Returns:
        list of dicts: candidate (the kind), learning_rate, auc, logloss.
    """
    fixed = getattr(base, "options", {}).get("learning_rate")
    rates = list(rates) if fixed is None else [fixed]
    tried = [(kind, rate) for kind in kinds for rate in rates]
    made = [
        Arm(f"{kind} {rate}", getattr(base, INCREMENTAL[kind])((), learning_rate=rate))
        for kind, rate in tried
    ]
    scores = replay_arms(made, slots, delay, progress=progress) if made else []
    return [
        {**row, "candidate": kind, "learning_rate": rate}
        for row, (kind, rate) in zip(scores, tried, strict=True)
    ]

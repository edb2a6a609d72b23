"""ReLoop2 by `rule="online"`: belief tables in two stages over the base's probability (ours)."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mindspore_port.layers.online_tables import OnlineTables
from mindspore_port.models.deepfm import DeepFM
from reloop2_keras.core.input_checks import checked_hashes
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.training import check_repeatable

WANTED = "online"


def online_of(rule: Any, base: DeepFM, **given: tuple[Any, Any]) -> OnlineTables | None:
    """Return the cell that an argument `rule` means.

    Args:
        rule: None, "online", an `Online`, or an `OnlineTables`.
        base: the base model, whose fields are the columns.
        **given: of each argument of memories what was given, and its default.

    Raises:
        ValueError: if it is something else, does not fit the base, or memories were given too.
    """
    if rule is None:
        return None
    for name, (value, default) in given.items():
        if value is not default and value != default:
            raise ValueError(
                f"`{name}` must be left out with `rule`, which has no memories. Received: {value!r}"
            )
    width = len(base.fields)
    if isinstance(rule, str) and rule == WANTED:
        return OnlineTables(width)
    if isinstance(rule, Online):
        rule = OnlineTables.around(rule)
    if not isinstance(rule, OnlineTables):
        raise ValueError(f"`rule` must be None, 'online' or an Online. Received: {rule!r}")
    if rule.core.width != width:
        raise ValueError(
            f"`rule` must have width {width}, the number of the base's fields. "
            f"Received: {rule.core.width}"
        )
    return rule


def started(
    online: OnlineTables,
    batches: Iterable[Mapping[str, np.ndarray]] | Callable[[], Iterable],
    options: Mapping[str, Any],
) -> int:
    """Learn the training period; returns its rows; see `Online.start`.

    Args:
        online: the cell.
        batches: `dataset.train(size, shuffle=False, hashes=True)`, a list of dicts, or a function
            that returns one of these.
        options: of `Online.start`.

    Raises:
        ValueError: if they are shuffled, or can be read once only.
    """
    check_repeatable(batches)

    def pairs():
        found = batches() if callable(batches) else batches
        if getattr(found, "shuffle", False):
            raise ValueError(
                "`batches` must come in the order of the log, which rule='online' learns from: "
                "dataset.train(size, shuffle=False, hashes=True). Received: shuffle=True"
            )
        for arrays in found:
            labels = np.asarray(arrays["label"]).reshape(-1)
            # padding weighs nothing
            real = np.asarray(arrays.get("weight", np.ones(len(labels)))).reshape(-1) > 0
            yield checked_hashes(arrays, "arrays")[real], labels[real]

    online.core.start(pairs, **options)
    return online.core.arms.tables.rows

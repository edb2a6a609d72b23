"""What a study is told before hours of training: whether its dataset can give what is asked."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from reloop2_keras.core.arguments import integer, sequence
from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.choice import needed
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.verdict import RIVALS


def check_study(dataset: Any, settings: Candidates, delay: Delay, slots: int | None = None) -> None:
    """Raise ValueError unless a dataset's periods and fields have what a study needs.

    Args:
        dataset: `PreparedDataset`; no row of it is read.
        settings: `Candidates`: `validation_slots`, `crosses` and `online_crosses` are looked at.
        delay: of the labels; one of time needs the log's `time`.
        slots: int, parts to cut the stream into; None: as it was prepared.

    Raises:
        ValueError: naming the argument, what the dataset has, and what was given.
    """
    stream = sum(period["rows"] for period in dataset.meta["periods"]["slots"])
    validation = dataset.meta["periods"]["validation"]["rows"]
    _slots("slots", slots, stream, "the stream")
    _slots("validation_slots", settings.validation_slots, validation, "the validation period")
    fields = [field["name"] for field in dataset.fields]
    for name, crosses in (
        ("crosses", settings.crosses),
        ("online_crosses", settings.online_crosses),
    ):
        for cross in sequence(name, crosses or (), "crosses"):
            _cross(name, sequence(name, cross, "names of fields"), fields)
    if delay.unit == "seconds" and "time" not in dataset.meta["columns"]:
        raise ValueError(
            f"`delay` must be in slots or rows, as {dataset.folder} has no `time`. "
            f"Received: {delay}"
        )


def checked_seeds(seeds: Iterable[int]) -> list[int]:
    """Return the seeds of a study as a list.

    Raises:
        ValueError: if one is no integer >= 0, there is none, or they are not distinct.

    Example:
        >>> checked_seeds(range(1, 3))
        [1, 2]
    """
    found = [integer("seeds", seed, 0) for seed in sequence("seeds", seeds, "numbers")]
    if not found or len(set(found)) != len(found):
        raise ValueError(f"`seeds` must be distinct, at least one. Received: {found}")
    return found


def check_arms(arms: Sequence[str], choose_rival: Callable[..., Any] | None) -> None:
    """Raise ValueError if an arm is unknown, or a rival that nothing is there to choose."""
    needed(arms)
    rivals = [arm for arm in arms if arm in RIVALS]
    if rivals and choose_rival is None:
        raise ValueError(f"`choose_rival` must be given for the arms {rivals}")


def _slots(name, count, rows, what):
    if count is not None and integer(name, count, 1) > rows:
        raise ValueError(f"`{name}` must be from 1 to {rows:,}, {what}'s rows. Received: {count}")


def _cross(name, cross, fields):
    for field in cross:
        if field not in fields:
            near = difflib.get_close_matches(str(field), fields, n=3, cutoff=0.5) or fields[:8]
            raise ValueError(
                f"`{name}` must hold fields of the dataset, such as {', '.join(near)}. "
                f"Received: {field!r}"
            )
    if len(set(cross)) < max(len(cross), 2):
        raise ValueError(
            f"`{name}` must hold crosses of two or more distinct fields. Received: {cross}"
        )

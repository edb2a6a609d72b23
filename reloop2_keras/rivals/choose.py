"""A rival's setting, chosen on the validation period by log loss, in the honest order of events.

A rival that stands alone starts with the training period, and is scored on the validation slots
as it goes through them. One on a base starts cold at the validation period (docs/method.md,
section 4: what a base leaves over on rows it was fitted to says little about other rows), and is
scored on their second half.
"""

import copy
import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.core.pending import first_learnt
from reloop2_keras.core.prequential import iter_prequential
from reloop2_keras.core.slots import Slot
from reloop2_keras.core.tune import best_setting
from reloop2_keras.rivals import grids
from reloop2_keras.rivals.adpredictor import AdPredictor
from reloop2_keras.rivals.linear import FrozenLinear
from reloop2_keras.rivals.served import COLUMNS
from reloop2_keras.rivals.vowpal import VowpalWabbit
from reloop2_keras.rivals.vowpal_choice import vowpal_rows

RIVALS = ("vw", "vw+base", "adpredictor", "frozen linear")


@dataclasses.dataclass(frozen=True)
class Periods:
    """What a rival is chosen on.

    Attributes:
        train: things with `load() -> dict of arrays`, in the log's order.
        validation: the validation period's slots, with `load()` too.
        numeric: columns of numeric fields.
    """

    train: Sequence[Any]
    validation: Sequence[Any]
    numeric: tuple[int, ...] = ()

    @classmethod
    def of(cls, dataset: Any, validation_slots: int = 5) -> "Periods":
        """Return those of a `PreparedDataset`."""
        groups = dataset.row_groups()[0]
        train = [Slot([group], 0, None, i, dataset) for i, group in enumerate(groups)]
        kinds = [field["kind"] for field in dataset.fields]
        numeric = tuple(column for column, kind in enumerate(kinds) if kind == "numeric")
        return cls(train, dataset.validation_slots(validation_slots), numeric)


@dataclasses.dataclass(frozen=True)
class Choice:
    """What validation picked.

    Attributes:
        name: of the rival.
        part: slow part of an arm, as it stands at the stream's start.
        setting: the picked row of `rows`.
        rows: the whole grid: a dict a setting, with `auc` and `logloss` on validation.
        seconds: float, what choosing took.
    """

    name: str
    part: Any
    setting: dict[str, Any]
    rows: list[dict[str, Any]]
    seconds: float


def choose_rival(
    name: str,
    dataset: Any,
    base: Any = None,
    delay: int | str | Delay = 0,
    validation_slots: int = 5,
    variants: Sequence[str] | None = None,
    warmup: bool = True,
) -> Choice:
    """Fit a rival on the training period, pick its setting on validation, return it fresh.

    Args:
        name: "vw", "vw+base", "adpredictor" or "frozen linear".
        dataset: `PreparedDataset`, or `Periods`.
        base: slow part whose logit is the offset of "vw+base"; None for the others.
        delay: see `iter_prequential`; as in the evaluation to come.
        validation_slots: int, what the validation period is cut into, as in the evaluation.
        variants: of Vowpal Wabbit, keys of `grids.RATES`; None: all of them, but those with pairs
            only up to `grids.MOST_FIELDS` fields. `Choice.rows` says what was tried.
        warmup: bool. True when the stream to come has the validation slots as its `warmup`: the
            part is returned as it stands before them. False: it has learnt them.

    Raises:
        ValueError: for an unknown name or variant, a base where none belongs or none where one
            does, or too few validation slots.
        ImportError: where the rival's package is not installed.

    Example:
        >>> choice = choose_rival("vw", dataset, variants=["linear"])  # doctest: +SKIP
        >>> report = prequential(  # doctest: +SKIP
        ...     dataset.slots(), [Arm("vw", choice.part)], warmup=dataset.validation_slots()
        ... )
    """
    if name not in RIVALS:
        raise ValueError(f"`name` must be one of {RIVALS}. Received: {name!r}")
    if (name == "vw+base") != (base is not None):
        raise ValueError(f'`base` must be given for "vw+base" and only then. Received: {base}')
    if variants is not None and not name.startswith("vw"):
        raise ValueError(f"`variants` are those of Vowpal Wabbit. Received them for {name!r}")
    start = time.perf_counter()
    periods = dataset if isinstance(dataset, Periods) else Periods.of(dataset, validation_slots)
    delay = Delay.of(delay)
    least = first_learnt(periods.validation, delay) + 1
    if len(periods.validation) < least:
        raise ValueError(
            f"there must be at least {least} validation slots with a delay of {delay}. "
            f"Received: {len(periods.validation)}"
        )
    make = {"adpredictor": _adpredictor, "frozen linear": _linear}.get(name)
    if make is None:
        part, rows = _vowpal(periods, base, delay, variants)
    else:
        part, rows = make(periods, delay)
    if not warmup:
        for _ in iter_prequential(
            periods.validation, [Arm(name, part)], progress=False, drain=True
        ):
            pass
    return Choice(name, part, best_setting(rows), rows, time.perf_counter() - start)


def _vowpal(periods, base, delay, variants):
    if variants is None:
        fields = periods.train[0].load(["feature_hashes"])["feature_hashes"].shape[1]
        few = fields <= grids.MOST_FIELDS
        variants = [name for name in grids.RATES if few or not name.startswith("pairs")]
    settings = grids.vowpal_settings(variants)
    rows = vowpal_rows(periods, settings, base, delay)
    best = settings[rows.index(best_setting(rows))]
    part = VowpalWabbit(best.options, numeric=periods.numeric, base=base)
    if base is None:
        for slot in periods.train:
            part.observe(slot.load(COLUMNS))
    return part, rows


def _adpredictor(periods, delay):
    rows: list[dict[str, Any]] = []
    parts: list[AdPredictor] = []
    clicks = np.concatenate([slot.load(["label"])["label"] for slot in periods.train])
    share = float(np.clip(clicks.mean(), 0.001, 0.999))
    for beta in grids.BETAS:
        for epsilon in grids.EPSILONS:
            part = AdPredictor(beta, epsilon, share, numeric=periods.numeric)
            for slot in periods.train:
                part.observe(slot.load(COLUMNS))
            row = {"beta": beta, "epsilon": epsilon}
            rows.append(row | _scores(copy.deepcopy(part), periods.validation, delay))
            # the best one so far is held, and no other: a part of 39 fields takes 160 MB
            parts = [part] if best_setting(rows) is rows[-1] else parts
    return parts[0], rows


def _linear(periods, delay):
    train = [slot.load(COLUMNS) for slot in periods.train]
    parts = FrozenLinear(periods.numeric).path(train, grids.STRENGTHS)
    rows = [
        {"C": strength} | _scores(part, periods.validation, delay)
        for strength, part in zip(grids.STRENGTHS, parts, strict=True)
    ]
    return parts[rows.index(best_setting(rows))], rows


def _scores(part, slots, delay):
    labels, found = [], []
    for event in iter_prequential(slots, [Arm("rival", part)], delay, progress=False):
        labels.append(np.array(event["arrays"]["label"]))
        found.append(event["predictions"]["rival"])
    y, p = np.concatenate(labels), np.concatenate(found)
    return {"auc": auc(y, p), "logloss": logloss(y, p)}

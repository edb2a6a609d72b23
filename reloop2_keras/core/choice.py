"""The choices of one run, all made on the validation period, and the arms made of them."""

import copy
import functools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arms import Arm, Corrected, Gated, Memory, Recalibration
from reloop2_keras.core.candidates import HASHES, Candidates, FeatureForms, similarity_memories
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.incremental import (
    INCREMENTAL,
    incremental_scores,
    slow_part,
    trained_kinds,
)
from reloop2_keras.core.online.fast_part import OnlinePart, StartedTables
from reloop2_keras.core.pending import first_learnt
from reloop2_keras.core.progress import bar
from reloop2_keras.core.saved_steps import SavedSteps
from reloop2_keras.core.tune import best_setting, replay, training_keys, tune_memory
from reloop2_keras.core.verdict import BOTH, RIVALS

ONLINE = ("tables", "online", "online+incremental")
# of the tables, in their order: bases, controls, the paper's, ours, rivals, the two stages
ARMS = (
    "frozen",
    "frozen linear",
    "recalibrated",
    "shuffled",
    "shuffled online",
    "exact",
    "sketch",
    "feature",
    "incremental",
    "incremental hashed",
    "vw",
    "vw+base",
    "adpredictor",
    *ONLINE,
)
OWN = tuple(arm for arm in ARMS if arm not in RIVALS)
KNOWN = {"frozen", "recalibrated", "shuffled", "incremental", "exact", "sketch", "feature"}
TOGETHER = {"feature+sketch": {"feature", "sketch"}}  # names that hold more than one part's
BATCH = 4096  # training rows served at once


class Choice:
    """What validation picked for one trained base, and fresh arms of it; made by `choose`.

    Attributes:
        grid: list of dicts, validation's scores of each memory of similarity, lambda and gamma.
        form_scores: list of dicts, validation's scores of each form of the feature memory.
        picked: dict: "exact", "sketch", "feature", "incremental" and "incremental hashed" (their
            learning rate), "online+incremental" (which of the two) and names of rivals -> the
            picked row of those, for those asked for.
        rivals: name -> what `choose_rival` returned: has a `part` and a `setting`.
        drawn: state of Python's random numbers when all was chosen; arms to come draw from them.
    """

    def __init__(
        self,
        memories: dict[str, tuple[Callable[[], Any], str]],
        forms: FeatureForms,
        grid: list[dict[str, Any]],
        form_scores: list[dict[str, Any]],
        tables: StartedTables,
        rivals: dict[str, Any],
        incremental: Sequence[dict[str, Any]] = (),
    ) -> None:
        self._memories, self._forms, self._tables = memories, forms, tables
        self.grid, self.form_scores = grid, form_scores
        kinds = dict.fromkeys(row["candidate"].split(" ")[0] for row in grid)
        self.picked = {kind: self._best(kind) for kind in kinds}
        if form_scores:
            tried = [row for row in form_scores if row["candidate"] != "frozen"]
            self.picked["feature"] = best_setting(tried)
        for kind in dict.fromkeys(row["candidate"] for row in incremental):
            rates = [row for row in incremental if row["candidate"] == kind]
            self.picked[kind] = best_setting(rates)
        if incremental:
            self.picked[BOTH] = best_setting(incremental)
        self.rivals, self.drawn = rivals, random.getstate()
        self.picked |= {name: rival.setting for name, rival in rivals.items()}

    def _best(self, name: str) -> dict[str, Any]:
        return best_setting(
            row for row in self.grid if f"{row['candidate']} ".startswith(f"{name} ")
        )

    def fast(self, name: str, shuffled: bool = False) -> Corrected | OnlinePart:
        """Return a fresh fast part.

        Args:
            name: "exact", "sketch", "feature", "feature+sketch": what validation picked; "exact
                hidden", "sketch embedding", …: the best of that key; "feature base, cold", …: of
                that form. "tables", "online", "online+incremental": `Online` over no base, the
                frozen one, the frozen one and the one that is trained on.
            shuffled: bool, for a control: its memories learn shuffled labels, of the training
                period too.

        Raises:
            ValueError: if there is no such part among the candidates.
        """
        if name in ONLINE:
            bases = {"tables": (), "online": ("frozen",)}.get(name, ("frozen", "incremental"))
            return OnlinePart(self._tables.online(bases, shuffled), shuffled)
        if name == "feature+sketch":
            make, key = self._memories[self.picked["sketch"]["candidate"]]
            memories = self._forms.memories(self._form("feature"), shuffled)
            return Gated([*memories, (make(), key)], shuffle_labels=shuffled)
        if name == "feature" or name.startswith("feature "):
            return self._forms.fast(self._form(name), shuffled)
        best = self._best(name)
        make, key = self._memories[best["candidate"]]
        return Memory(make(), key, best["compensation"], best["label_weight"], shuffled)

    def _form(self, name: str) -> str:
        picked = self.picked["feature"]["candidate"] if name == "feature" else ""
        return picked or name.removeprefix("feature ")

    def arms(self, names: Sequence[str], base: Any) -> list[Arm]:
        """Return the named arms, fresh, in that order.

        Args:
            names: of `ARMS`, or what `fast` takes.
            base: has `frozen(keys)`, `incremental(keys)` and `incremental_hashed(keys)`, which
                return slow parts; see `TrainedBase`.
        """
        parts = {name: self._part(name) for name in names}
        keys: dict[str, set[str]] = {slow_part(name): set() for name in names}
        for name, fast in parts.items():
            keys[slow_part(name)] |= set() if fast is None else set(fast.keys) - {HASHES}
        both = [name for name in names if name.endswith(BOTH)]
        trained = self.picked[BOTH]["candidate"] if both else ""
        if both:
            keys.setdefault(trained, set())
        slows = {
            slow: self._slow_part(base, slow, tuple(sorted(keys[slow])))
            for slow in keys
            if slow not in self.rivals
        }
        # a stream changes a rival, and another one may follow
        slows |= {name: copy.deepcopy(self.rivals[name].part) for name in keys if name in RIVALS}
        more = {name: {"incremental": slows[trained]} for name in both}
        return [
            Arm(name, slows[slow_part(name)], fast, more.get(name, {}))
            for name, fast in parts.items()
        ]

    def _slow_part(self, base: Any, slow: str, keys: tuple[str, ...]) -> Any:
        if slow == "frozen":
            return base.frozen(keys)
        rate = self.picked[slow]["learning_rate"]
        return getattr(base, INCREMENTAL[slow])(keys, learning_rate=rate)

    def _part(self, name: str) -> Corrected | OnlinePart | None:
        if name in ("frozen", *INCREMENTAL, *RIVALS):
            return None
        if name == "recalibrated":
            return Recalibration()
        if name == "shuffled":
            return self.fast(next(iter(self.picked)), shuffled=True)
        if name.startswith("shuffled "):
            return self.fast(name[len("shuffled ") :], shuffled=True)
        return self.fast(name.removeprefix(f"{slow_part(name)}+"))


def choose(
    base: Any,
    dataset: Any,
    arms: Iterable[str] = OWN,
    seed: int = 1001,
    delay: int | str | Delay = 0,
    settings: Candidates | None = None,
    progress: bool | None = None,
    tables: StartedTables | None = None,
    choose_rival: Callable[..., Any] | None = None,
    steps: SavedSteps | None = None,
) -> Choice:
    """Choose keys, sizes, lambda, gamma and form by replaying the validation period.

    Nothing but training and validation period is read. The criterion is log loss.

    Args:
        base: has `frozen(keys)`, which returns a slow part; see `TrainedBase`.
        dataset: `PreparedDataset`.
        arms: names of the arms to come: only what they need is chosen.
        seed: int, of the training rows that key means are fitted to.
        delay: see `iter_prequential`; as in the evaluation to come.
        settings: `Candidates`; None: its defaults.
        progress: bool, or None to show bars on terminals and in notebooks only.
        tables: `StartedTables`, to share them between seeds; None makes them.
        choose_rival: `reloop2_keras.rivals.choose_rival`, or a function that takes its arguments;
            None: there are no rivals.
        steps: `SavedSteps`, for a study that may be killed; None: nothing is kept.

    Returns:
        `Choice`.

    Raises:
        ValueError: if no label arrives before the last validation slot, or an arm is unknown.
    """
    arms, settings = list(arms), settings or Candidates()
    delay, step = Delay.of(delay), steps or SavedSteps(None)
    kinds, feature = needed(arms)
    slots = dataset.validation_slots(settings.validation_slots)
    first = first_learnt(slots, delay)
    if first >= len(slots):
        raise ValueError(
            f"`settings.validation_slots` must be more than {first} with a delay of {delay}, or "
            f"the validation period longer: else nothing can be chosen. Received: {len(slots)}"
        )
    memories, grid = {}, []
    if kinds:
        frozen = base.frozen(tuple(settings.keys))
        rows = dataset.train_rows(BATCH, seed=seed, hashes=True)  # which a base may take
        keys = training_keys(frozen.serve, rows, settings.keys, 65_536)
        memories = similarity_memories(kinds, keys, settings)
        tried = {name: (make(), key) for name, (make, key) in memories.items()}
        grids = settings.compensations, settings.label_weights
        tune = functools.partial(tune_memory, frozen, slots, tried, *grids, delay)
        grid = step("memories", functools.partial(tune, progress=progress))
    frozen = base.frozen(())
    forms = feature_forms(frozen, dataset, settings, seed)
    scores = []
    if feature:
        fasts = {form: forms.fast(form) for form in forms.forms}
        scores = step("forms", lambda: replay(frozen, slots, fasts, delay, progress=progress))
    tables = tables or StartedTables(dataset, settings.online_crosses, settings.max_crosses, seed)
    rivals = {}
    for name in bar([arm for arm in arms if arm in RIVALS], "tuning rivals", "rival", progress):
        if choose_rival is None:
            raise ValueError(f"`choose_rival` must be given for the arm {name!r}")
        on = frozen if name == "vw+base" else None
        pick = functools.partial(choose_rival, name, dataset, on, delay, settings.validation_slots)
        # those without a base serve all seeds, and are kept elsewhere
        rivals[name] = pick() if on is None else step(name, pick)
    kinds_trained = trained_kinds(arms, getattr(base, "can_hash", False))
    rates = settings.learning_rates
    score = functools.partial(incremental_scores, base, kinds_trained, slots, delay, rates)
    trained = step("incremental", functools.partial(score, progress))
    return Choice(memories, forms, grid, scores, tables, rivals, trained)


def needed(arms: Iterable[str]) -> tuple[list[str], bool]:
    """Return which kinds of similarity the arms need, and whether a feature memory.

    Raises:
        ValueError: naming the arms that nothing is known of.

    Example:
        >>> needed(["frozen", "shuffled feature", "incremental+sketch"])
        (['sketch'], True)
    """
    arms = list(arms)
    if len(set(arms)) != len(arms) or not arms:
        raise ValueError(f"`arms` must be distinct names, at least one. Received: {arms}")
    words: set[str] = set()
    for arm in arms:
        part = arm.removeprefix("incremental hashed+").removeprefix("incremental+")
        part = "incremental" if part in INCREMENTAL else part.removeprefix("shuffled ")
        found = TOGETHER.get(part) or {part.split(" ")[0]}
        if arm in RIVALS or part in ONLINE:
            continue
        if found - KNOWN:
            raise ValueError(f"`arms` must be among {ARMS}. Received: {arm!r}")
        words |= found
    kinds: list[str] = [kind for kind in ("exact", "sketch") if kind in words]
    if "shuffled" in arms and not kinds and "feature" not in words:
        raise ValueError(
            "`arms` must hold the memory that `shuffled` is the control of: exact, sketch or "
            f"feature. Received: {arms}"
        )
    return kinds, "feature" in words


def feature_forms(
    frozen: Any, dataset: Any, settings: Candidates | None = None, seed: int = 1001
) -> FeatureForms:
    """Return what makes fresh feature memories of each form for a trained base.

    Args:
        frozen: slow part of the base.
        dataset: `PreparedDataset`.
        settings: `Candidates`; None: its defaults.
        seed: int, of the labels that controls start from.
    """
    settings = settings or Candidates()
    crosses = [dataset.columns(*names) for names in settings.crosses]
    return FeatureForms(settings, crosses, functools.partial(_served, frozen, dataset), seed)


def _served(frozen: Any, dataset: Any) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Training rows in the order of the log: hashes, labels, the base's predictions."""
    for arrays in dataset.train_rows(BATCH, shuffle=False, hashes=True):
        yield arrays[HASHES], arrays["label"], frozen.serve(arrays)["probability"]

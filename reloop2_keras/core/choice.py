"""The choices of one run, all made on the validation period, and the arms made of them."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.arms import Arm, Corrected, Gated, Memory, Recalibration
from reloop2_keras.core.candidates import HASHES, Candidates, FeatureForms, similarity_memories
from reloop2_keras.core.tune import best_setting, replay, training_keys, tune_memory

# in the order of the tables
ARMS = (
    "frozen",
    "recalibrated",
    "shuffled",
    "shuffled feature",
    "exact",
    "sketch",
    "feature",
    "incremental",
    "incremental+feature",
    "feature+sketch",
)
KNOWN = {"frozen", "recalibrated", "shuffled", "incremental", "exact", "sketch", "feature"}
BATCH = 4096  # training rows served at once


class Choice:
    """What validation picked for one trained base, and fresh arms of it.

    Made by `choose`.

    Attributes:
        grid: list of dicts, validation's scores of each memory of similarity, lambda and gamma.
        form_scores: list of dicts, validation's scores of each form of the feature memory.
        picked: dict: "exact", "sketch", "feature" -> the picked row of those, for those asked for.
    """

    def __init__(
        self,
        memories: dict[str, tuple[Callable[[], Any], str]],
        forms: FeatureForms,
        grid: list[dict[str, Any]],
        form_scores: list[dict[str, Any]],
    ) -> None:
        self._memories, self._forms = memories, forms
        self.grid, self.form_scores = grid, form_scores
        kinds = dict.fromkeys(row["candidate"].split(" ")[0] for row in grid)
        self.picked = {kind: self._best(kind) for kind in kinds}
        if form_scores:
            tried = [row for row in form_scores if row["candidate"] != "frozen"]
            self.picked["feature"] = best_setting(tried)

    def _best(self, name: str) -> dict[str, Any]:
        return best_setting(
            row for row in self.grid if f"{row['candidate']} ".startswith(f"{name} ")
        )

    def fast(self, name: str, shuffled: bool = False) -> Corrected:
        """Return a fresh fast part.

        Args:
            name: "exact", "sketch", "feature", "feature+sketch": what validation picked; "exact
                hidden", "sketch embedding", …: the best of that key; "feature base, cold", …: of
                that form.
            shuffled: bool, for a control: its memories learn shuffled labels, of the training
                period too.

        Raises:
            ValueError: if there is no such part among the candidates.
        """
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
            base: has `frozen(keys)` and `incremental(keys)`, which return slow parts; see
                `compare`.
        """
        parts = {name: self._part(name) for name in names}
        keys = {
            slow: sorted(
                {
                    key
                    for name, fast in parts.items()
                    if fast is not None and _slow(name) == slow
                    for key in fast.keys
                    if key != HASHES
                }
            )
            for slow in {_slow(name) for name in names}
        }
        slows = {slow: getattr(base, slow)(tuple(keys[slow])) for slow in keys}
        return [Arm(name, slows[_slow(name)], fast) for name, fast in parts.items()]

    def _part(self, name: str) -> Corrected | None:
        if name in ("frozen", "incremental"):
            return None
        if name == "recalibrated":
            return Recalibration()
        if name == "shuffled":
            return self.fast(next(iter(self.picked)), shuffled=True)
        if name.startswith("shuffled "):
            return self.fast(name[len("shuffled ") :], shuffled=True)
        return self.fast(name.removeprefix("incremental+"))


def choose(
    base: Any,
    dataset: Any,
    arms: Iterable[str] = ARMS,
    seed: int = 1001,
    delay: int = 0,
    settings: Candidates | None = None,
    progress: bool | None = None,
) -> Choice:
    """Choose keys, sizes, lambda, gamma and form by replaying the validation period.

    Nothing but training and validation period is read. The criterion is log loss.

    Args:
        base: has `frozen(keys)`, which returns a slow part; see `compare`.
        dataset: `PreparedDataset`.
        arms: names of the arms to come: only what they need is chosen.
        seed: int, of the training rows that key means are fitted to.
        delay: int, in slots, as in the evaluation to come.
        settings: `Candidates`; None: its defaults.
        progress: bool, or None to show bars on terminals only.

    Returns:
        `Choice`.

    Raises:
        ValueError: if there are not more than `delay + 1` validation slots, or an arm is unknown.
    """
    settings = settings or Candidates()
    if settings.validation_slots <= delay + 1:
        raise ValueError(
            f"`settings.validation_slots` must be more than `delay` + 1 = {delay + 1}, or nothing "
            f"can be chosen. Received: {settings.validation_slots}"
        )
    kinds, feature = needed(arms)
    slots = dataset.validation_slots(settings.validation_slots)
    memories, grid = {}, []
    if kinds:
        frozen = base.frozen(tuple(settings.keys))
        rows = dataset.train_rows(BATCH, seed=seed)
        keys = training_keys(frozen.serve, rows, settings.keys, 65_536)
        memories = similarity_memories(kinds, keys, settings)
        grid = tune_memory(
            frozen,
            slots,
            {name: (make(), key) for name, (make, key) in memories.items()},
            settings.compensations,
            settings.label_weights,
            delay,
            progress=progress,
        )
    frozen = base.frozen(())
    forms = feature_forms(frozen, dataset, settings, seed)
    scores = []
    if feature:
        tried = {form: forms.fast(form) for form in forms.forms}
        scores = replay(frozen, slots, tried, delay, progress=progress)
    return Choice(memories, forms, grid, scores)


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
        part = arm.removeprefix("incremental+").removeprefix("shuffled ")
        found = {"feature", "sketch"} if part == "feature+sketch" else {part.split(" ")[0]}
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


def _slow(name: str) -> str:
    return "incremental" if name.startswith("incremental") else "frozen"


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

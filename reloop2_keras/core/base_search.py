"""Options of a base model, chosen on the validation period within a time budget."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reloop2_keras.core.arguments import number
from reloop2_keras.core.early_stopping import Trial, ValidationScores, stopped_early
from reloop2_keras.core.linear_start import LinearPart, choose_linear
from reloop2_keras.core.progress import Lines

# Each axis from left to right; the second entry is where the search starts. Penalties of the
# embeddings are divided by the training rows, as the inverse of scikit-learn's C is.
AXES: dict[str, tuple[Sequence[Any], Any]] = {
    "embedding_l2": ((3.0, 10.0, 30.0, 100.0, 300.0, 1000.0), 100.0),
    "dropout": ((0.0, 0.2, 0.5), 0.2),
    "learning_rate": ((1e-3, 3e-3, 1e-2), 3e-3),
    "embedding_dim": ((8, 16, 32), 16),
}
# what an option is where nothing is chosen
DEFAULTS: dict[str, Any] = {
    "embedding_dim": 16,
    "dropout": 0.2,
    "embedding_l2": 1e-6,
    "linear_l2": None,
    "learning_rate": 1e-3,
    "hashed": None,
}
GAIN = 1e-4  # of the score: less is no reason to move to another option


def or_default(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with `DEFAULTS` instead of None.

    Example:
        >>> or_default({"dropout": None, "embedding_dim": 8})
        {'dropout': 0.2, 'embedding_dim': 8}
    """
    return {name: DEFAULTS[name] if x is None else x for name, x in options.items()}


def with_search(
    base: Any, options: Mapping[str, Any] | None, progress: bool | None
) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return `base_options` of a comparison with ONE search for all seeds, and what it notes.

    Args:
        base: what `compare` was given; a search is made for None only.
        options: its `base_options`; `search` in it is taken as `train_base` takes it.
        progress: see `BaseSearch`.

    Returns:
        (options for `train_base`, or as given if nothing is trained; info for the report: `base`,
        the options, and `search`, filled when the first base is trained)
    """
    given = dict(options or {})
    noted: dict[str, Any] = {"base": {k: v for k, v in given.items() if k != "search"}}
    if base is not None:
        return (None if options is None else given), noted
    search = given.get("search", True)
    if search is True:
        search = BaseSearch(progress=progress)
    noted["search"] = search.report if search else None
    return {**given, "search": search}, noted


class BaseSearch:
    """Chooses a base's options on the validation period; see `train_base`.

    First the linear part: logistic regressions of the training period, with and without hashed
    rows, for several penalties (`choose_linear`). The best one is where every training starts: the
    deep part adds nothing yet, so that what is returned scores no worse than it on validation. Then
    the deep part's options, one axis after the other: a neighbor that does better is moved to.
    Trainings are compared, and stopped early, by the validation period's log loss with the level
    taken out (`leveled_logloss`).

    What is reused: the validation period chooses options and epochs here, and `compare` then
    replays it for the memories' settings, so that scores on it are too good by what the choice
    could fit. The slots that are scored later are never read.

    The first training always runs to its end. A later one starts only within the budget and is
    cut at it; with a budget that is never reached, the same seed finds the same.

    Args:
        seconds: float >= 0, the budget. 0: the linear part and one training.
        axes: name of an option -> (its values in order, which one is the start), instead of
            `AXES`; penalties are divided by the number of training rows.
        progress: bool: a line a training; None: on terminals and in notebooks only.

    Attributes:
        picked: dict of options, or None before the first training.
        report: dict for a report: `picked`, `linear` and `tried` (a dict each), `seconds`, `budget`
            and `complete`, whether the budget sufficed. It is filled by the first training.

    A second `train_base` with the same object, such as for another seed, trains what was picked.

    Raises:
        ValueError: if `seconds` is negative, a start is no value of its axis, or the object is
            used with another dataset than at first.

    Example:
        >>> search = BaseSearch(seconds=30)
        >>> one, _ = train_base(dataset, seed=1, search=search)  # doctest: +SKIP
        >>> two, _ = train_base(dataset, seed=2, search=search)  # doctest: +SKIP
    """

    def __init__(
        self,
        seconds: float = 60.0,
        axes: Mapping[str, tuple[Sequence[Any], Any]] | None = None,
        progress: bool | None = None,
    ) -> None:
        self.seconds = number("seconds", seconds, "[0, inf)")
        self.axes = dict(AXES if axes is None else axes)
        for name, (values, start) in self.axes.items():
            if start not in values:
                raise ValueError(f"`axes` must start within {values} for {name}. Received: {start}")
        self._lines = Lines(progress)
        self.picked: dict[str, Any] | None = None
        self.report: dict[str, Any] = {}
        self._linear: LinearPart | None = None
        self._folder: Any = None

    def train(
        self,
        dataset: Any,
        fixed: Mapping[str, Any],
        start: Callable[[dict[str, Any], LinearPart], Trial],
        max_epochs: int = 30,
        patience: int = 3,
    ) -> tuple[Any, dict[str, list[float]]]:
        """Search, or train what was picked before; see `train_base`.

        Args:
            dataset: `PreparedDataset`.
            fixed: options that are not to be chosen; None stands for a choice.
            start: function of all options and the linear part that returns a `Trial` whose model
                predicts as the linear part does.
            max_epochs: int, of each training.
            patience: int, epochs without a better validation score before it stops.

        Returns:
            (model with the weights of the best epoch, history dict of lists: `loss`,
            `val_score`, `val_logloss`, `val_auc`; their first entry is the linear part alone)
        """
        began = time.perf_counter()
        if self._folder not in (None, dataset.folder):
            raise ValueError(
                f"`search` was made on {self._folder} and must be used with that dataset. "
                f"Received: {dataset.folder}"
            )
        fixed = {name: value for name, value in fixed.items() if value is not None}
        scores = ValidationScores(dataset)
        if self.picked is not None and self._linear is not None:
            trial, first = start(self.picked, self._linear), self._linear.row["loss"]
            history, _ = stopped_early(trial, scores, first, max_epochs, patience)
            return trial.model, history
        self._folder = dataset.folder
        hashed = (fixed["hashed"],) if "hashed" in fixed else (True, False)
        linear, rows = choose_linear(dataset, hashed, fixed.get("linear_l2"), say=self._say)
        self._linear = linear
        axes = self._resolved(sum(g.rows for g in dataset.row_groups()[0]), fixed)
        chosen = {"hashed": linear.hashed, "linear_l2": linear.linear_l2}
        options = {**DEFAULTS, **fixed, **chosen}
        place = {name: values.index(first) for name, (values, first) in axes.items()}
        tried: list[dict[str, Any]] = []
        best: tuple[float, Any, Any] = (math.inf, None, None)

        def better(place: dict[str, int]) -> bool:
            nonlocal best
            now = {name: axes[name][0][index] for name, index in place.items()}
            end = began + self.seconds if tried else math.inf
            trial = start({**options, **now}, linear)
            settings = linear.row["loss"], max_epochs, patience, end
            history, cut = stopped_early(trial, scores, *settings)
            score = min(history["val_score"])
            epoch = history["val_score"].index(score)
            row: dict[str, Any] = {**now, "epoch": epoch, "score": score}
            row |= {name: history[f"val_{name}"][epoch] for name in ("logloss", "auc")}
            tried.append({**row, "epochs": len(history["loss"]) - 1, "cut": cut})
            self._say(f"training {len(tried)}: {row}")
            if score < best[0] - GAIN:
                best, self.picked = (score, trial.model, history), {**options, **now}
                return True
            return False

        better(place)
        done = self._climbed(axes, place, better, began + self.seconds)
        self._lines.close()
        self.report.update(
            picked=self.picked,
            linear=rows,
            tried=tried,
            seconds=round(time.perf_counter() - began, 1),
            budget=self.seconds,
            complete=done and not any(row["cut"] for row in tried),
        )
        return best[1], best[2]

    def found(self) -> dict[str, Any]:
        """Return what was found by now, for `take_found`."""
        return {"picked": self.picked, "report": self.report, "linear": self._linear}

    def take_found(self, found: Mapping[str, Any]) -> None:
        """Take what `found` returned, so that it is not searched for again."""
        self.picked, self._linear = found["picked"], found["linear"]
        self.report.update(found["report"])  # a report's `info` may hold this very dict

    def _resolved(self, rows, fixed):
        axes = {}
        for name, (values, first) in self.axes.items():
            if name in fixed:
                axes[name] = [fixed[name]], fixed[name]
            elif name == "embedding_l2":
                axes[name] = (
                    [float(f"{x / rows:.3g}") for x in values],
                    float(f"{first / rows:.3g}"),
                )
            else:
                axes[name] = list(values), first
        return axes

    @staticmethod
    def _climbed(axes, place, better, end):
        """Move along each axis as long as that helps; returns whether the time sufficed."""
        for name, (values, _) in axes.items():
            for way in (-1, 1):
                moved = False
                while 0 <= place[name] + way < len(values):
                    if time.perf_counter() >= end:
                        return False
                    if not better({**place, name: place[name] + way}):
                        break
                    place[name] += way
                    moved = True
                if moved:  # the other side is where it came from
                    break
        return True

    def _say(self, line):
        self._lines.say(f"base: {line}")

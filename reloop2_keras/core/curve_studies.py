"""Studies of one dataset at several points: what they share is made once, what is done is kept."""

import dataclasses
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.choice import Choice, choose
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.description import sealed
from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.online.fast_part import StartedTables
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.study import compare, once_for_seeds
from reloop2_keras.core.study_checks import check_arms, check_study, checked_seeds
from reloop2_keras.core.study_state import StudyState, about_run, clear_states

_log = logging.getLogger(__name__)


class CurveStudies:
    """Runs one comparison at point after point; killed and started again, it goes on.

    All points share the base of a seed, and start from the random numbers that its training left:
    the report of a point is that of `compare` at that point alone, whatever ran before it. With
    `state` each point keeps its state in a folder of its own, as `compare` does; of one that is
    done its report alone is kept.

    Args:
        dataset, make_base, arms, seeds: see `core.study.compare`.
        windows: delay of each point, for what is checked before hours of training.
        options: further arguments of `compare`; `state` is the folder of all points.
        **about: what a run must have in common with one that it goes on with, beside these.

    Raises:
        ValueError: as `compare`; if `state` is of another run, naming what differs.
    """

    def __init__(
        self,
        dataset: Any,
        make_base: Callable[[int], Any],
        arms: Sequence[str],
        seeds: Iterable[int],
        windows: Sequence[Delay],
        options: Mapping[str, Any],
        late: LateClicks | None = None,
        **about: Any,
    ) -> None:
        self._dataset, self._arms, self._seeds = dataset, list(arms), checked_seeds(seeds)
        self._options = dict(options)
        state = self._options.pop("state", None)
        self._folder = None if state is None else Path(state)
        settings = self._options.get("settings") or Candidates()
        check_arms(self._arms, self._options.get("choose_rival"))
        for delay in windows:
            check_study(dataset, settings, delay, self._options.get("slots"))
        crosses = settings.online_crosses, settings.max_crosses
        self._options.update(settings=settings, tables=StartedTables(dataset, *crosses))
        about |= {"arms": self._arms, "seeds": self._seeds}
        about["settings"] = dataclasses.asdict(settings)
        about["slots"] = len(dataset.slots(self._options.get("slots")))
        told = about_run(sealed(dataset.meta)["sha256"], options.get("info") or {}, late, **about)
        self._states = StudyState(state, make_base, self._options["tables"], **told)
        self._make = self._maker(make_base)
        self._bases: dict[int, tuple[Any, Any, Any]] = {}
        self._choices: dict[int, Choice] = {}
        self._points = 0

    def report(
        self, name: str, delay: Delay, late: LateClicks | None = None, chosen: bool = False
    ) -> PrequentialReport:
        """Return the report of the next point; points come in the same order in each run.

        Args:
            name: of the point, for the log.
            delay, late: see `compare`.
            chosen: bool, whether all is chosen once, for all points.
        """
        self._points += 1
        place = None if self._folder is None else self._folder / f"point-{self._points}"

        def run() -> PrequentialReport:
            _log.info("%s", name)
            options = self._options
            if chosen:
                options = {**options, "choices": self._chosen(delay)}
            given = self._dataset, self._make, self._arms, self._seeds, delay
            return compare(*given, late=late, state=place, **options)

        found: PrequentialReport = self._states.whole(f"point {self._points}", run)
        if place is not None:
            clear_states(place)  # all that is needed of it is in that step
        return found

    def _maker(self, make_base):
        """Like `make_base`, with its attributes, but each base is trained once."""

        def make(seed: int) -> Any:
            base, _, drawn = self._base(seed)
            random.setstate(drawn)
            return base

        vars(make).update(vars(make_base))
        make.keeps = True  # type: ignore[attr-defined]
        return make

    def _base(self, seed):
        """A seed's base, the steps that come after it, and the random numbers that it left."""
        if seed not in self._bases:
            steps = self._states.steps(seed)
            base = self._states.base(seed, steps)
            self._bases[seed] = base, steps, random.getstate()
        return self._bases[seed]

    def _chosen(self, delay):
        """The choices of all seeds, without late clicks."""
        options = self._options
        shared = options["settings"], options.get("progress"), options["tables"]
        rival = once_for_seeds(self._options.get("choose_rival"), self._states.shared)
        for seed in self._seeds:
            if seed not in self._choices:
                base, steps = self._make(seed), self._base(seed)[1]
                _log.info("seed %s: choosing on the validation period", seed)
                given = base, self._dataset, self._arms, seed, delay, *shared
                self._choices[seed] = choose(*given, rival, steps)
        return self._choices

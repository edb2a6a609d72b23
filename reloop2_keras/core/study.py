"""The whole study of one dataset: train, choose, stream, report; for every framework."""

import dataclasses
import datetime
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.choice import ARMS, Choice, choose
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.description import sealed
from reloop2_keras.core.late_clicks import LateClicks
from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.core.online.fast_part import OnlinePart, StartedTables
from reloop2_keras.core.prequential import prequential
from reloop2_keras.core.provenance import provenance
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.saved_steps import SavedSteps
from reloop2_keras.core.study_checks import check_arms, check_study, checked_seeds
from reloop2_keras.core.study_state import StudyState, about_run

_log = logging.getLogger(__name__)


def compare(
    dataset: Any,
    make_base: Callable[[int], Any],
    arms: Sequence[str] = ARMS,
    seeds: Iterable[int] = (1001,),
    delay: int | str | Delay = 0,
    slots: int | None = None,
    settings: Candidates | None = None,
    info: dict[str, Any] | None = None,
    choices: dict[int, Choice] | None = None,
    progress: bool | None = None,
    report: type[PrequentialReport] = PrequentialReport,
    choose_rival: Callable[..., Any] | None = None,
    late: LateClicks | None = None,
    tables: StartedTables | None = None,
    kept: dict[str, Any] | None = None,
    state: str | Path | None = None,
) -> PrequentialReport:
    """Compare arms on a dataset's stream: each slot is predicted, scored, and only then learnt.

    For each seed a base is trained on the training period, everything else is chosen by replaying
    the validation period (`choose`), and all arms then see the same slots in the same order. No
    choice is made on the slots that are scored. What a batch should see of it, a line a step and
    then one an arm, is logged at the level INFO.

    Args:
        dataset: `PreparedDataset`.
        make_base: function of the seed that returns a `TrainedBase`.
        arms: names; see `ARMS` for those of the tables and `Choice.fast` for more.
        seeds: ints, one run each.
        delay: slots until labels arrive, or text such as "2h"; see `iter_prequential`.
        slots: int, to cut the stream into that many slots; None: as it was prepared.
        settings: `Candidates`, what may be chosen; None: its defaults.
        info: dict, noted in the report, such as the backend's name.
        choices: dict seed -> `Choice`: one that is there is taken instead of choosing, and others
            are put there, to look at what validation saw; or None. Arms of one that was made
            before draw the random numbers that they would have drawn then.
        progress: bool, or None to show bars on terminals and in notebooks only.
        report: class of the report.
        choose_rival: see `choose`.
        late: `LateClicks`, clicks that come after the delay, in the slots that are scored and in
            the validation period before them; choices are made without them. Or None.
        tables: `StartedTables`, to share them between comparisons; None makes them.
        kept: dict, where the first seed's arms are put by name, as they are when all labels of the
            stream have come: those that no slot waited for are learnt, too, once all is scored.
        state: folder where the state is written after each slot, or several short ones (so that
            states take a fifth of the time at most), and gone on from: a run that was killed and is
            started again with the same arguments ends as if it had not been. Before the stream, the
            base, the choice of memories, and each rival are steps: the one that was under way
            begins anew. Other arguments, data, code or versions are refused. Remove it by
            `clear_states` once all is written. None: nothing is written. Of a seed that is gone on
            with within its stream, `choices` gets a `PickedBefore`.

    Returns:
        report over all seeds; its `info` says what was compared, when, and what was picked.

    Raises:
        ValueError: if an argument is out of range, an arm is unknown, or `state` is of another
            run.
    """
    delay, settings = Delay.of(delay), settings or Candidates()
    seeds = checked_seeds(seeds)
    check_arms(arms, choose_rival)
    check_study(dataset, settings, delay, slots)
    start, stream, reports, picked = time.perf_counter(), dataset.slots(slots), [], []
    tables = tables or StartedTables(dataset, settings.online_crosses, settings.max_crosses)
    weights: dict[str, list] = {}
    table_weights: dict[str, list] = {}
    about = about_run(
        sealed(dataset.meta)["sha256"],
        info or {},
        late,
        arms=list(arms),
        seeds=seeds,
        slots=len(stream),
        delay=delay.plain(),
        settings=dataclasses.asdict(settings),
    )
    states = StudyState(state, make_base, tables, **about)
    shared = settings, progress, tables, once_for_seeds(choose_rival, states.shared)
    for seed in seeds:
        backup = states.of(seed)
        if backup is not None and backup.running is not None:
            _log.info("seed %s: going on after %d slots", seed, backup.done)
            choice, made = backup.further["chosen"], backup.running.arms
        else:
            steps = states.steps(seed)
            _log.info("seed %s: training the base", seed)
            base = states.base(seed, steps)
            _log.info("seed %s: choosing on the validation period", seed)
            choice = (choices or {}).get(seed)
            if choice is None:
                choice = choose(base, dataset, arms, seed, delay, *shared, steps)
            random.setstate(choice.drawn)
            made = choice.arms(arms, base)
            if backup is not None:
                states.begin(seed, backup, choice, made, delay, late)
        if choices is not None:
            choices.setdefault(seed, choice)
        picked += [{"seed": seed, "arm": arm, **row} for arm, row in choice.picked.items()]
        warmup = dataset.validation_slots(settings.validation_slots)
        _log.info("seed %s: streaming %d slots", seed, len(stream))
        keeps = kept is not None and not kept
        given = stream, made, delay, warmup, seed, progress
        more: dict[str, Any] = {"late": late, "drain": keeps, "backup": backup}
        reports.append(prequential(*given, report=report, **more))
        _log_arms(seed, reports[-1])
        if kept is not None and keeps:
            kept.update({arm.name: arm for arm in made})
        for arm in made:
            if isinstance(arm.fast, OnlinePart):
                weights.setdefault(arm.name, []).append(arm.fast.history)
                named = tables.named(arm.fast.table_history)
                table_weights.setdefault(arm.name, []).append(named)
    result = report.concat(reports)
    times = [one.info.get("microseconds", {}) for one in reports]
    result.info.update(
        microseconds={arm: sum(found[arm] for found in times) / len(times) for arm in times[0]},
        **provenance(dataset),
        parameters={
            "arms": list(arms),
            "slots": len(stream),
            "delay": delay.plain(),
            "late": None if late is None else dataclasses.asdict(late),
            **{name: (info or {}).get(name) for name in ("base", "incremental")},
            **dataclasses.asdict(settings),
        },
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - start, 1),
        rows=len(result.labels),
        picked=picked,
        crosses=tables.crosses(),
        crosses_tried=tables.tried()[:20],
        weights=weights,
        table_weights=table_weights,
        **(info or {}),
    )
    return result


def _log_arms(seed: int, report: PrequentialReport) -> None:
    """Log a line an arm; its figures take a second where a stream is long, so only if asked for."""
    if not _log.isEnabledFor(logging.INFO):
        return
    for arm, (p,) in report.predictions.items():
        took = (report.info.get("microseconds") or {}).get(arm)
        scores = auc(report.labels, p), logloss(report.labels, p)
        cost = "" if took is None else f", {took:.1f} us an event"
        _log.info("seed %s, %s: AUC %.4f, log loss %.4f%s", seed, arm, *scores, cost)


def once_for_seeds(
    choose_rival: Callable[..., Any] | None, steps: SavedSteps
) -> Callable[..., Any] | None:
    """Return `choose_rival`, but rivals without a base are chosen once for all seeds.

    Args:
        choose_rival: see `choose`; None: there are no rivals, and None is returned.
        steps: that serve all seeds.
    """
    chosen: dict[str, Any] = {}

    def choose_once(name: str, dataset: Any, base: Any, *rest: Any) -> Any:
        if base is not None:
            return choose_rival(name, dataset, base, *rest)  # type: ignore[misc]
        if name not in chosen:
            given = name, dataset, None, *rest
            chosen[name] = steps(name, lambda: choose_rival(*given))  # type: ignore[misc]
        return chosen[name]

    return None if choose_rival is None else choose_once

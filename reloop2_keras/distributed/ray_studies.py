"""Studies by workers of Ray: a task a seed, which compares all arms; the figures are the same.

A seed is a task, and an arm is none: the arms of a seed share one trained base, one choice on the
validation period and one way through the stream, all of which a task an arm would do again. What a
task returns goes by a file, because predictions of all arms are big.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reloop2_keras.core.base_search import BaseSearch
from reloop2_keras.core.beside import beside
from reloop2_keras.core.object_state import put_together, taken_apart
from reloop2_keras.core.progress import bar
from reloop2_keras.core.ray_engine import Engine
from reloop2_keras.core.serving.snapshot_file import read_state, write_state
from reloop2_keras.core.study_state import clear_states

_log = logging.getLogger(__name__)


def compare_by_seeds(
    engine: Engine,
    dataset: str | Path,
    out: str | Path,
    seeds: Sequence[int],
    search_seconds: float | None = 60.0,
    max_epochs: int = 30,
    progress: bool | None = None,
    kept: dict[str, Any] | None = None,
    resume: bool = False,
    **options: Any,
) -> Any:
    """Compare arms, each seed as a task; as many at a time as the engine has workers.

    Where the base's options are searched for, the first seed goes first, because what it finds is
    taken for all seeds. Figures are those of `compare` to the bit, given the same number of
    threads (OMP_NUM_THREADS; Ray gives a task one thread unless it is set).

    Args:
        engine: what `ray_engine` gives.
        dataset: folder of a prepared dataset, the same on each machine.
        out: folder for the results, the same on each machine; tasks leave theirs in it on the way.
        seeds: ints.
        search_seconds: float, budget of the search for the base's options; None: there is none.
        max_epochs: int, most epochs of a base.
        progress: bool, or None to show a bar on terminals only.
        kept: dict, see `compare`.
        resume: bool, whether each task writes its state to OUT/state and goes on from there.
        **options: `arms`, `delay`, `slots`, `settings`, see `compare`.

    Returns:
        `PrequentialReport` over all seeds.

    Raises:
        ValueError: as `compare`, with the seed, and the arm where it is known; or if OUT/state is
            of a comparison in one process.
        WorkerDied: if a task's workers died time and again.
    """
    from reloop2_keras.streaming.slow_states import HOOKS

    start, states = time.perf_counter(), Path(out) / "state"
    if resume and any(states.glob("seed-*")):
        raise ValueError(
            f"{states}: expected the state of tasks, found that of one process; go on "
            "without --engine, or remove it"
        )
    seeds = list(seeds)
    Path(out).mkdir(parents=True, exist_ok=True)
    with beside(Path(out).absolute() / "seeds") as folder:
        place = str(folder)
        found = None if search_seconds is None else str(Path(place, "found"))
        shared = str(Path(dataset).absolute()), {**options, "max_epochs": max_epochs}
        items = [
            (
                *shared,
                seed,
                search_seconds,
                found if i else None,
                i == 0 and kept is not None,
                str(_state(states, seed).absolute()) if resume else None,
                place,
            )
            for i, seed in enumerate(seeds)
        ]
        # what the first seed finds is there before the others begin
        runs = [items] if search_seconds is None else [items[:1], items[1:]]
        results = (
            done for run in runs for done in engine.each(one_seed, run, at_once=engine.workers)
        )
        for _ in bar(range(len(seeds)), "seeds", "seed", progress):
            _, seed = next(results)
            _log.info("seed %s: done", seed)
            if seed == seeds[0] and found is not None:
                report, _, searched = _read(place, seed, HOOKS)
                _write(found, searched)
        read = [_read(place, seed, HOOKS) for seed in seeds]
    if kept is not None:
        kept.update(read[0][1])
    return joined([report for report, _, _ in read], time.perf_counter() - start)


def one_seed(
    dataset: str,
    options: Mapping[str, Any],
    seed: int,
    search_seconds: float | None,
    found: str | None,
    keeps: bool,
    state: str | None,
    place: str,
) -> int:
    """Compare all arms with one seed, in a worker, and write what came of it; returns the seed.

    Args:
        dataset, search_seconds: see `compare_by_seeds`.
        options: of `compare`, and `max_epochs`.
        seed: int.
        found: path of what the first seed's search found, or None: it is searched for here.
        keeps: bool, whether the arms are written, too.
        state: folder, or None: nothing is kept for a run that is started again.
        place: folder to write to.
    """
    import reloop2_keras
    from reloop2_keras.streaming.slow_states import HOOKS

    options = dict(options)
    search = None if search_seconds is None else BaseSearch(search_seconds, progress=False)
    if search is not None and found is not None:
        head, arrays = read_state(Path(found))
        search.take_found(put_together(head["nodes"], arrays))
    base = {"max_epochs": options.pop("max_epochs"), "search": search}
    kept: dict[str, Any] | None = {} if keeps else None
    try:
        data = reloop2_keras.PreparedDataset(dataset)
        given = {"seeds": [seed], "base_options": base, "progress": False, "kept": kept}
        report = reloop2_keras.compare(data, state=state, **given, **options)
    except Exception as error:
        where = "".join(f", {note}" for note in getattr(error, "__notes__", ()))
        told = str(error) or type(error).__name__
        raise ValueError(f"seed {seed}{where}: {told}") from error
    whole = report, kept, None if search is None else search.found()
    _write(Path(place, f"{seed}.state"), whole, HOOKS)
    return seed


def joined(reports: Sequence[Any], seconds: float) -> Any:
    """Return one report of several seeds' reports, as `compare` makes it of all of them.

    Args:
        reports: of one seed each, in order.
        seconds: that all took.
    """
    first = reports[0]
    result = type(first).concat(reports)
    infos = [report.info for report in reports]
    arms = infos[0]["microseconds"]
    result.info.update(
        microseconds={arm: sum(i["microseconds"][arm] for i in infos) / len(infos) for arm in arms},
        picked=[row for info in infos for row in info["picked"]],
        seconds=round(seconds, 1),
        **{
            name: {arm: [x for info in infos for x in info[name][arm]] for arm in infos[0][name]}
            for name in ("weights", "table_weights")
        },
    )
    return result


def clear_task_states(out: str | Path, seeds: Sequence[int]) -> None:
    """Remove the states of a study by tasks that has ended; the first seed's last."""
    states = Path(out) / "state"
    for seed in reversed(seeds):
        clear_states(_state(states, seed))
    if states.is_dir() and not any(states.iterdir()):
        states.rmdir()


def _state(states: Path, seed: int) -> Path:
    return states / f"task-{seed}"


def _write(path: str | Path, value: Any, hooks: Sequence[Any] = ()) -> None:
    nodes, arrays = taken_apart(value, hooks)
    write_state(Path(path), {"nodes": nodes}, arrays)


def _read(place: str, seed: int, hooks: Sequence[Any]) -> Any:
    head, arrays = read_state(Path(place, f"{seed}.state"))
    return put_together(head["nodes"], arrays, hooks)

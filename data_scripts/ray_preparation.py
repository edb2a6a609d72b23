"""The work of a preparation, done by workers of Ray: the same bytes as those of one process.

The log is cut into parts of whole rows. Three stages of tasks follow each other: rows are counted,
values are counted and get their ids, rows are encoded to whole files of the dataset. What a task
made is noted, so that a run that is killed and started again does only what is missing.
"""

import bisect
import contextlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from data_scripts import ray_counting as counting
from data_scripts.errors import InputError
from data_scripts.passes import Passes
from data_scripts.ray_folder import WorkFolder, work_folder
from data_scripts.ray_rows import RowCount
from data_scripts.ray_units import How, Unit, grouped, read_frame
from data_scripts.ray_writing import write_files
from data_scripts.sources.source import Source
from data_scripts.vocabulary import FieldVocabulary
from reloop2_keras.core.run_identity import code_checksum, run_identity

TASK_ROWS = 131_072  # rows of a task, about


@contextlib.contextmanager
def on_ray(
    engine: Any,
    source: Source,
    passes: Passes,
    output: Path,
    options: Mapping[str, Any],
    chunk_rows: int,
) -> Iterator["RayPreparation"]:
    """Give what does the work; when the block ends well, what was put down on the way goes.

    Args:
        engine: `reloop2_keras.core.ray_engine.Engine`.
        source: `Source`.
        passes: `Passes` over it.
        output: path of the dataset.
        options: of `prepare`.
        chunk_rows: int, rows that a worker holds at a time.
    """

    def about() -> dict[str, Any]:
        files = [[str(path.absolute()), *_state(path)] for path in source.paths]
        given: dict[str, Any] = {
            "source": source.name,
            "fields": source.fields,
            "of_source": source.options,
        }
        given |= {"options": dict(options), "files": files, "polars": pl.__version__}
        return run_identity(**given, data_scripts=code_checksum(("data_scripts",)))

    with work_folder(output, about) as work:
        how = How(chunk_rows, options["on_error"], None, str(work.folder))
        yield RayPreparation(engine, source, passes, how, work, options)


class RayPreparation:
    """The `PreparationWork` of several workers.

    Args:
        engine, source, passes, options: see `on_ray`.
        how: `How`, the source's rows are read.
        work: `WorkFolder`.
    """

    def __init__(
        self,
        engine: Any,
        source: Source,
        passes: Passes,
        how: How,
        work: WorkFolder,
        options: Mapping[str, Any],
    ) -> None:
        self._engine, self._source, self._passes = engine, source, passes
        self._how, self._work, self._options = how, work, options
        self._shared = engine.ray.put(source)
        self._units: list[Unit] = []

    def count(self) -> int:
        """See `PreparationWork`."""
        counted = RowCount(self._source, self._passes, self._how, self._options, self.stage)
        self._units, self._how = counted.units, counted.how
        return counted.rows

    def stage(
        self,
        name: str,
        function: Callable[..., Any],
        items: Sequence[tuple],
        shared: bool = True,
        rows: Sequence[int] | None = None,
        made: Callable[[int, Any], list[Path]] = lambda number, result: [],
    ) -> Iterator[Any]:
        """Yield what the tasks of a stage return, in their order; done ones are not done again.

        Args:
            name: of the stage, shown beside its bar.
            function: what a task does.
            items: tuples of its arguments behind the source.
            shared: bool, whether the source is the first argument.
            rows: of each task, for the bar; None: tasks are counted.
            made: function (number, result) -> files that are needed later.

        Raises:
            InputError: of the first task in their order that failed.
        """
        results = {n: done for n in range(len(items)) if (done := self._work.done(name, n))}
        left = [n for n in range(len(items)) if n not in results]
        first = [self._shared] if shared else []
        tasks = self._engine.each(_tried, [(function, *first, *items[n]) for n in left])
        total = len(items) if rows is None else sum(rows)
        how = {"total": total, "unit": "task" if rows is None else "row", "unit_scale": True}
        with (
            contextlib.closing(tasks),
            tqdm(desc=name, disable=self._passes.no_bars, **how) as bar,
        ):
            for number in range(len(items)):
                while number not in results:
                    place, (result, failed) = next(tasks)
                    results[left[place]] = failed or result
                    if failed is None:
                        self._work.put(name, left[place], result, made(left[place], result))
                result = results.pop(number)
                if isinstance(result, InputError):
                    self._passes.check_files()  # If a file changed, that is the cause to report.
                    raise result
                bar.update(1 if rows is None else rows[number])
                yield result
        self._passes.check_files()

    def count_values(self, fields: Sequence[FieldVocabulary], rows: int, threshold: int) -> int:
        """See `PreparationWork`."""
        how, bins = self._how, fields[0].bins
        ends = list(itertools.accumulate(unit.rows for unit in self._units))
        units = self._units[: bisect.bisect_left(ends, rows) + 1]
        groups, items, left = grouped(units, TASK_ROWS), [], rows
        for number, (start, stop) in enumerate(groups):
            take = min(left, sum(unit.rows for unit in units[start:stop]))
            items.append((how, units[start:stop], take, number, bins))
            left -= take

        def counted(number: int, result: Any) -> list[Path]:
            numbers = how.at("numbers").glob(f"{number:06d}-*.npy")
            return [how.at("counts", f"{number:06d}.arrow"), *numbers]

        told = [item[2] for item in items]
        stage = self.stage("vocabulary", counting.count_values, items, rows=told, made=counted)
        results = list(stage)
        if any(result["hash"] != counting.hashed() for result in results):
            raise RuntimeError("expected the same Polars on all machines, found that hashes differ")
        parts = len(items)
        shards = [(how, parts, shard, threshold) for shard in range(counting.SHARDS)]
        list(
            self.stage(
                "merge",
                counting.merge_counts,
                shards,
                shared=False,
                made=lambda number, result: [how.at("kept", f"{number}.arrow")],
            )
        )
        self._take_ids(fields, results, parts)
        num_ids = 0
        for field in fields:
            num_ids = field.put_at(num_ids)
        return num_ids

    def _take_ids(self, fields, results, parts):
        how, bins = self._how, fields[0].bins
        words = [i for i, f in enumerate(fields) if f.kind == "categorical" and not f.final_ids]
        made = self.stage(
            "ids",
            counting.give_ids,
            [(how, i) for i in words],
            shared=False,
            made=lambda number, result: [how.at("fields", f"{words[number]}.arrow")],
        )
        for place, _ in zip(words, made, strict=True):
            fields[place].counts = read_frame(how.at("fields", f"{place}.arrow"))
            fields[place].cardinality = len(fields[place].counts) + 1
        numeric = [field for field in fields if field.kind == "numeric"] if bins else []
        items = [(how, parts, field.name, bins) for field in numeric]
        edges = self.stage("bins", counting.edges_of, items)
        for field, found in zip(numeric, edges, strict=True):
            field.edges = found
        for i, field in enumerate(fields):
            if field.kind == "numeric":
                field.maximum = max(result["maxima"][i] for result in results)
            elif field.final_ids:
                field.cardinality = max(result["cardinalities"][i] for result in results)

    def write(
        self,
        fields: Sequence[FieldVocabulary],
        folder: Path,
        plan: Sequence[tuple[str, int]],
        output: Path,
    ) -> dict[str, dict[str, Any]]:
        """See `PreparationWork`."""
        ends = list(itertools.accumulate(unit.rows for unit in self._units))
        widest = max(TASK_ROWS, *(unit.rows for unit in self._units))
        told, items, start = counting.told(fields), [], 0
        for files in _gathered(plan, widest):
            stop = start + sum(rows for _, rows in files)
            first, last = bisect.bisect_right(ends, start), bisect.bisect_left(ends, stop)
            skip = start - (ends[first] - self._units[first].rows)
            units = self._units[first : last + 1]
            items.append((self._how, units, skip, files, told, str(output)))
            start = stop
        rows = [sum(rows for _, rows in item[3]) for item in items]
        done: dict[str, dict[str, Any]] = {}
        for result in self.stage("write", write_files, items, rows=rows):
            done |= result["files"]
            for field, clipped in zip(fields, result["clipped"], strict=True):
                field.clipped += clipped
        for name in done:
            _put(self._how.at("new", name), folder / name)
        return done


def _tried(function, *given):
    """What a task returns, and the `InputError` that it raised: of several the first is told."""
    try:
        return function(*given), None
    except InputError as error:
        return None, error


def _gathered(plan, rows):
    """Runs of files that have about so many rows each."""
    files, held = [], 0
    for name, count in plan:
        files.append((name, count))
        held += count
        if held >= rows:
            yield files
            files, held = [], 0
    if files:
        yield files


def _put(path, place):
    """Give a file a second name, by which the first stays for a run that goes on."""
    place.parent.mkdir(exist_ok=True)
    try:
        os.link(path, place)
    except OSError:  # A file system without links.
        shutil.move(path, place)


def _state(path):
    status = path.stat() if path.exists() else None
    return [] if status is None else [status.st_size, status.st_mtime_ns]

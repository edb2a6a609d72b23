"""Preparation by workers of Ray: the bytes, the errors and the counts of one process."""

import dataclasses
import gzip
import os
import signal

import numpy as np
import polars as pl
import pytest
from prepared_files import same_files

from data_scripts import (
    criteo,
    movietweetings,
    prepare,
    ray_preparation,
    ray_rows,
    synthetic,
    table,
)
from reloop2_keras.core.ray_engine import ray_engine

pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
MAKE = {"slots": 3, "progress": False}


@pytest.fixture(scope="module")
def engine():
    with ray_engine("a test", workers=3, env={"POLARS_MAX_THREADS": "1"}) as started:
        yield started


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Parts of a few rows, so that there are many."""
    monkeypatch.setattr(ray_rows, "PART", 2000)
    monkeypatch.setattr(ray_rows, "TASK_PARTS", 3)
    monkeypatch.setattr(ray_preparation, "TASK_ROWS", 150)


def log(folder, rows=1500, ending="\n", bad=(), name="log.csv", packed=False, pause=0, start=0):
    rng = np.random.default_rng(1)
    lines = ["clicked,at,user,item,price,score"]
    for i in range(rows):
        user = f"u{rng.integers(0, 90)}"
        item = rng.choice(["true", "7.0", "7", "", f"i{rng.integers(0, 9)}", "a b"])
        price = "" if rng.random() < 0.2 else f"{rng.normal() * 50:.3f}"
        at = 1_700_000_000 + (start + i) * 10 - (pause if i == 700 else 0)
        cells = [str(rng.integers(0, 2)), str(at), user, item, price, str(rng.integers(0, 500))]
        lines.append(bad[i] if i in bad else ",".join(cells))
    path = folder / name
    data = (ending.join(lines) + ending).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def csv(path, **more):
    how = {"time": "at", "categorical": ["user", "item"], "numeric": ["price", "score"]}
    return table(path, "clicked", group="user2" if "group" in more else None, **how, **more)


def criteo_file(folder, rows=700, bad=()):
    rng = np.random.default_rng(2)
    lines = []
    for i in range(rows):
        words = [f"{rng.integers(0, 40):08x}" if rng.random() > 0.1 else "" for _ in range(4)]
        cells = [str(i % 2), str(rng.integers(-1, 99)), "", *words]
        lines.append(bad[i] if i in bad else "\t".join(cells))
    path = folder / "train.txt"
    path.write_text("\n".join(lines))  # the last line has no end
    return path


def parquet_file(folder):
    frame = pl.read_csv(log(folder))
    path = folder / "log.parquet"
    frame.write_parquet(path, row_group_size=170)
    return path


def source_of(name, folder, movies):
    if name == "criteo":
        return criteo(criteo_file(folder), 2, 4), {}
    if name == "final ids":
        path = criteo_file(folder)
        path.write_text("\n".join(f"{i % 2}\t{i % 7}\t{i % 31}\t{i % 3}" for i in range(400)))
        return criteo(path, 1, 2, skip_id_convert=True), {}
    if name == "table, bins":
        return csv(log(folder)), {"bins": 8, "threshold": 3}
    if name == "several files, one packed":
        paths = [log(folder, 300, name="a.csv"), log(folder, 0, "\r\n", name="b.csv")]
        return csv([*paths, log(folder, 400, name="c.csv.gz", packed=True, start=300)]), {}
    if name == "parquet":
        return csv(parquet_file(folder)), {"limit": 1000}
    if name == "line breaks in values":
        path = folder / "quoted.csv"
        rows = "".join(f'{i % 2},"a{i % 5}\nb",{i}\n' for i in range(300))
        path.write_text("label,word,number\n" + rows)
        how = {"categorical": ["word"], "numeric": ["number"], "multiline": True}
        return table(path, "label", **how), {}
    if name == "sorted":
        return csv(log(folder, pause=5000), sort=True), {"limit": 900}
    if name == "synthetic":
        return synthetic(600, users=30, items=9), {}
    return movietweetings(movies), {"limit": 20_000}


CASES = ["criteo", "final ids", "table, bins", "several files, one packed", "parquet"]
CASES += ["line breaks in values", "sorted", "synthetic"]


QUICK = {"criteo", "table, bins", "several files, one packed", "write", "the first bad row"}
QUICK |= {"skipped up to the limit", "out of order at the seam of parts", "an empty second file"}


def cases(names):
    return [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in names]


@pytest.mark.parametrize("name", cases(CASES))
def test_the_same_bytes_as_one_process(name, engine, tmp_path):
    source, options = source_of(name, tmp_path, None)
    alone = prepare(source, tmp_path / "alone", **MAKE, **options)
    assert prepare(source, tmp_path / "ray", **MAKE, **options, engine=engine) == alone
    same_files(tmp_path / "alone", tmp_path / "ray")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_movietweetings_with_one_two_and_three_workers_at_a_time(
    engine, tmp_path, movietweetings_raw, monkeypatch
):
    source, options = source_of("movietweetings", tmp_path, movietweetings_raw)
    prepare(source, tmp_path / "alone", **MAKE, **options)
    monkeypatch.setattr(ray_preparation, "TASK_ROWS", 4000)
    for workers in (1, 2, 3):
        fewer = type(engine)(engine.ray, workers, False)
        prepare(source, tmp_path / f"by {workers}", **MAKE, **options, engine=fewer)
        same_files(tmp_path / "alone", tmp_path / f"by {workers}")


BAD = {200: "1,1700002000", 640: "7,1700006400,u,i,1,2", 641: "0,never,u,i,1,2"}
BAD |= {900: "1,1700009000,u,i,wide,3", 1300: "1,1700013000,u,i,1"}
WRONG = {
    "the first bad row": (lambda p: csv(log(p, bad=BAD)), {}),
    "a bad row behind the limit is none": (lambda p: csv(log(p, bad=BAD)), {"limit": 200}),
    "a bad row before the limit": (lambda p: csv(log(p, bad=BAD)), {"limit": 640}),
    "bad rows are skipped": (lambda p: csv(log(p, bad=BAD)), {"on_error": "skip"}),
    "skipped up to the limit": (
        lambda p: csv(log(p, bad=BAD)),
        {"on_error": "skip", "limit": 850},
    ),
    "too many": (lambda p: csv(log(p, bad=BAD)), {"on_error": "skip", "max_bad": 0.003}),
    "rows out of order": (lambda p: csv(log(p, bad=BAD, pause=99)), {"on_error": "skip"}),
    "out of order at the seam of parts": (lambda p: csv(out_of_order(p)), {}),
    "no label fits": (lambda p: csv(log(p), positive="yes"), {}),
    "words, numbers, too few rows": (lambda p: csv(log(p, 4)), {}),
    "a quote that stays open": (
        lambda p: csv(log(p, bad={**BAD, 700: '1,1700007000,"u,i,1,2'})),
        {"on_error": "skip"},
    ),
    "times that may be dates": (lambda p: csv(dates(p)), {}),
    "criteo, in training": (lambda p: criteo(criteo_file(p, bad={90: "2\tx"}), 2, 4), {}),
    "criteo, behind it": (lambda p: criteo(criteo_file(p, bad={600: "2\tx"}), 2, 4), {}),
    "criteo, skipped": (
        lambda p: criteo(criteo_file(p, bad={9: "2\tx", 600: "", 650: "a\rb"}), 2, 4),
        {"on_error": "skip"},
    ),
    "sorted": (lambda p: csv(log(p, bad=BAD), sort=True), {"on_error": "skip", "limit": 1000}),
    "no such file": (lambda p: csv([log(p, bad=BAD), p / "none.csv"]), {}),
    "an empty second file": (lambda p: criteo([criteo_file(p), empty(p)], 2, 4), {}),
}


def out_of_order(folder):
    """A log whose rows are in order within each part."""
    path = log(folder)
    first, *_ = csv(path).parts.cut(ray_rows.PART)
    data = path.read_bytes()
    line = data[first.stop :].split(b"\n", 1)[0]
    path.write_bytes(
        data[: first.stop] + line.replace(b",17000", b",16000") + b"\n" + data[first.stop :]
    )
    return path


def dates(folder):
    path = log(folder)
    cells = [line.split(",") for line in path.read_text().splitlines()]
    lines = [
        f"{c[0]},2111021530,{','.join(c[2:])}" if i else ",".join(c) for i, c in enumerate(cells)
    ]
    path.write_text("\n".join(lines))
    return path


def empty(folder):
    path = folder / "empty.txt"
    path.touch()
    return path


def told(source, out, caplog, **more):
    caplog.clear()
    try:
        meta = prepare(source, out, **MAKE, **more)
    except Exception as error:
        meta = type(error), str(error).replace(str(out), "OUT")
    return meta, [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("name", cases(WRONG))
def test_bad_rows_are_told_as_one_process_tells_them(name, engine, tmp_path, caplog):
    make, options = WRONG[name]
    source = make(tmp_path)
    alone = told(source, tmp_path / "alone", caplog, **options)
    assert told(source, tmp_path / "ray", caplog, **options, engine=engine) == alone
    assert isinstance(alone[0], tuple) == (not (tmp_path / "alone").exists())
    if (tmp_path / "alone").exists():
        same_files(tmp_path / "alone", tmp_path / "ray")
    assert not list(tmp_path.glob(".*")), "bad input leaves nothing behind"


def test_a_worker_that_is_killed_costs_its_task_alone(engine, tmp_path):
    source = criteo(criteo_file(tmp_path), 2, 4)
    prepare(source, tmp_path / "alone", **MAKE)
    read, marks = source.parts.read, tmp_path / "marks"
    marks.mkdir()

    def read_and_die(part, *given):
        for number, frame in enumerate(read(part, *given)):
            mark = marks / str(part.start)
            if number == 0 and not mark.exists() and len(list(marks.iterdir())) < 2:
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield frame

    parts = dataclasses.replace(source.parts, read=read_and_die)
    dies = dataclasses.replace(source, parts=parts)
    prepare(dies, tmp_path / "ray", **MAKE, engine=engine)
    assert len(list(marks.iterdir())) >= 2
    same_files(tmp_path / "alone", tmp_path / "ray")


STAGES = ["count rows", "vocabulary", "merge", "ids", "bins", "write"]


@pytest.mark.parametrize("stage", cases(STAGES))
def test_a_run_that_ends_in_any_stage_is_gone_on_with(stage, engine, tmp_path, monkeypatch):
    source, options = source_of("table, bins", tmp_path, None)
    prepare(source, tmp_path / "alone", **MAKE, **options)
    now = []
    run = ray_preparation.RayPreparation.stage

    def noted(self, name, *given, **more):
        now.append(name)
        return run(self, name, *given, **more)

    monkeypatch.setattr(ray_preparation.RayPreparation, "stage", noted)

    class Stops(type(engine)):
        def each(self, function, items, **more):
            for done, found in enumerate(super().each(function, items, **more)):
                if now[-1] == stage and done == 1:
                    raise KeyboardInterrupt
                yield found

    with pytest.raises(KeyboardInterrupt):
        stops = Stops(engine.ray, 3, False)
        prepare(source, tmp_path / "ray", **MAKE, **options, engine=stops)
    assert (tmp_path / ".ray.parts").is_dir() and not (tmp_path / "ray").exists()
    given = []

    class Counts(type(engine)):
        def each(self, function, items, **more):
            items = list(items)
            given.append((now[-1], len(items)))
            return super().each(function, items, **more)

    now.clear()
    prepare(source, tmp_path / "ray", **MAKE, **options, engine=Counts(engine.ray, 3, False))
    same_files(tmp_path / "alone", tmp_path / "ray")
    earlier = [count for name, count in given[: now.index(stage)]]
    assert set(earlier) <= {0}, given
    assert not list(tmp_path.glob(".*"))

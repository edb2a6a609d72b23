"""What follows a stream evaluation: `compare --table`, and `make demo` up to it."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reloop2_keras.__main__ import main
from reloop2_keras.core.overview import merged, overview

ROOT = Path(__file__).parents[1]
ARM = {"auc": 0.7, "gauc": None, "logloss": 0.5, "ece": 0.1}


def metrics(file, **content):
    file.write_text(json.dumps({"arms": {"frozen": ARM}, **content}))
    return file


def shown(paths, capsys):
    assert main(["compare", "--table", *map(str, paths)]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_stream_of_one_class_has_no_auc(tmp_path, capsys):
    one_class = {**ARM, "auc": None}
    path = metrics(tmp_path / "m.json", arms={"frozen": one_class, "exact": one_class, "odd": {}})
    _, *arms = shown([path], capsys)
    assert [line.split() for line in arms] == [
        ["frozen", "-", "-", "-", "-", "0.5000", "0.1000", "-"],
        ["exact", "-", "-", "-", "-", "0.5000", "0.1000", "-"],
        ["odd", "-", "-", "-", "-", "-", "-", "-"],
    ]


def test_one_file_ends_with_its_verdict_and_a_folder_will_do(tmp_path, capsys):
    arms = {"frozen": ARM, "exact": {**ARM, "auc": 0.72, "microseconds": 3.25}}
    metrics(tmp_path / "metrics.json", arms=arms, verdict="deploy: exact. It is better", seeds=[1])
    lines = shown([tmp_path], capsys)
    assert lines[2].split() == "exact 0.7200 +0.0200 - - 0.5000 0.1000 3.2".split()
    assert lines[-1] == "deploy: exact. It is better"


def test_several_files_are_all_shown(tmp_path, capsys):
    arms = {"frozen": ARM, "exact": {**ARM, "auc": 0.725}}
    paths = [
        metrics(tmp_path / "a.json", arms=arms, path="runs/films/dataset", backend="jax"),
        metrics(tmp_path / "b.json", arms={"frozen": {**ARM, "auc": 0.6}}, best_possible=ARM),
        metrics(tmp_path / "c.json", arms={"frozen": {**ARM, "auc": None}, "exact": ARM}),
    ]
    lines = shown(paths, capsys)
    assert lines[0].split() == "run log backend seeds rows what to do from".split()
    assert lines[1].split() == ["[1]", "films", "jax", "-", "-", "-", str(paths[0])]
    assert [line.split()[-1] for line in lines[2:4]] == [str(path) for path in paths[1:]]
    tables = {line: at for at, line in enumerate(lines) if line.endswith("[3]")}
    rows, losses = (
        {line[:22].strip(): line[22:].split() for line in lines[at + 1 : at + 4]}
        for at in tables.values()
    )
    assert losses["frozen"][:2] == [f"{ARM['logloss']:.4f}", f"{ARM['ece']:.4f}"]
    assert losses["exact"][2:4] == ["-", "-"]
    assert rows == {
        "frozen": ["0.7000", "+0.0000", "0.6000", "+0.0000", "-", "-"],
        "exact": ["0.7250", "+0.0250", "-", "-", "0.7000", "-"],
        "best possible": ["-", "-", "0.7000", "+0.1000", "-", "-"],
    }


def run_of(seeds, auc, sd=None, **more):
    row = {"auc": auc, "logloss": 0.5, "auc_sd": sd, "logloss_sd": sd}
    return {"checksum": "c", "backend": "jax", "seeds": seeds, "arms": {"online": row}, **more}


def test_seeds_of_one_log_and_backend_are_one_run():
    """Mean and spread are those of all seeds, as if they had been run at once."""
    # seeds 1 to 5 with .70 .72 .74 | .71 | .78
    some = run_of([1, 2, 3], 0.72, 0.02)
    files = [("a", some), ("b", run_of([4], 0.71)), ("c", run_of([5], 0.78))]
    [run] = merged(files)
    assert run["seeds"] == [1, 2, 3, 4, 5] and run["paths"] == ["a", "b", "c"]
    assert run["arms"]["online"]["auc"] == pytest.approx(0.73)
    assert run["arms"]["online"]["auc_sd"] == pytest.approx(0.0316227766)  # statistics.stdev
    other = [
        run_of([6], 0.7, backend="torch"),
        run_of([6], 0.7, checksum="other"),
        run_of([6], 0.7, parameters={"delay": 1}),
        run_of([1], 0.9),  # made again
    ]
    runs = merged([*files, *(("d", content) for content in other)])
    assert [len(one["seeds"]) for one in runs] == [5, 1, 1, 1, 1]


def test_runs_that_do_not_fit_stand_below_and_the_last_line_says_what_to_do(tmp_path):
    deploy, keep = {"do": "deploy", "arm": "online"}, {"do": "keep", "arm": "frozen"}
    paths = []
    for number, decided in enumerate([deploy, keep, deploy]):
        content = run_of([1], 0.7, path=f"runs/log{number}", checksum=str(number), decision=decided)
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content))
        paths.append(path)
    lines = overview(paths, width=60).splitlines()
    assert max(len(line) for line in lines if line.startswith("online")) <= 60
    heads = [line.split() for line in lines if line.startswith("AUC and gain")]
    assert [words[3:] for words in heads] == [["[1]", "[2]"], ["[3]"]]
    help_not = "the memory does not help: keep frozen"
    assert lines[-1] == f"deploy: online ([1] log0, [3] log2); {help_not} ([2] log1)"
    assert overview([paths[0], paths[2]]).splitlines()[-1] == "deploy: online, in all 2 runs"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "found No such file"),
        ("", "expected a metrics.json of `compare` or notebook 04, found Expecting value"),
        ("[1]", "found a file without arms"),
        ('{"periods": {}}', "found a file without arms"),
        ('{"arms": {"frozen": 3}}', "found a file without arms"),
        ('{"arms": {"frozen": {"auc": "high"}}}', "found figures that are no numbers"),
    ],
)
def test_what_is_no_metrics_file_is_one_line(content, message, tmp_path, capsys):
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    good = metrics(tmp_path / "good.json")
    for paths in ([tmp_path / "x.json"], [good, tmp_path / "x.json"]):
        status = main(["compare", "--table", *map(str, paths)])
        line = capsys.readouterr().err
        assert status == 2 and line.count("\n") == 1
        assert line.startswith("reloop2_keras compare: ") and message in line and "x.json" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected DATASET and OUT, or --table"),
        (["runs/films/dataset"], "expected DATASET and OUT"),
        (["runs/films/dataset", ""], "expected DATASET and OUT"),
        (["", "out"], "expected DATASET and OUT"),
        (["runs/films/dataset", "out", "--table", "m.json"], "--table: expected without DATASET"),
        (["nowhere", "out"], "nowhere/dataset.json: not found"),
    ],
)
def test_wrong_words_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *words]) == 2
    line = capsys.readouterr().err
    assert message in line and line.count("\n") == 1


@pytest.mark.parametrize("seed", ["-1", "2147483648", "1.5", "x"])
def test_a_seed_that_no_framework_takes_is_told_before_training(seed, capsys):
    with pytest.raises(SystemExit) as end:
        main(["compare", "runs/films/dataset", "out", f"--seed={seed}"])
    assert (
        end.value.code == 2
        and "expected an integer from 0 to 2,147,483,647" in capsys.readouterr().err
    )


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("dataset", "expected", "demo"),
    [
        ("a b's", "a b's", "runs/demo-a b's"),
        ("~/a b", "{home}/a b", "runs/demo-a b"),
        ('x"; y', 'x"; y', 'runs/demo-x"; y'),
        ("logs/films/dataset/", "logs/films/dataset/", "runs/demo-films"),
        ("films", "films", None),  # DEMO= goes before
    ],
)
def test_make_demo_takes_any_name(dataset, expected, demo, tmp_path):
    venv, told = tmp_path / "venv", tmp_path / "told.txt"
    (venv / "bin").mkdir(parents=True)
    for stamp in (".made", ".ready-torch"):
        (venv / stamp).touch()
    python = venv / "bin" / "python"
    tell = "import json, sys; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + '\\n')"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{tell}" {told} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    words = [f"DATASET={dataset}", f"VENV={venv}", "BACKEND=torch"]
    if demo is None:
        demo = str(tmp_path / "de mo")
        words.append(f"DEMO={demo}")
    environment = {**os.environ, "HOME": str(tmp_path)}
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):  # runs/ is made here
        shutil.copy2(ROOT / name, tmp_path)
    for stamp in (".made", ".ready-torch"):
        (venv / stamp).touch()
    subprocess.run(["make", "demo", *words], cwd=tmp_path, env=environment, check=True)
    calls = [json.loads(line) for line in told.read_text().splitlines()]
    place = expected.format(home=tmp_path)
    folders = ["-p", "DATASET_DIR", place, "-p", "OUTPUT_DIR", demo]
    names = ["02_train.ipynb", "04_stream_evaluation.ipynb"]
    assert calls == [
        *[["notebooks/run.py", f"notebooks/{name}", f"{demo}/{name}", *folders] for name in names],
        ["-m", "reloop2_keras", "compare", "--table", f"{demo}/metrics.json"],
    ]


def test_overview_says_what_ours_loses_to_the_best(tmp_path, capsys):
    rows = {
        "frozen": {"auc": 0.6, "logloss": 0.6, "ece": 0.1},
        "vw": {"auc": 0.71, "logloss": 0.52, "ece": 0.02},
        "online": {"auc": 0.7, "logloss": 0.5, "ece": 0.01},
    }
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"arms": rows, "dataset": name}))
    lines = shown([tmp_path / "a.json", tmp_path / "b.json"], capsys)
    for number in (1, 2):
        assert f"[{number}]  auc +0.0100 (vw), logloss -0.0200 (vw)" in lines

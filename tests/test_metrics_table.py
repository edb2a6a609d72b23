"""What follows a stream evaluation: `run.py --table`, and `make demo` up to it."""

import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("run", ROOT / "notebooks" / "run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)
ARM = {"auc": 0.7, "gauc": None, "logloss": 0.5, "ece": 0.1}


def metrics(path, **content):
    path.write_text(json.dumps({"arms": {"frozen": ARM}, **content}))
    return path


def test_a_stream_of_one_class_has_no_auc(tmp_path, capsys):
    one_class = {**ARM, "auc": None}
    path = metrics(tmp_path / "m.json", arms={"frozen": one_class, "exact": one_class, "odd": {}})
    assert run.main(["--table", str(path)]) == 0
    _, *arms = capsys.readouterr().out.splitlines()
    assert [line.split() for line in arms] == [
        ["frozen", "-", "-", "-", "0.5000", "0.1000"],
        ["exact", "-", "-", "-", "0.5000", "0.1000"],
        ["odd", "-", "-", "-", "-", "-"],
    ]


def test_several_files_are_all_shown(tmp_path, capsys):
    arms = {"frozen": ARM, "exact": {**ARM, "auc": 0.725}}
    paths = [
        metrics(tmp_path / "a.json", arms=arms, dataset="movies", backend="jax"),
        metrics(tmp_path / "b.json", arms={"frozen": {**ARM, "auc": 0.6}}, best_possible=ARM),
        metrics(tmp_path / "c.json", arms={"frozen": {**ARM, "auc": None}, "exact": ARM}),
    ]
    assert run.main(["--table", *map(str, paths)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"[1] {paths[0]} (movies, jax)"
    assert lines[1:3] == [f"[2] {paths[1]}", f"[3] {paths[2]}"]
    cut = lines.index("", 5)
    rows, losses = (
        {line[:22].strip(): line[22:].split() for line in part}
        for part in (lines[5:cut], lines[cut + 2 :])
    )
    assert losses["frozen"][:2] == [f"{ARM['logloss']:.4f}", f"{ARM['ece']:.4f}"]
    assert losses["exact"][2:4] == ["-", "-"]
    assert rows == {
        "frozen": ["0.7000", "+0.0000", "0.6000", "+0.0000", "-", "-"],
        "exact": ["0.7250", "+0.0250", "-", "-", "0.7000", "-"],
        "best possible": ["-", "-", "0.7000", "+0.1000", "-", "-"],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "found No such file"),
        ("", "expected a metrics.json of notebook 04, found Expecting value"),
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
        status = run.main(["--table", *map(str, paths)])
        line = capsys.readouterr().err
        assert status == 2 and line.count("\n") == 1
        assert line.startswith("run.py: ") and message in line and "x.json" in line


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("dataset", "expected"), [("a b's", "a b's"), ("~/a b", "{home}/a b"), ('x"; y', 'x"; y')]
)
def test_make_demo_takes_any_name(dataset, expected, tmp_path):
    venv, told = tmp_path / "venv", tmp_path / "told.txt"
    (venv / "bin").mkdir(parents=True)
    for stamp in (".made", ".ready-torch"):
        (venv / stamp).touch()
    python = venv / "bin" / "python"
    tell = "import json, sys; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + '\\n')"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{tell}" {told} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    demo = tmp_path / "de mo"
    words = [f"DATASET={dataset}", f"DEMO={demo}", f"VENV={venv}", "BACKEND=torch"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(["make", "demo", *words], cwd=ROOT, env=environment, check=True)
    calls = [json.loads(line) for line in told.read_text().splitlines()]
    place = expected.format(home=tmp_path)
    folders = ["-p", "DATASET_DIR", place, "-p", "OUTPUT_DIR", str(demo)]
    names = ["02_train.ipynb", "04_stream_evaluation.ipynb"]
    assert calls == [
        *[["notebooks/run.py", f"notebooks/{name}", str(demo / name), *folders] for name in names],
        ["notebooks/run.py", "--table", str(demo / "metrics.json")],
    ]


def test_overview_says_what_ours_loses_to_the_best(tmp_path, capsys):
    rows = {
        "frozen": {"auc": 0.6, "logloss": 0.6, "ece": 0.1},
        "vw": {"auc": 0.71, "logloss": 0.52, "ece": 0.02},
        "online": {"auc": 0.7, "logloss": 0.5, "ece": 0.01},
    }
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"arms": rows}))
    assert run.main(["--table", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    last = capsys.readouterr().out.splitlines()[-2:]
    assert last[0].split() == ["auc", "+0.0100", "vw", "+0.0100", "vw"]
    assert last[1].split() == ["logloss", "-0.0200", "vw", "-0.0200", "vw"]

"""Benchmarks that take a model or data: what is not there is one line, and status 2."""

import importlib
import os
import re
import sys
from pathlib import Path

import pytest

from data_scripts import prepare, synthetic

HERE = Path(__file__).parents[1] / "benchmarks"
# module -> (words, with {} for what is tried; packages that it needs)
TAKERS = {
    "keras_twin": ("{} {out}", ("keras", "onnx", "onnxruntime")),
    "light_runtime": ("{}", ("onnxruntime",)),
    "notebook_04": ("{}", ()),
    "ranking": ("{} user", ("keras",)),
    "ray_serving": ("{}", ()),
    "scale_simulation": ("{}", ()),
    "service_load": ("{} --in-process", ("fastapi",)),
    "service_soak": ("{}", ("fastapi",)),
}
BACKEND = pytest.mark.backend  # of the tests that import keras; the others do without
WRONG = ("none", "file", "empty", "folder", "none/none", "x" * 300)


def case(name):
    framework = "keras" in TAKERS[name][1]
    return pytest.param(name, marks=BACKEND) if framework else name


def run(name, words, folder, monkeypatch):
    """Run a benchmark; its exit status."""
    for package in TAKERS[name][1]:
        pytest.importorskip(package)
    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", *words])
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as ended:
        module.main()
    return ended.value.code


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", [case(name) for name in TAKERS])
def test_what_is_not_there_is_one_line(name, wrong, folder, monkeypatch, capsys):
    before = sorted(os.listdir(folder))
    words = TAKERS[name][0].format(wrong, out="out").split()
    assert run(name, words, folder, monkeypatch) == 2
    said, told = capsys.readouterr()
    assert told.count("\n") == 1 and wrong[:40] in told and not said, told
    assert sorted(os.listdir(folder)) == before


@BACKEND
def test_a_field_that_is_not_there_is_told_before_a_base_is_trained(folder, monkeypatch, capsys):
    prepare(synthetic(300, users=9, items=5), folder / "dataset", slots=2, progress=False)
    capsys.readouterr()
    assert run("ranking", ["dataset", "nothing"], folder, monkeypatch) == 2
    assert "must be fields" in capsys.readouterr().err


def test_the_table_holds_all_benchmarks_that_take_a_model_or_data():
    takes = re.compile(r'add_argument\("(model|base|dataset|raw|data|path|log|folder)"')
    found = {p.stem for p in HERE.glob("*.py") if takes.search(p.read_text(encoding="utf-8"))}
    assert found == set(TAKERS)

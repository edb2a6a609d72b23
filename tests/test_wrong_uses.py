"""Each wrong use of a command line: status 2, one line that names it, and nothing is written."""

import contextlib
import importlib.util
import json
import os
import shlex
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_case import labelled, text
from service_case import ship_tables
from wrong_uses import BATCH, DATA, OTHERS, SERVICE, STUDY

from data_scripts import prepare, synthetic
from data_scripts.__main__ import main as prepared
from reloop2_keras import __main__ as commands
from reloop2_keras.core.command_line import check_out_folder
from reloop2_keras.service import running

ROOT = Path(__file__).parents[1]
NOBODY = 65534


def loaded(name, path):
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def damaged(model, folder, change):
    """A copy of a shipped model whose description was changed."""
    shutil.copytree(model, folder)
    about = json.loads((folder / "model.json").read_text())
    change(about)
    (folder / "model.json").write_text(json.dumps(about))
    return folder


def reseal(about):
    about["files"]["online.state"] = "0" * 64


def escape(about):
    about["files"]["../secret"] = "0" * 64


def inputs(work):
    """What the words name: path by name."""
    names = {name: work / name for name in ("out", "folder", "file", "empty", "noise", "locked")}
    names |= {"none": work / "none.txt", "void": "/proc/void", "log": work / "log.csv"}
    names["folder"].mkdir()
    (work / "folder.csv").mkdir()
    names["folder.csv"] = work / "folder.csv"
    names["file"].write_text("1\n")
    names["empty"].write_bytes(b"")
    names["noise"].write_bytes(bytes(range(256)) * 20)
    names["locked"].write_text("click,user,age\n1,u1,3\n")
    names["locked"].chmod(0)
    names["locked_folder"] = work / "locked_folder"
    names["locked_folder"].mkdir(mode=0o555)
    names["log"].write_text(text(labelled(50)))
    names["labelled"] = names["log"]
    names["unlabelled"] = work / "unlabelled.csv"
    names["unlabelled"].write_text("user,age\nu1,3\n")
    names["criteo"] = work / "train.txt"
    names["criteo"].write_text(("\t".join(["1", *["5"] * 13, *["ab"] * 26]) + "\n") * 40)
    names["parquet"] = work / "log.parquet"
    pq.write_table(pa.Table.from_pylist(labelled(50)), names["parquet"])
    names["not_parquet"] = work / "not.parquet"
    names["not_parquet"].write_text("click,user\n1,u\n")
    names["dataset"], names["model"] = work / "dataset", ship_tables(work / "model")
    source = synthetic(rows=400, users=20, items=10)
    prepare(source, names["dataset"], slots=2, progress=False)
    names["damaged_model"] = damaged(names["model"], work / "damaged_model", reseal)
    names["foreign_model"] = damaged(names["model"], work / "foreign_model", dict.clear)
    names["escaping_model"] = damaged(names["model"], work / "escaping_model", escape)
    return names


def listed(work):
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in work.rglob("*")}


@pytest.fixture(scope="module")
def names():
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as other:
        work = Path(folder)
        work.chmod(0o777)
        made = inputs(work)
        made["taken"] = other.getsockname()[1]
        yield {"work": work, **made}


@contextlib.contextmanager
def without_rights(words):
    """Be nobody, where words name what root alone could read or write."""
    if "locked" not in words or os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def never(*_, **__):
    raise AssertionError("work was begun")


def run_words(program, words, monkeypatch):
    monkeypatch.setattr(sys, "argv", [program, *words])
    if program == "data_scripts":
        return prepared(words)
    if program == "reloop2_keras":
        return commands.main(words)
    if program == "consumer.py":
        return loaded("consumer", ROOT / "examples" / "consumer.py").main(words)
    return importlib.import_module("benchmarks.__main__").main()


def refused(program, words, told, names, capsys, monkeypatch):
    """Run words of a shell that must end with status 2 and one line."""
    work, before = names["work"], listed(names["work"])
    filled = words
    for name, value in names.items():
        filled = filled.replace(f"{{{name}}}", str(value))
    try:
        with without_rights(words):
            status = run_words(program, shlex.split(filled), monkeypatch)
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2, (status, error)
    assert error.count("\n") == 1 and error.endswith("\n") and len(error) < 1500, error
    assert told in error and "Traceback" not in error, error
    assert listed(work) == before


ROWS = [("data_scripts", *row) for row in DATA]
ROWS += [("reloop2_keras", *row) for row in [*STUDY, *SERVICE, *BATCH]]
ROWS += [(program, *row) for program, rows in OTHERS.items() for row in rows]


@pytest.mark.parametrize(
    ("program", "words", "told"), ROWS, ids=[f"{row[0]} {row[1]}"[:70] for row in ROWS]
)
def test_a_wrong_use_is_one_line_before_work_begins(
    program, words, told, names, capsys, monkeypatch
):
    if program == "reloop2_keras" and words.startswith("serve"):
        pytest.importorskip("uvicorn", reason="not installed: pip install 'reloop2[serve]'")
    monkeypatch.chdir(names["folder"])
    monkeypatch.delenv("RELOOP2_TOKEN", raising=False)
    monkeypatch.setattr(commands, "BaseSearch", never)  # what a comparison begins with
    if not words.startswith(("serve {damaged", "serve {foreign", "serve {escaping")):
        monkeypatch.setattr(running.Running, "begin", never)
    refused(program, words, told, names, capsys, monkeypatch)


def test_there_are_as_many_as_are_told():
    assert len(ROWS) >= 450


def test_a_folder_that_cannot_be_written_to_is_told_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    wrong = [
        tmp_path / "file",
        tmp_path / "file" / "a" / "b",
        tmp_path / "link",
        tmp_path / "link" / "below",
        tmp_path / ("n" * 300),
        tmp_path / "a\0b",
        "/proc/below",  # refused to root, too
    ]
    before = sorted(tmp_path.iterdir())
    for folder in wrong:
        with pytest.raises(
            (ValueError, OSError), match="OUT: expected a folder to write to, found"
        ):
            check_out_folder(folder)
    for folder in (tmp_path, tmp_path / "new" / "below"):
        assert check_out_folder(folder) == folder
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "file").read_text() == "mine"

"""`python -m reloop2_keras learn` and `predict`: what they print, and what they refuse."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_case
import pyarrow.parquet as pq
import pytest
from batch_case import labelled, shipped_model, text, write
from served_model import FIELDS, encoder

from reloop2_keras.__main__ import main, parser
from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import OnlineModel, Store, ship
from reloop2_keras.core.serving.batch_predict import predict_file
from reloop2_keras.core.serving.onnx_file import export_neutral
from reloop2_keras.service import batch_command
from reloop2_keras.service.running import Running, load_base

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    shipped_model(tmp_path)
    write(tmp_path, labelled(600))
    return tmp_path


def ran(capsys, *arguments):
    status = main([*map(str, arguments), "--quiet"])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_learn_serve_and_predict_have_one_state(folder, capsys):
    log, model = folder / "log.csv", folder / "model"
    status, said, _ = ran(capsys, "predict", model, log, folder / "before.csv")
    assert status == 0
    assert said == f"scored 600 rows by the model as it was shipped\nwritten: {folder}/before.csv\n"
    status, said, _ = ran(capsys, "learn", model, log)
    assert status == 0
    first, second, last = said.strip().splitlines()
    (state,) = (folder / "model-state").iterdir()
    assert first == f"read 600 rows, learnt by the model in {state}"
    assert second.startswith("each scored before it was learnt: AUC 0.")
    assert second.endswith(", 600 rows") and last == f"next: python -m reloop2_keras serve {model}"
    status, said, _ = ran(capsys, "learn", model, log)
    assert said.startswith(f"{log}: all 600 rows were learnt before; nothing new")
    assert ran(capsys, "predict", model, log, folder / "after.csv")[1].startswith(
        "scored 600 rows by snapshot-"
    )
    running = Running(model)
    assert running.model.counts["learnt"] == 600
    some = [{"user": row["user"], "age": row["age"]} for row in labelled(600)[:256]]
    served = running.model.predict(some)
    running.store.close()
    after = np.loadtxt(folder / "after.csv", skiprows=1)
    before = np.loadtxt(folder / "before.csv", skiprows=1)
    np.testing.assert_array_equal(after[:256].astype("float32"), served.scores)
    assert not np.allclose(before, after)
    ran(capsys, "predict", model, log, folder / "again.csv", "--as-shipped")
    assert (folder / "again.csv").read_bytes() == (folder / "before.csv").read_bytes()


def ship_with_base(folder):
    """Ship tables over a base in an ONNX file."""
    description, arrays = onnx_case.deepfm(FIELDS)
    export_neutral(description, arrays, folder / "made.onnx")
    online = Online(2, ["base"], crosses=[[0, 1]], bits=6, block_rows=32)
    ship(folder / "model", online, encoder(), folder / "made.onnx")


def test_a_base_in_an_onnx_file(tmp_path, capsys):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    ship_with_base(tmp_path)
    some, model = labelled(700), tmp_path / "model"
    for kind in ("csv", "parquet"):
        log = write(tmp_path, some, kind, name=kind)
        arguments = ["learn", model, log, "--state", tmp_path / f"{kind}-state"]
        assert ran(capsys, *arguments)[0] == 0
    runs = [Running(model, tmp_path / f"{kind}-state") for kind in ("csv", "parquet")]
    want = OnlineModel(runs[0].shipped.online, encoder(), load_base(model / "base.onnx"), "first")
    for first in range(0, 700, 256):
        part = some[first : first + 256]
        rows = [{"user": row["user"], "age": row["age"]} for row in part]
        want.learn_rows(rows, [row["click"] for row in part])
    for one in runs:
        for name, array in one.model.online.state().items():
            np.testing.assert_array_equal(array, want.online.state()[name], err_msg=name)
        one.store.close()
    out, log = tmp_path / "out.csv", tmp_path / "csv.csv"
    assert ran(capsys, "predict", model, log, out, "--state", tmp_path / "csv-state")[0] == 0
    scores = np.loadtxt(out, skiprows=1).astype("float32")
    np.testing.assert_array_equal(scores[512:], want.predict(rows).scores)


LIGHT = """
import sys
sys.path.insert(0, "tests")
import absent
absent.hide("keras", "tensorflow", "torch", "jax", "mindspore", "polars", "pandas", "scipy",
            "matplotlib", "fastapi", "uvicorn", "prometheus_client", "pydantic", "onnx")
from reloop2_keras.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_light_installation_is_enough(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    ship_with_base(tmp_path)
    log, model = write(tmp_path, labelled(600), "csv.gz"), tmp_path / "model"
    for arguments in (["learn", model, log], ["predict", model, log, tmp_path / "out.parquet"]):
        run = subprocess.run(
            [sys.executable, "-c", LIGHT, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert run.returncode == 0, run.stderr[-3000:]
    assert pq.read_metadata(tmp_path / "out.parquet").num_rows == 600


def test_one_process_has_a_state(folder, capsys):
    running = Running(folder / "model")
    status, said, wrong = ran(capsys, "learn", folder / "model", folder / "log.csv")
    assert (status, said) == (2, "")
    assert wrong == (f"reloop2_keras learn: {running.state}: another service or `learn` has it\n")
    # one who only reads needs no lock
    assert ran(capsys, "predict", folder / "model", folder / "log.csv", folder / "o.csv")[0] == 0
    running.store.close()


def test_what_a_service_may_take_back_stays_with_it(folder, capsys):
    running = Running(folder / "model", negatives=True, wait=1e-6)
    served = running.model.predict([{"user": "u1", "age": 20}] * 3)
    assert running.model.expire() == 3
    waiting = running.model.predict([{"user": "u2", "age": 20}])
    running.store.close()
    assert ran(capsys, "learn", folder / "model", folder / "log.csv")[0] == 0
    running = Running(folder / "model", negatives=True)
    assert running.model.learn([served.id, waiting.id], [[1, 0, 0], 1]) == {
        "learnt": 1,
        "retracted": 1,
        "unknown": [],
    }
    running.store.close()


def test_other_forms_of_text(folder, capsys):
    some = labelled(600)
    plain = ran(capsys, "predict", folder / "model", folder / "log.csv", folder / "want.csv")
    assert plain[0] == 0
    for row in some:
        row["page"] = "two\nlines"
    (folder / "lines.csv").write_text(text(some))
    command = ["predict", folder / "model", folder / "lines.csv", folder / "out.csv"]
    status, _, wrong = ran(capsys, *command)
    assert status == 2 and "lines.csv:2: expected the quoted value to end in the line" in wrong
    assert ran(capsys, *command, "--multiline")[0] == 0
    assert (folder / "out.csv").read_bytes() == (folder / "want.csv").read_bytes()
    (folder / "bare.txt").write_text(text(labelled(600), ";").partition("\n")[2])
    form = ["--columns", "user,age,page,click", "--separator", ";"]
    assert ran(capsys, "predict", *command[1:2], folder / "bare.txt", *command[3:], *form)[0] == 0
    assert (folder / "out.csv").read_bytes() == (folder / "want.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "model", "none.csv", "out.csv"], "none.csv: expected a file, found none"),
        (["predict", "model", ".", "out.csv"], "expected a file, found a folder"),
        (["predict", "none", "log.csv", "out.csv"], "model.json: not found"),
        (["predict", "model", "log.csv", "log.csv"], "expected another file than FILE"),
        (["predict", "model", "log.csv", "out.txt"], "expected a file's name that ends in one of"),
        (["predict", "model", "model/online.state", "out.csv"], "expected columns ['age', 'user']"),
        (["learn", "model", "model/encoder.parquet"], "expected columns ['age', 'user']"),
        (["learn", "model", "log.csv", "--separator", "ab"], "`separator` must be one ASCII"),
        (["learn", "model", "log.csv", "--multiline", "--quote", ""], "`multiline` needs `quote`"),
    ],
)
def test_what_is_refused_in_one_line(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    status, said, wrong = ran(capsys, *arguments)
    assert (status, said) == (2, "")
    assert wrong.count("\n") == 1 and message in wrong
    assert wrong.startswith(f"reloop2_keras {arguments[0]}: ")


def test_what_an_error_advises_can_be_done(folder, capsys, monkeypatch):
    """Parts of a run that a bad row ended are gone on with where such rows are skipped."""
    monkeypatch.setattr(batch_command, "predict_file", small_parts)
    monkeypatch.chdir(folder)
    some = labelled(600)
    some[520]["age"] = "n/a"
    write(folder, some)
    command = ["predict", "model", "log.csv"]
    status, said, wrong = ran(capsys, *command, "out.csv")
    assert status == 2 and wrong.endswith(
        "found 'n/a'; --on-error skip leaves such rows out and counts them\n"
    )
    assert len(list((folder / "out.csv.parts").glob("part-*"))) == 2
    status, said, wrong = ran(capsys, *command, "out.csv", "--on-error", "skip")
    assert (status, wrong) == (0, "")
    assert "scored 600 rows (512 of them before)" in said
    assert "1 bad rows were skipped:\n  1: field age: expected a number; the first: " in said
    ran(capsys, *command, "whole.csv", "--on-error", "skip")
    assert (folder / "out.csv").read_bytes() == (folder / "whole.csv").read_bytes()


def small_parts(*arguments, **options):
    return predict_file(*arguments, **options, chunk_rows=256, part_rows=256)


def test_help_lists_the_commands():
    found = parser().format_help()
    assert "score the rows of a file" in found and "learn the rows of a file" in found


def test_a_service_of_another_release_keeps_its_files(folder):
    """A state that was written before there were files."""
    running = Running(folder / "model")
    head, arrays = running.model.state()
    head.pop("files")
    running.model.load_state(head, arrays)
    assert running.model.files.of("log.csv") is None
    running.store.close()
    Store(running.state, name=running.shipped.name).close()

"""Each wrong use of `models.neutral` and `onnx_export`: status 2, one line, and nothing written."""

import shlex
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from test_neutral import batch, make
from test_wrong_uses import listed, without_rights
from wrong_model_uses import EXPORT, NEUTRAL

from reloop2_keras.models import neutral, onnx_export

ROWS = [(neutral, *row) for row in NEUTRAL] + [(onnx_export, *row) for row in EXPORT]


def inputs(work):
    """What the words name: path by name."""
    names = {"out": work / "out", "file": work / "file", "void": Path("/proc/void")}
    names["file"].write_text("1\n")
    names["locked_folder"] = work / "locked_folder"
    names["locked_folder"].mkdir(mode=0o555)
    names["folder"] = work / "folder"
    names["folder"].mkdir()
    model = make()
    model(batch(2)[0])
    names["model"] = work / "model.keras"
    model.save(names["model"])
    neutral.dump(model, work / "good.npz")
    np.savez(work / "batch.npz", **batch(2)[0])
    np.savez(work / "other.npz", other=np.ones(2))
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    plain.save(work / "plain.keras")
    for ending, whole in ((".keras", names["model"]), (".npz", work / "good.npz")):
        (work / f"folder{ending}").mkdir()
        (work / f"empty{ending}").write_bytes(b"")
        (work / f"noise{ending}").write_bytes(bytes(range(256)) * 20)
        (work / f"half{ending}").write_bytes(whole.read_bytes()[:600])
        (work / f"locked{ending}").write_bytes(whole.read_bytes())
        (work / f"locked{ending}").chmod(0)
    (work / "folder.onnx").mkdir()
    with zipfile.ZipFile(work / "zip.keras", "w") as file:
        file.writestr("other.txt", "x")
    files = ("good.npz", "batch.npz", "other.npz", "plain.keras", "zip.keras", "folder.onnx")
    names |= {name: work / name for name in files}
    for kind in ("folder", "empty", "noise", "half", "locked", "none"):
        names |= {kind + ending: work / (kind + ending) for ending in (".keras", ".npz")}
    return names


@pytest.fixture(scope="module")
def names():
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        work.chmod(0o777)
        yield {"work": work, **inputs(work)}


@pytest.mark.parametrize(
    ("program", "words", "told"),
    ROWS,
    ids=[f"{program.__name__.split('.')[-1]} {words}"[:70] for program, words, _ in ROWS],
)
def test_a_wrong_use_is_one_line(program, words, told, names, capsys):
    before, filled = listed(names["work"]), words
    for name, path in names.items():
        filled = filled.replace(f"{{{name}}}", str(path))
    try:
        with without_rights(words):
            status = program.main(shlex.split(filled))
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2, (status, error)
    assert error.count("\n") == 1 and error.endswith("\n") and len(error) < 1500, error
    assert told in error and "Traceback" not in error, error
    assert listed(names["work"]) == before


def test_as_many_as_are_told():
    assert len(ROWS) >= 65

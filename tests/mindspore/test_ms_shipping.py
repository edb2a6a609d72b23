"""What a comparison of MindSpore models ships serves what the arm would, without MindSpore."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data_scripts import prepare, synthetic
from mindspore_port import PreparedDataset, compare
from mindspore_port.models import train_base
from mindspore_port.streaming import Candidates, ship_pick
from mindspore_port.streaming import compare as compare_arms
from reloop2_keras.core.serving import OnnxBase, load_shipped

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ROOT = Path(__file__).parents[2]
FEW = Candidates(validation_slots=2)
SERVE = """
import sys, json
import numpy as np
sys.path.insert(0, "tests")
import absent
absent.hide("mindspore", "keras", "tensorflow", "torch", "jax")
from reloop2_keras.core.serving import OnlineModel, load_shipped
from reloop2_keras.service.running import load_base
shipped = load_shipped(sys.argv[1])
model = OnlineModel(shipped.online, shipped.encoder, load_base(shipped.base), "base.onnx")
arrays = dict(np.load(sys.argv[2]))
np.save(sys.argv[3], model.score(arrays)["corrected"])
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("ship") / "dataset"
    prepare(synthetic(rows=3000, users=100, items=40), out, slots=2, progress=False)
    return PreparedDataset(out)


def test_what_is_shipped_serves_what_the_arm_would(tmp_path, dataset):
    base, kept = train_base(dataset, 7, 4, (8,), max_epochs=1, search=None)[0], {}
    report = compare_arms(
        dataset, base, ["frozen", "online"], [7], settings=FEW, progress=False, kept=kept
    )
    folder = ship_pick(report, kept, dataset, tmp_path / "model")
    shipped, arm = load_shipped(folder), kept["online"]
    assert shipped.base.name == "base.onnx"
    assert shipped.card["backend"].startswith("mindspore") and shipped.card["verdict"]
    for name, array in arm.fast.online.state().items():
        np.testing.assert_array_equal(shipped.online.state()[name], array)
    arrays = dataset.slots()[0].load()
    some = {name: array[:256] for name, array in arrays.items()}
    p = arm.slow.serve(some)["probability"]
    found = OnnxBase(shipped.base, keys=()).serve(some)["probability"].ravel()
    np.testing.assert_allclose(found, np.asarray(p).ravel(), atol=1e-5)
    online = arm.fast.online
    want = online.predict(some["feature_hashes"], {online.bases[0]: np.asarray(p).ravel()})
    features = {name: some[name] for name in some if name.startswith("feature_")}
    np.savez(tmp_path / "rows.npz", **features)
    given = [str(tmp_path / name) for name in ("model", "rows.npz", "scores.npy")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SERVE, *given]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), want["corrected"], atol=1e-5)


def test_the_command_ships_and_says_what_comes_next(tmp_path, dataset, capsys):
    few = ["--arms", "frozen", "online", "--quiet", "--max-epochs", "1", "--no-search"]
    command = [str(dataset.folder), str(tmp_path), "--validation-slots", "2", *few]
    assert compare.main(command) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last == f"next: python -m reloop2_keras serve {tmp_path / 'model'}"
    assert load_shipped(tmp_path / "model").base.name == "base.onnx"
    saved = json.loads((tmp_path / "metrics.json").read_text())
    assert set(saved["arms"]) == {"frozen", "online"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "out"], "nowhere"),
        (["nowhere", "out", "--arms", "best"], "best"),
        (["nowhere", "out", "--delay", "soon"], "`--delay` must be"),
        (["nowhere", "out", "--seeds", "0"], "--seeds: expected an integer from 1 to"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(arguments, message, capsys):
    with contextlib.suppress(SystemExit):  # of the parser
        assert compare.main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and message in lines[0]

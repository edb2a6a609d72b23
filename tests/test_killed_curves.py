"""`compare --delays` and `--late-clicks`, killed and run again, leave the very same files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.backend
HERE = Path(__file__).parent
FILES = ["curve.json", "curve.png", "report.html"]
CURVES = {
    "delays": ["--delays", "0,1,150rows", "--delay", "0"],
    "late": ["--late-clicks", ".4", "--longest", "1"],
}
FEW = ["--no-search", "--max-epochs", "1", "--arms", "frozen", "feature", "incremental"]
MANY = ["--seeds", "2", "--arms", "frozen", "shuffled online", "feature", "sketch", "incremental"]
MANY += ["incremental hashed", "online", "vw", "vw+base", "adpredictor"]


def killed(folder, kills, more):
    """What `killed_commands.py` tells of the run that was not stopped, and of each kill."""
    command = [sys.executable, str(HERE / "killed_commands.py"), "compare", str(folder), kills]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    given = [*command, *more]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_kill_changes_no_file(tmp_path):
    if keras.backend.backend() != "torch":
        pytest.skip("PyTorch alone in the default tier: the others compile for a minute")
    given = [*CURVES["delays"], "--delays", "0,1", *FEW]
    whole, *lines = killed(tmp_path, "4:5,half state-N.state", given)
    assert whole["files"] == FILES and [line["kill"] for line in lines] == [4, "state-N.state"]
    assert all(line["differ"] == [] and line["strays"] == [] for line in lines), lines


@pytest.mark.slow
@pytest.mark.parametrize("kills", ["0:10", "half"])
@pytest.mark.parametrize("curve", CURVES)
def test_many_kills_change_no_file(curve, kills, tmp_path):
    if keras.backend.backend() != "torch" and kills == "0:10":
        kills = "0:3"
    whole, *lines = killed(tmp_path, kills, [*CURVES[curve], *MANY])
    assert whole["files"] == FILES
    assert all(line["differ"] == [] and line["strays"] == [] for line in lines), lines
    print(f"{len(lines)} kills of {whole['seconds']} s, {whole['events']} events")
    assert any(sum(line["states"]) for line in lines)
    if kills == "half":
        assert {"state-N.state", "step-base.state", "step-point-N.state", "curve.json"} <= {
            line["kill"] for line in lines
        }

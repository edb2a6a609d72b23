"""`compare --resume`, killed at any moment and run again, leaves what one never stopped leaves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.backend
HERE = Path(__file__).parent


MORE = [pytest.param(kills, marks=pytest.mark.slow) for kills in (20, "half")]


@pytest.mark.parametrize("kills", [1, *MORE])
def test_a_kill_changes_no_file(kills, tmp_path):
    torch = keras.backend.backend() == "torch"
    if not torch and kills == 1:
        pytest.skip("PyTorch alone in the default tier: the others compile for a minute")
    if not torch and kills == 20:
        kills = 5
    command = [sys.executable, str(HERE / "killed_commands.py"), "compare", str(tmp_path)]
    # twenty times all arms of the standard command, else some of each kind
    arms = ["frozen", "recalibrated", "sketch", "shuffled", "incremental hashed", "online"]
    if kills == "half":  # two seeds: what the first one found must be there for the second
        arms = ["frozen", "shuffled online", "feature", "incremental", "online", "vw"]
    more = [] if kills == 20 else ["--arms", *arms]
    more += [] if kills in (1, 5) else ["--seeds", "2"]
    more += ["--delay", "150rows"] if kills == "half" else []
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    given = [*command, str(kills), *more]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    whole, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"metrics.json", "report.html", "model/model.json"} <= set(whole["files"])
    assert not any(name.endswith(".state") and name.startswith("state") for name in whole["files"])
    assert all(line["differ"] == [] and line["strays"] == [] for line in lines), lines
    assert kills == 1 or any(sum(line["states"]) for line in lines)
    if kills != "half":
        assert len(lines) == kills
        return
    killed = {line["kill"] for line in lines}
    assert {"state-N.state", "step-base.state", "metrics.json", "report.html", "model"} <= killed

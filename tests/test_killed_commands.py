"""`compare --resume`, killed at any moment and run again, leaves what one never stopped leaves."""

import os
import sys
from pathlib import Path

import keras
import pytest
from run_content import lines_of

pytestmark = pytest.mark.backend
HERE = Path(__file__).parent


MORE = [pytest.param(kills, marks=pytest.mark.slow) for kills in (20, "half", "chain")]


@pytest.mark.parametrize("kills", [1, *MORE])
def test_a_kill_changes_no_file(kills, tmp_path):
    torch = keras.backend.backend() == "torch"
    if not torch and kills == 1:
        pytest.skip("PyTorch alone in the default tier: the others compile for a minute")
    if not torch and kills == "half":
        pytest.skip("PyTorch alone: the others have the chain, in a fifth of the time")
    if not torch and kills == 20:
        kills = 5
    command = [sys.executable, str(HERE / "killed_commands.py"), "compare", str(tmp_path)]
    # twenty times all arms of the standard command, else some of each kind
    arms = ["frozen", "recalibrated", "sketch", "shuffled", "incremental hashed", "online"]
    kinds_of_files = kills in ("half", "chain")
    if kinds_of_files:  # two seeds: what the first one found must be there for the second
        arms = ["frozen", "shuffled online", "feature", "incremental", "online", "vw"]
    more = [] if kills == 20 else ["--arms", *arms]
    more += [] if kills in (1, 5) else ["--seeds", "2"]
    more += ["--delay", "150rows"] if kinds_of_files else []
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    whole, *lines = lines_of([*command, str(kills), *more], environment, tmp_path)
    assert {"metrics.json", "report.html", "model/model.json"} <= set(whole["files"])
    assert not any(name.endswith(".state") and name.startswith("state") for name in whole["files"])
    assert all(line["differ"] == [] and line["strays"] == [] for line in lines), lines
    assert kills == 1 or any(sum(line["states"]) for line in lines)
    if not kinds_of_files:
        assert len(lines) == kills
        return
    killed = [kill for line in lines for kill in line["killed"]]
    assert all(kill["killed"] for kill in killed)
    if kills == "half":
        kinds = {line["kill"] for line in lines}
    else:
        kinds = {kill["moment"].partition(" ")[2] for kill in killed}
        within = {m["moment"].split()[-1] for m in killed if m["moment"].startswith("write")}
        assert within == {"state-N.state", "metrics.json", "model.json", "report.html"}
    assert {"state-N.state", "step-base.state", "metrics.json", "model.json", "model"} <= kinds

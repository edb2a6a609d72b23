"""A comparison that is killed at any moment writes, run again, the same metrics.json."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.backend
HERE = Path(__file__).parent
ARMS = ["frozen", "recalibrated", "sketch", "feature", "shuffled", "incremental", "online"]
ARMS += ["exact", "incremental hashed", "shuffled online", "online+incremental", "tables"]
ARMS += ["adpredictor", "vw", "vw+base"]
KILLS = 20


@pytest.mark.slow  # test_killed_commands.py has some in the default tier
def test_a_kill_changes_no_number(tmp_path):
    command = [sys.executable, str(HERE / "killed_studies.py"), str(tmp_path), str(KILLS), *ARMS]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == KILLS and all(line["equal"] for line in lines), lines
    assert any(sum(line["states"]) for line in lines)

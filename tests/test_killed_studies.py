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
FEW = ["frozen", "recalibrated", "sketch", "feature", "shuffled", "incremental", "online"]
MANY = [*FEW, "exact", "incremental hashed", "shuffled online", "online+incremental", "tables"]
MANY += ["adpredictor", "vw", "vw+base"]


@pytest.mark.parametrize(
    ("kills", "arms"), [(1, FEW), pytest.param(20, MANY, marks=pytest.mark.slow)]
)
def test_a_kill_changes_no_number(kills, arms, tmp_path):
    if keras.backend.backend() != "torch" and kills == 1:
        pytest.skip("PyTorch alone in the default tier: the others compile for a minute")
    command = [sys.executable, str(HERE / "killed_studies.py"), str(tmp_path), str(kills), *arms]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == kills and all(line["equal"] for line in lines), lines
    assert any(sum(line["states"]) for line in lines)

"""`fit` that is killed at any moment ends, run again, as one that was never stopped."""

import os
import sys
from pathlib import Path

import keras
import pytest
from run_content import lines_of

pytestmark = pytest.mark.backend
HERE = Path(__file__).parent


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_kill_changes_no_bit(kills, tmp_path):
    command = [sys.executable, str(HERE / "killed_fits.py"), str(tmp_path), str(kills)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    lines = lines_of(command, environment, tmp_path)
    assert len(lines) == kills
    for line in lines:
        assert line["killed"] == -9 and line["again"] == 0 and line["differ"] == [], line
        assert line["strays"] == 0 and line["left"] == 2, line
    assert any(line["states"] for line in lines)

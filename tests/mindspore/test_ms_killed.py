"""Training and `compare --resume` that are killed leave, run again, what others leave."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from run_content import lines_of

SCRIPT = Path(__file__).parents[1] / "killed_commands.py"


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        ("train", 1),
        pytest.param("train", 10, marks=pytest.mark.slow),
        pytest.param("compare-ms", 10, marks=pytest.mark.slow),
        pytest.param("train", "half", marks=pytest.mark.slow),
        pytest.param("train", "chain", marks=pytest.mark.slow),
        pytest.param("compare-ms", "chain", marks=pytest.mark.slow),
    ],
)
def test_a_kill_changes_no_file(kind, kills, tmp_path):
    command = [sys.executable, str(SCRIPT), kind, str(tmp_path), str(kills)]
    whole, *lines = lines_of(command, None, tmp_path)
    assert "base.ckpt" in whole["files"] or "metrics.json" in whole["files"]
    assert len(lines) == kills or kills in ("half", "chain")
    assert lines and all(line["differ"] == [] and line["strays"] == [] for line in lines), lines
    if kills in ("half", "chain"):
        assert all(kill["killed"] for line in lines for kill in line["killed"])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["delays", "late"])
def test_a_kill_changes_no_curve(way, tmp_path):
    script = SCRIPT.with_name("killed_studies.py")
    arms = ["frozen", "feature", "incremental", "online"]
    command = [sys.executable, str(script), str(tmp_path), "4", way, *arms]
    env = {name: word for name, word in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 4 and all(line["equal"] for line in lines), lines
    assert any(sum(line["states"]) for line in lines)

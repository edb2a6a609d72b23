"""Training and `compare --resume` that are killed leave, run again, what others leave."""

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

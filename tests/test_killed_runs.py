"""A dataset that is replaced is never lost and never half, whenever the run is killed."""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_a_kill_at_any_file_event_and_at_random_moments(tmp_path):
    command = [sys.executable, str(HERE / "killed_runs.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kills = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = collections.Counter(kill["kind"] for kill in kills)
    assert kinds["second"] == 20 and kinds["event"] >= 30
    at_once = collections.Counter(kill["at_once"] for kill in kills if kill["kind"] == "event")
    # before the swap and behind it; between its two renames where a system has no single step
    assert min(at_once[state] for state in ("old", "new")) > 0
    assert at_once["half"] == 0
    for kill in kills:
        assert kill["after"] == ("old" if kill["at_once"] == "missing" else kill["at_once"]), kill
        assert kill["strays"] == ["out"], kill
        assert not kill.get("ghost"), kill
        assert kill.get("again", "new") == "new", kill

"""Runs `full_disk.py` and says what a full disk must leave."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def writers(folder, how, which, count):
    """Run all writers of a room; returns how many cases there were."""
    paths = [str(HERE.parent), str(HERE), str(HERE / "mindspore")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(HERE / "full_disk.py"), str(folder), how, which]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [r for r in rows if not (r["raised"] and r["named"] and r["same"]) or r["beside"]]
    print(f"{which}, {how}: {len(rows)} cases, {len({r['writer'] for r in rows})} writers")
    assert not wrong, wrong[:5]
    assert len(rows) == count
    return len(rows)


@contextlib.contextmanager
def small_disk(folder, megabytes):
    """A disk of its own at a folder; skips the test where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no `mount` here: {error}")
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)

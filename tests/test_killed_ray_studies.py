"""`compare --engine ray --resume` whose driver is killed leaves, run again, what others leave."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from run_content import content, differences

from data_scripts import prepare, synthetic
from reloop2_keras.core import ray_engine
from reloop2_keras.core.beside import held_open

pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
pytestmark = [pytest.mark.slow, pytest.mark.backend]
ROOT = Path(__file__).parents[1]
WORDS = ["--arms", "frozen", "feature", "incremental", "online", "--no-search", "--quiet"]
WORDS += ["--max-epochs", "2", "--seeds", "2", "--validation-slots", "3", "--delay", "1"]
WORDS += ["--engine", "ray", "--workers", "2", "--resume"]
KILLS = 4


@contextlib.contextmanager
def started(work, name, place):
    """The command in a process group of its own, which writes into `name`."""
    command = [sys.executable, "-m", "reloop2_keras", "compare", str(work / "dataset")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": place, "OMP_NUM_THREADS": "1"}
    with open(work / f"{name}.log", "ab") as log:
        given = {"env": environment, "stdout": log, "stderr": log, "start_new_session": True}
        run = subprocess.Popen([*command, str(work / name), *WORDS], **given)
    try:
        yield run
    finally:
        run.kill()  # does nothing to one that has ended
        run.wait()


def ended(work, name, place):
    """Run it to its end; returns the seconds that it took."""
    start = time.monotonic()
    with started(work, name, place) as run:
        status = run.wait(timeout=500)
    assert status == 0, (work / f"{name}.log").read_text()[-3000:]
    assert not list((work / name).rglob(".*")) and not (work / name / "state").exists()
    return time.monotonic() - start


def killed(work, name, place, first, seconds, group):
    """Kill the driver some seconds after a first state of a kind; returns states there."""
    state, begun = work / name / "state", time.monotonic()
    with started(work, name, place) as run:
        while not list(state.rglob(first)):
            assert run.poll() is None and time.monotonic() < begun + 300
            time.sleep(0.01)
        time.sleep(seconds)
        assert run.poll() is None, "it ended before it was to be killed"
        (os.killpg if group else os.kill)(run.pid, signal.SIGKILL)
        run.wait()
    return sorted(path.relative_to(state).as_posix() for path in state.rglob("*.state"))


def test_a_driver_that_is_killed_costs_nothing(tmp_path, monkeypatch):
    place, rng = tempfile.mkdtemp(prefix="r", dir="/tmp"), random.Random(19)
    source = synthetic(rows=2500, seed=1, users=30, items=10)
    prepare(source, tmp_path / "dataset", slots=4, progress=False)
    try:
        ended(tmp_path, "whole", place)
        want, many = content(tmp_path / "whole"), 0
        for number in range(KILLS):
            name, group = f"killed {number}", number % 2 == 1
            # before the streams, where training takes long, and within them
            first, most = ("step-*.state", 3) if number < KILLS / 2 else ("state-*.state", 1)
            seconds = most * rng.random()
            states = killed(tmp_path, name, place, first, seconds, group)
            took = ended(tmp_path, name, place)  # at once, while Ray's processes may still end
            differ = differences(want, tmp_path / name)
            print(f"{name}: {seconds:.2f} s, {states}, again {took:.0f} s, {differ}", flush=True)
            assert {*differ} <= {"report.html"}  # the page has what an event took
            many += len(states)
            left = list(Path(place).glob(".reloop2-ray*"))
            print(f"folders of Ray: {len(left)}, {sum(map(held_open, left))} with live processes")
        assert many
        # agents of Ray end a minute after their driver
        until = time.monotonic() + 200
        while any(map(held_open, left)) and time.monotonic() < until:
            time.sleep(0.5)
        monkeypatch.setattr(tempfile, "tempdir", place)
        with ray_engine._short_folder() as folder:
            assert [*Path(place).glob(".reloop2-ray*")] == [Path(folder)]
    finally:
        shutil.rmtree(place, ignore_errors=True)

"""Notebook 04 as a batch, killed in the stream of its second seed: started again, it goes on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_content import content, differences

from data_scripts import prepare, synthetic
from reloop2_keras.core.serving.snapshot_file import read_head

pytestmark = [pytest.mark.notebook, pytest.mark.slow]
FOLDER = Path(__file__).parents[1] / "notebooks"
SMALL = {
    "RESUME": "true",
    "NUM_SEEDS": 2,
    "MAX_EPOCHS": 1,
    "EMBEDDING_DIM": 4,
    "HIDDEN_UNITS": "[8]",
    "DROPOUT": 0.2,
    "EMBEDDING_L2": 0.0001,
    "LEARNING_RATE": 0.001,
    "VALIDATION_SLOTS": 3,
    "SKETCH_SIZES": "[[8, 6]]",
    "FEATURE_BITS": 9,
    "EXACT_CAPACITY": 500,
    "NUM_NEIGHBORS": 5,
}


@contextlib.contextmanager
def started(work, name):
    """Notebook 04 in a process of its own, which writes into `name`."""
    given = {"DATASET_DIR": work / "dataset", "OUTPUT_DIR": work / name, **SMALL}
    command = [sys.executable, str(FOLDER / "run.py"), str(FOLDER / "04_stream_evaluation.ipynb")]
    command += [str(work / f"{name}.ipynb")]
    command += [word for n, value in given.items() for word in ("-p", n, str(value))]
    environment = {**os.environ, "KERAS_BACKEND": "torch", "TMPDIR": str(work / "temporary")}
    with open(work / f"{name}.log", "ab") as log:
        run = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield run
    finally:
        run.kill()  # does nothing to one that has ended
        run.wait()


def ended(work, name):
    """Run it to its end; returns what it left."""
    with started(work, name) as run:
        status = run.wait(timeout=900)
    assert status == 0, (work / f"{name}.log").read_text()[-3000:]
    assert not (work / name / "state").exists()
    assert not list((work / "temporary").glob(".reloop2-*"))
    return content(work / name)


def kernels(run):
    """The process ids of a run's kernels."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(") ")[2].split()[1])
            found += [int(path.parent.name)] if parent == run.pid else []
    return found


def slots_done(state):
    """After how many slots the newest state of a stream was written; -1 before the stream."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return read_head(sorted(state.glob("state-*.state"))[-1])["done"]
    return -1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux tells whose a process is")
def test_whatever_is_killed_the_end_is_the_same(tmp_path):
    (tmp_path / "temporary").mkdir()
    source = synthetic(rows=4000, seed=1, users=40, items=20)
    prepare(source, tmp_path / "dataset", slots=5, progress=False)
    want = ended(tmp_path, "whole")
    for name, slots in (("the run", 2), ("its kernel", 6)):
        state = tmp_path / name / "state" / "seed-1002"
        with started(tmp_path, name) as run:
            begun = time.monotonic()
            while slots_done(state) < slots:
                assert run.poll() is None and time.monotonic() < begun + 900
                time.sleep(0.01)
            killed = [run.pid] if name == "the run" else kernels(run)
            assert killed
            for process in killed:
                os.kill(process, signal.SIGKILL)
            assert run.wait(timeout=60) != 0
        log = tmp_path / f"{name}.log"
        before = len(log.read_text())
        ended(tmp_path, name)
        said = log.read_text()[before:]
        for seed in (1001, 1002):
            assert f"seed {seed}: going on after" in said
            assert f"seed {seed}: training the base" not in said
        assert "seed 1001: going on after 8 slots" in said
        # the page has what an event took
        assert {*differences(want, tmp_path / name)} <= {"report.html"}

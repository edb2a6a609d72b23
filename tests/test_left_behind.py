"""What killed writers leave is gone after the next run; what belongs to live ones stays."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from killed_steps import Watch, killed_at

from reloop2_keras.core import ray_engine
from reloop2_keras.core.beside import beside, scratch
from reloop2_keras.core.files import put_file
from reloop2_keras.core.run_states import RunStates
from reloop2_keras.core.saved_steps import SavedSteps
from reloop2_keras.core.stream_backup import StreamBackup
from reloop2_keras.core.study_state import clear_states


class Stopped(Exception):
    pass


def study(folder, stop=None):
    """A run of each kind of state: two steps, then a stream of four slots; returns its result."""
    seed = folder / "seed-1"
    backup, steps = StreamBackup(seed), SavedSteps(seed)
    if backup.running is None:
        found = [steps(name, lambda n=name: {"x": np.arange(len(n))}) for name in ("base", "forms")]
        backup.begin({"rows": found[0]["x"] + found[1]["x"][:4]}, None)
        steps.clear()
    running = backup.running
    for slot in range(backup.done, 4):
        if slot == stop:
            raise Stopped
        running = {"rows": running["rows"] * 3 + slot}
        backup.save(slot + 1, running, None)
    return running["rows"].tolist()


def test_a_study_killed_at_every_step_of_writing_ends_the_same_and_leaves_nothing(tmp_path):
    want, kills, left = study(tmp_path / "whole"), 0, set()
    for step in range(400):
        folder = tmp_path / str(step)
        if not killed_at(step, lambda f=folder: study(f)):
            break
        kills += 1
        left |= {path.name[:7] for path in folder.rglob(".*")}
        assert study(folder) == want
        clear_states(folder)
        assert not folder.exists(), list(folder.rglob("*"))
    print(f"{kills} kills")
    assert kills > 40 and left == {".step-b", ".step-f", ".state-"}


def test_a_study_killed_while_its_states_are_removed_keeps_the_first_seeds(tmp_path):
    left, step, kills = [], 0, True
    while kills:
        folder = tmp_path / str(step)
        for second, seed in enumerate(("seed-10", "seed-9", "seed-11")):
            states = RunStates(folder / seed)
            states.save({"seed": seed}, {})
            os.utime(states.paths()[0], ns=(0, (second + 1) * 10**9))
        kills, step = killed_at(step, lambda f=folder: clear_states(f)), step + 1
        left.append([path.parent.name for path in sorted(folder.rglob("*.state"))])
    want = [["seed-10", "seed-11", "seed-9"], ["seed-10", "seed-9"], ["seed-10"], []]
    assert sorted(map(len, left), reverse=True) == [*map(len, left)] and not folder.exists()
    assert all(one in left for one in want) and all(one in want for one in left)


def test_the_next_run_removes_what_was_half_written_before_it_writes(tmp_path):
    states, step, many = RunStates(tmp_path, keep=1), 0, 0
    states.save({"number": 1}, {})
    while killed_at(step, lambda: states.save({"number": 2}, {"x": np.ones(9)})):
        step += 1
        many += len(states.paths()) > 1
        assert RunStates(tmp_path, keep=1).newest()[0]["number"] in (1, 2)
        states.remove_old()
        assert len(list(tmp_path.iterdir())) == 1
        states.clear()
        states.save({"number": 1}, {})
    assert step > 5 and many


def test_what_a_live_writer_has_under_way_stays(tmp_path):
    states = RunStates(tmp_path)
    states.save({"number": 1}, {})
    with beside(tmp_path / "state-00000002.state") as work:
        (work / "state-00000002.state").write_bytes(b"half")
        assert states.newest()[0] == {"number": 1}
        states.clear()
        assert [path.name for path in work.iterdir()] == ["state-00000002.state"]
    (tmp_path / ".state-00000002.state.abcdefgh").write_text("a file that people made")
    states.clear()
    assert os.listdir(tmp_path) == [".state-00000002.state.abcdefgh"]


def test_scratch_folders_of_the_dead_go_with_the_next_of_their_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def write():
        with scratch("reloop2-a") as folder:
            (folder / "rows").write_text("1")
            os.unlink(folder / "rows")

    with scratch("reloop2-a") as live:
        assert killed_at(2, write)  # behind the two steps that make folders
        assert len(list(tmp_path.iterdir())) == 2
        with scratch("reloop2-b"):
            assert len(list(tmp_path.iterdir())) == 3
        with scratch("reloop2-a") as other:
            assert sorted(tmp_path.iterdir()) == sorted([live, other])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no system that tells what is open")
def test_rays_folder_stays_while_a_process_has_a_file_of_it_open(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(ray_engine, "LONGEST_PLACE", 1000)

    def start():
        with ray_engine._short_folder() as folder:
            os.unlink(f"{folder}/none")

    assert killed_at(2, start)
    (left,) = tmp_path.iterdir()
    wait = [sys.executable, "-c", "input()"]
    with open(left / "raylet.out", "w") as log:
        worker = subprocess.Popen(wait, stdin=subprocess.PIPE, stdout=log)
    try:
        with ray_engine._short_folder() as folder:
            assert sorted(tmp_path.iterdir()) == sorted([left, Path(folder)])
            worker.communicate(b"\n")
        assert not list(tmp_path.iterdir())  # its process ended meanwhile
        assert killed_at(2, start) and len(list(tmp_path.iterdir())) == 1
        with ray_engine._short_folder() as folder:
            assert [*tmp_path.iterdir()] == [Path(folder)]
    finally:
        worker.kill()
        worker.wait()
    assert not list(tmp_path.iterdir())


def test_a_file_whose_writer_is_killed_within_its_write_stays_and_is_written_next_time(tmp_path):
    path = tmp_path / "metrics.json"
    put_file(path, "old")
    child = os.fork()
    if child == 0:
        try:
            Watch(tmp_path, "write 5 metrics.json")
            put_file(path, "new metrics")
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ
    (half,) = tmp_path.glob(".*/metrics.json")
    assert half.read_bytes() == b"new m" and path.read_text() == "old"
    put_file(path, "new metrics")
    assert path.read_text() == "new metrics" and os.listdir(tmp_path) == ["metrics.json"]


def test_vowpal_wabbit_leaves_nothing_in_the_folder_of_the_system(tmp_path, monkeypatch):
    pytest.importorskip("vowpalwabbit", reason="not installed: pip install 'reloop2[rivals]'")
    from reloop2_keras.rivals import VowpalWabbit

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = {"label": np.uint8([1, 0]), "feature_hashes": np.int32([[7], [8]])}
    rows["feature_values"] = np.ones((2, 1), "float32")
    step, left = 0, 0
    while killed_at(step, lambda: VowpalWabbit(bits=10).observe(rows)):
        step += 1
        left += len(list(tmp_path.iterdir()))
        VowpalWabbit(bits=10).observe(rows)
        assert not list(tmp_path.iterdir())
    assert left > 2

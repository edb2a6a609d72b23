"""Runs of the command line that end badly, or that another one gets ahead of."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from data_scripts import prepare, synthetic

ROOT = Path(__file__).parents[1]
MAKE = {"slots": 3, "progress": False}


def source(seed=1):
    return synthetic(rows=600, seed=seed, users=20, items=10)


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def prepare_at(out, seed):
    prepare(source(seed), out, **MAKE)
    return out


@contextlib.contextmanager
def start(code, *arguments):
    """A process of its own that runs `code` with the command line in place; use it by `with`."""
    head = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom data_scripts.__main__ import main\n"
    )
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield run
    finally:
        run.kill()  # does nothing to one that has ended
        run.communicate()


@pytest.mark.parametrize("overwrite", [False, True])
def test_of_two_runs_on_one_out_exactly_one_ends_well_unless_it_overwrites(overwrite, tmp_path):
    code = """
import time
from pathlib import Path
from data_scripts import atomic_folder
take_place, here, other = atomic_folder._take_place, Path(sys.argv[2]), Path(sys.argv[3])
def both_are_ready(*arguments):
    here.touch()
    while not other.exists():
        time.sleep(0.01)
    return take_place(*arguments)
atomic_folder._take_place = both_are_ready
words = ["synthetic", sys.argv[1], "--rows", "600", "--users", "20", "--items", "10", *sys.argv[4:]]
sys.exit(main(words))
"""
    (tmp_path / "runs").mkdir()
    out, marks = tmp_path / "runs" / "out", [tmp_path / "a", tmp_path / "b"]
    words = ["--slots", "3", "--interactions", "0", *(["--overwrite"] if overwrite else [])]
    if overwrite:
        prepare(source(9), out, **MAKE)
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(start(code, out, *pair, *words, "--seed", seed))
            for seed, pair in ((1, marks), (2, marks[::-1]))
        ]
        ends = [(*run.communicate(timeout=300), run.returncode) for run in runs]
    assert sorted(status for _, _, status in ends) == ([0, 0] if overwrite else [0, 2]), ends
    if not overwrite:
        loser = next(error for _, error, status in ends if status == 2)
        assert re.search(r"out: came to be while this run was preparing it", loser), loser
    assert os.listdir(tmp_path / "runs") == ["out"]
    made = [files(prepare_at(tmp_path / str(seed), seed)) for seed in (1, 2)]
    assert files(out) in made


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=["TERM", "HUP", "INT"],
)
def test_signals_tidy_up(number, status, tmp_path):
    code = """
import signal, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever started the tests may ignore these
signal.signal(signal.SIGINT, signal.default_int_handler)
from data_scripts import one_process
def stuck(*arguments):
    print("writing", flush=True)
    # In short pieces: a signal between two of Python's steps is seen at the next step, and one
    # that comes just before a sleep of ten minutes (1 of 4,000 do) is seen ten minutes later.
    for _ in range(60_000):
        time.sleep(0.01)
one_process.PeriodWriter.write = stuck
sys.exit(main(["synthetic", sys.argv[1], "--rows", "600", "--overwrite"]))
"""
    (tmp_path / "runs").mkdir()
    out = tmp_path / "runs" / "out"
    prepare(source(), out, **MAKE)
    before = files(out)
    with start(code, out) as run:
        assert run.stdout.readline() == "writing\n"
        assert len(os.listdir(tmp_path / "runs")) == 3  # OUT, the work folder, its lock
        run.send_signal(number)
        _, error = run.communicate(timeout=300)
    assert run.returncode == status and "Traceback" not in error
    assert os.listdir(tmp_path / "runs") == ["out"] and files(out) == before


def test_a_disk_that_is_full_names_the_file(tmp_path):
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
words = ["synthetic", sys.argv[1], "--rows", "30000", "--interactions", "0", "--overwrite"]
sys.exit(main(words))
"""
    out = tmp_path / "runs" / "out"
    (tmp_path / "runs").mkdir()
    prepare(source(), out, **MAKE)
    before, seen = files(out), set()
    prepare(synthetic(rows=30_000), tmp_path / "whole")
    sizes = {p: p.stat().st_size for p in (tmp_path / "whole").rglob("*") if p.is_file()}
    for name in ("train/000.parquet", "vocabulary.parquet"):
        with start(code, out, sizes[tmp_path / "whole" / name] - 1) as run:
            _, error = run.communicate(timeout=300)
        assert run.returncode == 2 and error.count("\n") == 1, error
        seen |= set(re.findall(re.escape(f"{out}/") + r"(\S+): cannot be written", error))
        assert files(out) == before and os.listdir(tmp_path / "runs") == ["out"]
    assert "train/000.parquet" in seen

"""X1: preparing a log in Criteo's format by two workers of Ray, against one process."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import compare, interleaved, need
from benchmarks.p1 import criteo_log

BACKENDS = (None,)
TARGET = 1.7
ALONE = """
import os, sys, time
if sys.argv[3]:
    os.sched_setaffinity(0, {int(sys.argv[3])})
from data_scripts import criteo, prepare
start = time.perf_counter()
prepare(criteo(sys.argv[1]), sys.argv[2], overwrite=True, progress=False)
print(time.perf_counter() - start)
"""


def run(quick):
    name = "x1-prepare-2-workers-against-one-core"
    if need("ray", name, TARGET, "us a row") is None:
        return
    from data_scripts import criteo, prepare
    from reloop2_keras.core.ray_engine import Engine, ray_engine

    rows = 200_000 if quick else 4_000_000
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        log = folder / "log.tsv"
        criteo_log(log, rows)
        core = str(min(os.sched_getaffinity(0)))
        start = time.perf_counter()
        with ray_engine("X1", workers=2, env={"POLARS_MAX_THREADS": "1"}) as engine:
            list(engine.each(_peak, [(0.5,), (0.5,)]))  # both workers have started
            began = time.perf_counter() - start

            def by(chosen, out):
                prepare(criteo(log), folder / out, overwrite=True, progress=False, engine=chosen)

            alone = Engine(engine.ray, 1, started=False)  # gives out one task at a time
            functions = {
                "two": lambda: by(engine, "by-2"),
                "one worker": lambda: by(alone, "by-1"),
                "one core": lambda: _alone(log, folder / "core", core),
                "one process": lambda: _alone(log, folder / "alone", ""),
            }
            times = interleaved(functions, repetitions=1 if quick else 3, warmup=0)
            peak = max(size for _, (_, size) in engine.each(_peak, [(0.5,)] * 4))
        for made in ("by-1", "core", "by-2"):
            subprocess.run(["diff", "-r", folder / "alone", folder / made], check=True)
            shutil.rmtree(folder / made)
    unit = {"unit": "us a row", "scale": 1e6 / rows}
    note = f"{rows:,} rows; a Ray that runs, whose start took {began:.0f} s; "
    note += f"a worker's peak {peak >> 10:,} MB"
    compare(name, times, "two", "one core", TARGET, **unit, note=note)
    for peer in ("one worker", "one process"):
        name = f"x1-prepare-2-workers-against-{peer.replace(' ', '-')}"
        compare(name, times, "two", peer, TARGET, **unit, note=note)


def _alone(log, out, core):
    """Seconds of one process, on one core where it is told which."""
    threads = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"} if core else {}
    command = [sys.executable, "-c", ALONE, str(log), str(out), core]
    env = {**os.environ, **threads}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _peak(seconds):
    """A worker's process and its greatest memory in KB; sleeps, so that each worker is asked."""
    time.sleep(seconds)
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

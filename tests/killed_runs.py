"""Kills runs of `prepare` and tells what the next run makes of it: python killed_runs.py FOLDER.

Each run is a fork of this process, which computes nothing itself, so that no thread is missed.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from data_scripts import prepare, synthetic
from data_scripts.atomic_folder import recover

EVENTS = ("open", "os.", "shutil.", "tempfile.", "fcntl.")


def forked(function):
    """Run `function`, which returns a number, in a fork; returns its process id and a pipe."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.write(writing, str(function()).encode())
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(0)
    os.close(writing)
    return process, reading


def ended(process, reading):
    """Wait for a fork; returns its number, or None if it was killed."""
    with open(reading) as pipe:
        text = pipe.read()
    os.waitpid(process, 0)
    return int(text) if text else None


def make(out, seed, kill_at=None):
    """Replace `out`; returns the number of file events, or dies just before one of them."""
    seen = [0]

    def count(event, arguments):
        if event.startswith(EVENTS) and any(str(out.parent) in str(a) for a in arguments):
            seen[0] += 1
            if seen[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    source = synthetic(rows=600, seed=seed, users=20, items=10)
    prepare(source, out, slots=3, overwrite=True, progress=False)
    return seen[0]


def content(folder):
    """Return a folder's bytes by name; None if there is none."""
    if not folder.exists():
        return None
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def main(folder):
    """Print one line of JSON a kill: its moment, OUT at once and after the next start, strays."""
    for seed in (1, 2):
        ended(*forked(lambda seed=seed: make(folder / f"seed{seed}" / "out", seed)))
    old, new = (content(folder / f"seed{seed}" / "out") for seed in (1, 2))

    def tell(out):
        found = content(out)
        return {str(old): "old", str(new): "new", "None": "missing"}.get(str(found), "half")

    def fresh(name):
        out = folder / name / "out"
        shutil.copytree(folder / "seed1" / "out", out)
        return out

    out = fresh("whole")
    start = time.monotonic()
    events = ended(*forked(lambda: make(out, 2)))
    seconds = time.monotonic() - start
    moments = [("event", k) for k in range(1, events + 1)]
    rng = random.Random(7)
    moments += [("second", seconds * rng.random()) for _ in range(20)]
    for kind, moment in moments:
        out = fresh(f"{kind}{moment}")
        kill_at = moment if kind == "event" else None
        process, pipe = forked(lambda out=out, kill_at=kill_at: make(out, 2, kill_at))
        if kind == "second":
            time.sleep(moment)
            os.kill(process, signal.SIGKILL)
        ended(process, pipe)
        line = {"kind": kind, "moment": moment, "at_once": tell(out)}
        if line["at_once"] == "new":
            # what was replaced must not come back when the new one is taken away
            shutil.move(out, folder / "taken")
            recover(out)
            line["ghost"] = out.exists()
            shutil.rmtree(out, ignore_errors=True)
            shutil.move(folder / "taken", out)
        recover(out)
        line |= {"after": tell(out), "strays": sorted({p.name for p in out.parent.iterdir()})}
        if kind == "second":
            line["again"] = tell(out) if ended(*forked(lambda out=out: make(out, 2))) else "failed"
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

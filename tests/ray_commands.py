"""Commands that use a cluster, each a process of its own that notes which node did what."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

from ray_nodes import ROOT, end, until

PREPARATION = """
from data_scripts import ray_preparation, ray_rows
ray_rows.PART, ray_rows.TASK_PARTS, ray_preparation.TASK_ROWS = 8000, 3, 150
from data_scripts.__main__ import main
"""
STUDY = "from reloop2_keras.__main__ import main\n"
NOTED = """
import os, sys, time
sys.path.insert(0, {root!r})
notes, pause, nodes = {notes!r}, {pause!r}, {nodes!r}
from reloop2_keras.core import ray_engine
call = ray_engine.call
def noted(here, function, *given):
    import ray
    begin = time.time()
    name = os.path.join(notes, ray.get_runtime_context().get_node_id())
    with open(name, "a") as file:
        file.write(f"{{begin}} begins\\n")
    last = time.time() + 30
    while len(os.listdir(notes)) < nodes and time.time() < last:
        time.sleep(0.05)
    time.sleep(pause)
    found = call(here, function, *given)
    with open(name, "a") as file:
        file.write(f"{{begin}} {{time.time()}}\\n")
    return found
ray_engine.call = noted
"""


class Noted:
    """A command under way.

    Args:
        command: `PREPARATION` or `STUDY`.
        words: of the command line.
        folder: path, for notes.
        env: dict.
        pause: float, seconds that each task takes more.
        nodes: int, that must have begun a task before one goes on: a node whose workers start
            late would else find all done by the other one.
        cwd: path.
        more: code, before the command.
    """

    def __init__(self, command, words, folder, env, pause=0.0, nodes=1, cwd=None, more=""):
        self.notes = Path(folder) / f"notes-{time.monotonic_ns()}"
        self.notes.mkdir()
        head = NOTED.format(root=str(ROOT), notes=str(self.notes), pause=pause, nodes=nodes)
        code = head + more + command + "sys.exit(main(sys.argv[1:]))\n"
        self.run = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, words)],
            env=env,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.run.stderr.close()
        end(self.run)

    def begun(self):
        """How many tasks each node has begun, by its name in Ray."""
        lines = {path.name: path.read_text().splitlines() for path in self.notes.iterdir()}
        return {name: sum("begins" in line for line in found) for name, found in lines.items()}

    def on_both(self, tasks=2):
        """Wait until two nodes have begun so many tasks each."""
        return until(
            lambda: (
                self.run.poll() is not None
                or (len(found := self.begun()) == 2 and min(found.values()) >= tasks)
            ),
            self.begun,
        )

    def at_once(self):
        """The most tasks that ran at a time."""
        spans = [
            tuple(map(float, line.split()))
            for path in self.notes.iterdir()
            for line in path.read_text().splitlines()
            if "begins" not in line
        ]
        return max(sum(a <= begin < b for a, b in spans) for begin, _ in spans)

    def end(self, seconds=240):
        """Return (status, what it said as errors)."""
        _, said = self.run.communicate(timeout=seconds)
        return self.run.returncode, said

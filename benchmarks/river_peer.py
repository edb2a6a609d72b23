"""river, a peer in an environment of its own: its newer versions need a NumPy that ours cannot.

`Peer` starts `.venv-river/bin/python benchmarks/river_peer.py ARRAYS.npz JOB`, which answers each
line of its input by a line of JSON: the seconds that the job took. This file imports nothing of
ours outside of `Peer`.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PYTHON = Path(".venv-river/bin/python")


class Peer:
    """A process that runs a job of river whenever it is asked to; a context.

    Args:
        job: a key of `JOBS`.
        arrays: dict of NumPy arrays, the job's arguments.
        name, target: of the row that says so if river cannot run.

    Attributes:
        found: bool, whether it runs; a row was written if not.
        version: str, river's.
    """

    def __init__(self, job, arrays, name, target):
        self._job, self._arrays, self._row = job, arrays, (name, target)
        self.found, self.version = False, None

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "arrays.npz"
        np.savez(path, **self._arrays)
        command = [str(PYTHON), __file__, str(path), self._job]
        try:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self._process = subprocess.Popen(command, **pipes)
            self.version = self._answer()["version"]
            self.found = True
        except (OSError, ValueError) as error:
            from benchmarks.common import write

            name, target = self._row
            note = f"peer river is missing in {PYTHON.parts[0]}: {type(error).__name__}: {error}"
            write(name, None, None, "-", None, target, note=note[:200])
        return self

    def __exit__(self, *_):
        if self.found:
            self._process.stdin.close()
            self._process.wait()
        self._folder.cleanup()

    def _answer(self):
        return json.loads(self._process.stdout.readline())

    def seconds(self):
        """Run the job once; returns seconds, the process's own."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer()["seconds"])


def logistic(ids, labels):
    """Predict and learn one by one."""
    from river import linear_model

    model = linear_model.LogisticRegression()
    for row, label in zip(ids, labels, strict=True):
        features = dict.fromkeys(row, 1.0)
        model.predict_proba_one(features)
        model.learn_one(features, bool(label))


def metrics(labels, p):
    """Approximate AUC and logloss, one by one."""
    from river import metrics as found

    area, loss = found.ROCAUC(), found.LogLoss()
    for label, q in zip(labels, p, strict=True):
        area.update(label, q)
        loss.update(label, q)


JOBS = {"logistic": logistic, "metrics": metrics}


def main(path, job):
    """Answer lines until there are no more."""
    import river

    with np.load(path) as file:
        arrays = {name: array.tolist() for name, array in file.items()}

    def answer(**values):
        sys.stdout.write(json.dumps(values) + "\n")
        sys.stdout.flush()

    answer(version=river.__version__)
    for _ in sys.stdin:
        start = time.perf_counter()
        JOBS[job](**arrays)
        answer(seconds=time.perf_counter() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])

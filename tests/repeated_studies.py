"""Runs comparisons again under other circumstances: python repeated_studies.py FOLDER VARIANT …

Prints one line of JSON a variant: whether metrics.json and the shipped model are those of the first
run to the bit, and if not, which files differ, and by how much each arm's worst slot does.
Without KERAS_BACKEND it is MindSpore's comparison. Each run is a process of its own.
"""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

from data_scripts import prepare, synthetic
from reloop2_keras.core.metrics_content import without_times

ROOT = Path(__file__).parents[1]
ARMS = ("frozen", "sketch", "feature", "incremental", "online")
RIVALS = ("frozen", "adpredictor", "vw", "vw+base", "incremental hashed", "frozen linear")
KERAS = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import os
from absent import hide
hide(*{"tensorflow", "jax", "torch"} - {os.environ["KERAS_BACKEND"]})
from reloop2_keras.__main__ import main
sys.exit(main(["compare", *sys.argv[1:]]))
"""
MINDSPORE = """
import sys
sys.argv.pop(1)
from mindspore_port.compare import main
sys.exit(main(sys.argv[1:]))
"""
BUSY = "import os\nwhile os.getppid() == {parent}: pass"  # it ends with us, whatever happens


def threads(count):
    """Variables that tell all libraries how many threads to take."""
    eigen = "false" if count == 1 else "true"
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    return {
        **{f"{name}_NUM_THREADS": str(count) for name in names},
        "TF_NUM_INTRAOP_THREADS": str(count),
        "TF_NUM_INTEROP_THREADS": str(count),
        "POLARS_MAX_THREADS": str(count),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={count}",
    }


VARIANTS = {
    "hashes": {"PYTHONHASHSEED": "7"},  # sets and dicts of texts in another order
    "threads": threads(2),
    "load": {},
    "rivals": threads(2) | {"PYTHONHASHSEED": "7"},
    "search": {},
}


@contextlib.contextmanager
def load(processes):
    """Keep so many processes busy beside us."""
    code = BUSY.format(parent=os.getpid())
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def run(folder, name, variables, more=("--no-search",), arms=ARMS):
    """Compare; returns what must come out the same: metrics, and the model's files by name."""
    code = KERAS if "KERAS_BACKEND" in os.environ else MINDSPORE
    out = folder / name
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    command += [str(folder / "dataset"), str(out), "--max-epochs", "2", "--validation-slots", "3"]
    command += ["--quiet", *more, "--arms", *arms]
    usual = {"PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment = {**os.environ, **usual, **threads(1), **variables}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-3000:]}")
    model = out / "model"  # of rivals alone none is shipped
    files = {p.name: p.read_bytes() for p in sorted(model.iterdir())} if model.exists() else {}
    if "model.json" in files:
        card = without_times(json.loads(files["model.json"]))
        files["model.json"] = json.dumps(card).encode()
    metrics = without_times(json.loads((out / "metrics.json").read_text()))
    del metrics["revision"]  # somebody may commit beside us
    return metrics, files


def farthest(one, two):
    """Arm -> the largest difference of a slot's AUC or log loss."""
    return {
        arm: max(
            abs(a - b)
            for metric, values in metrics.items()
            for a, b in zip(values, two["slots"][arm][metric], strict=True)
        )
        for arm, metrics in one["slots"].items()
    }


def places(one, two, where=""):
    """Paths of all that differs in two trees of JSON."""
    if type(one) is type(two) is dict and one.keys() == two.keys():
        return [p for key in one for p in places(one[key], two[key], f"{where}/{key}")]
    if type(one) is type(two) is list and len(one) == len(two):
        pairs = enumerate(zip(one, two, strict=True))
        return [p for i, (a, b) in pairs for p in places(a, b, f"{where}/{i}")]
    return [] if one == two else [where]


def main(folder, variants):
    """Print one line of JSON a variant."""
    source = synthetic(rows=6000, seed=3, users=200, items=60)
    prepare(source, folder / "dataset", slots=4, progress=False)
    first = run(folder, "first", {})
    search = ("--search-seconds", "1e6")  # a budget that is never reached
    for name in variants:
        want = first
        with load(2 if name in ("load", "rivals") else 0):
            if name == "rivals":  # what stands on no base has the same bits on two threads
                want = run(folder, "rivals-1", {}, arms=RIVALS)
                found = run(folder, name, VARIANTS[name], arms=RIVALS)
            elif name == "search":
                want = run(folder, "searched", {}, search)
                found = run(folder, name, VARIANTS[name], search)
            else:
                found = run(folder, name, VARIANTS[name])
        differ = places(want[0], found[0])
        line = {"variant": name, "metrics": not differ, "places": differ[:5]}
        line["model"] = want[1] == found[1]
        line["files"] = [n for n in want[1] if want[1][n] != found[1].get(n)]
        line["farthest"] = farthest(want[0], found[0])
        print(json.dumps(line), flush=True)


def repeated(folder, *variants, backend=None):
    """What a process of this file tells of each variant; MindSpore's without a backend."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("KERAS_BACKEND", None)
    if backend:
        environment["KERAS_BACKEND"] = backend
    command = [sys.executable, __file__, str(folder), *variants]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def same(line):
    """Whether a variant changed nothing."""
    return line["metrics"] and line["model"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

"""N4: notebook 04 on MovieTweetings, this tree's time against another commit's, turn by turn.

    .venv-bench/bin/python -m benchmarks.notebook_04 RAW_FOLDER --against COMMIT

Each turn runs the notebook of the one and of the other in a process of its own, with this
interpreter's packages. The other commit is checked out in a temporary folder, and each side
prepares the log by its own `data_scripts`, untimed. Minutes a turn: no part of `make bench`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from reloop2_keras.core.command_line import Parser, whole

HERE = Path(__file__).parents[1]
CONFIG = "notebooks/configs/movietweetings.yaml"
TARGET = 2  # at most half of the other's time


def main():
    """Run the turns, write the row, show the figures that both wrote."""
    parser = Parser(prog="python -m benchmarks.notebook_04", description=__doc__)
    parser.add_argument("raw", type=Path, help="folder with ratings.dat and movies.dat")
    parser.add_argument("--against", default="8e04810", help="the other commit")
    parser.add_argument("--backend", default="torch", choices=("torch", "jax", "tensorflow"))
    parser.add_argument("--seeds", type=whole(1, 10_000), default=3)
    parser.add_argument("--turns", type=whole(1, 10_000), default=1)
    args = parser.parse_args()
    for name in ("ratings.dat", "movies.dat"):
        parser.opened(open, args.raw / name).close()
    os.environ["KERAS_BACKEND"] = args.backend  # before `common` looks
    from benchmarks.common import compare

    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        other = scratch / "tree"
        git = ["git", "-C", str(HERE), "worktree"]
        subprocess.run([*git, "add", "--detach", str(other), args.against], check=True)
        try:
            trees = {"ours": HERE, args.against: other}
            for name, tree in trees.items():
                command = ["-m", "data_scripts", "movietweetings", str(args.raw.resolve())]
                python(tree, [*command, str(scratch / name / "dataset")])
            times = {name: [] for name in trees}
            for _ in range(args.turns):
                for name, tree in trees.items():
                    start = time.perf_counter()
                    python(tree, notebook(scratch / name, args.seeds))
                    times[name].append(time.perf_counter() - start)
                    sys.stderr.write(f"{name}: {times[name][-1]:.0f} s\n")
            for name in trees:
                written = json.loads((scratch / name / "metrics.json").read_text())
                found = {arm: part["auc"] for arm, part in written["arms"].items()}
                sys.stderr.write(f"{name}: AUC {json.dumps(found)}\n")
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], check=True)
    name, note = "n4-notebook-04-movietweetings", f"{args.seeds} seeds, against {args.against}"
    compare(name, times, "ours", args.against, TARGET, "s", 1, note=note)


def notebook(folder, seeds):
    command = ["notebooks/run.py", "notebooks/04_stream_evaluation.ipynb", str(folder / "04.ipynb")]
    command += ["-f", CONFIG, "-p", "NUM_SEEDS", str(seeds)]
    folders = {"DATASET_DIR": folder / "dataset", "OUTPUT_DIR": folder}
    for name, path in folders.items():
        command += ["-p", name, str(path)]
    return command


def python(tree, command):
    """Run this interpreter in a tree, whose packages come before any that are installed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, *command], cwd=tree, env=environment, check=True)


if __name__ == "__main__":
    sys.exit(main())

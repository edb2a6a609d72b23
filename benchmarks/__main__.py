"""python -m benchmarks [--quick] [names]: a process a claim and backend, then table and plot."""

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.common import FOLDER, line
from reloop2_keras.core.command_line import Parser, whole

NAMES = sorted(
    path.stem for path in Path(__file__).parent.glob("[a-z][0-9].py") if path.stem != "common"
)
BACKENDS = ("torch", "jax", "tensorflow")
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def main():
    """Run what was asked for; returns 1 if a process broke (a missed target is no error)."""
    parser = Parser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"claims, of: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and rows")
    parser.add_argument("--backend", choices=BACKENDS, help="one backend only")
    parser.add_argument(
        "--threads", type=whole(1, 4096), help="threads of every library; default: all"
    )
    parser.add_argument("--table", action="store_true", help="print the rows held as Markdown")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)  # a claim's own process
    args = parser.parse_args()
    if args.table:
        print(table())
        return 0
    if args.one:
        importlib.import_module(f"benchmarks.{args.one}").run(args.quick)
        return 0
    wrong = [name for name in args.names if name not in NAMES]
    if wrong:
        parser.error(f"expected claims of {', '.join(NAMES)}, found {', '.join(wrong)}")
    start, broken = time.time(), []
    for name in args.names or NAMES:
        claim = importlib.import_module(f"benchmarks.{name}")
        backends = (
            getattr(claim, "QUICK_BACKENDS", claim.BACKENDS) if args.quick else claim.BACKENDS
        )
        for backend in backends:
            if args.backend and backend not in (args.backend, None):
                continue
            command = [sys.executable, "-m", "benchmarks", "--one", name]
            command += ["--quick"] * args.quick
            began = time.time()
            done = subprocess.run(command, env=environment(backend, args.threads), check=False)
            if done.returncode:
                broken.append(f"{name} ({backend})")
            print(f"  {name} {backend or ''}: {time.time() - began:.0f} s", flush=True)
    report(start)
    if broken:
        print("broken: " + ", ".join(broken))
    return 1 if broken else 0


def environment(backend, threads):
    made = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"}
    made.pop("KERAS_BACKEND", None)
    if backend:
        made["KERAS_BACKEND"] = backend
    if threads:
        for name in THREADS:
            made[name] = str(threads)
        eigen = "true" if threads > 1 else "false"
        made["XLA_FLAGS"] = (
            f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
        )
    return made


def report(start):
    """Print the table of this run's rows and draw them."""
    rows = []
    for path in sorted(FOLDER.glob("*.json")):
        if path.stat().st_mtime >= start:
            rows.append(json.loads(path.read_text()))
    print(f"\n==== {len(rows)} rows in {time.time() - start:.0f} s; also in {FOLDER}/")
    for row in rows:
        print(line(row))
    scored = [row for row in rows if row["passed"] is not None]
    print(f"met {sum(row['passed'] for row in scored)} of {len(scored)} targets")
    if scored:
        draw(scored, FOLDER / "bench.png")


def table():
    """All rows of runs/bench as Markdown."""
    lines = [
        "| row | ours | peer | unit | ratio | target | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for path in sorted(FOLDER.glob("*.json")):
        row = json.loads(path.read_text())
        cells = [row[key] for key in ("ours", "peer", "ratio", "target")]
        ours, peer, ratio, target = ("-" if x is None else f"{x:.3g}" for x in cells)
        verdict = {True: "met", False: "missed", None: row.get("note", "")}[row["passed"]]
        lines.append(
            f"| {row['name']} | {ours} | {peer} | {row['unit']} | {ratio} | {target} | {verdict} |"
        )
    return "\n".join(lines)


def draw(rows, path):
    """Ratio over target, logarithmic, a line a claim and a mark a backend: right of 1 is met."""
    import matplotlib.pyplot as plt

    marks = {"torch": "o", "jax": "s", "tensorflow": "^", "none": "D"}
    names = [row["name"].removesuffix(f"-{row['backend']}") for row in rows]
    order = list(dict.fromkeys(names))
    figure, axes = plt.subplots(figsize=(8, 0.2 * len(order) + 1), layout="constrained")
    for backend, mark in marks.items():
        mine = [(n, r) for n, r in zip(names, rows, strict=True) if r["backend"] == backend]
        axes.scatter(
            [row["ratio"] / row["target"] for _, row in mine],
            [order.index(name) for name, _ in mine],
            marker=mark,
            s=28,
            c=["tab:blue" if row["passed"] else "tab:orange" for _, row in mine],
        )
        axes.scatter([], [], marker=mark, c="gray", label=backend.replace("none", "no backend"))
    axes.set_yticks(range(len(order)), order, fontsize=7)
    axes.set_ylim(len(order) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.grid(axis="y", linewidth=0.3)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("ratio / target (right of 1: met)")
    axes.legend(fontsize=7, loc="lower right")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())

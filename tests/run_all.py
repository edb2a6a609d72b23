"""Runs every test, a process a backend, and prints one closing line for all.

python tests/run_all.py [name …]: only the parts whose names contain one of the words.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parents[1]
BACKENDS = ("tensorflow", "jax", "torch")


def parts():
    """Yield (name, KERAS_BACKEND or None, pytest arguments)."""
    default = "not slow and not gpu"
    rest = "--ignore=tests/mindspore"  # a part of its own: no other imports mindspore
    yield "plain", None, [rest, "-m", f"not backend and not notebook and {default}"]
    yield "examples", None, ["--doctest-modules", "reloop2_keras/core", "data_scripts"]
    for backend in BACKENDS:
        yield backend, backend, [rest, "-m", f"backend and {default}"]
    for backend in BACKENDS:
        yield f"notebooks-{backend}", backend, [rest, "-m", f"notebook and {default}"]
    if (ROOT / "tests" / "mindspore").is_dir():
        yield "mindspore", None, ["tests/mindspore", "-m", default]


def main(words):
    """Run the parts one after the other; returns the exit status."""
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    bad, start = [], time.monotonic()
    for name, backend, arguments in parts():
        if words and not any(word in name for word in words):
            continue
        print(f"==== {name}", flush=True)
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "MPLBACKEND": "agg"}
        environment.pop("KERAS_BACKEND", None)
        if backend:
            environment["KERAS_BACKEND"] = backend
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.xml"
            command = [sys.executable, "-m", "pytest", "-q", "--durations=5"]
            command += [f"--junitxml={report}", *arguments]
            status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
            if status != 0:
                bad.append(f"{name} (pytest exit status {status})")
            if report.exists():
                for suite in ElementTree.parse(report).getroot().iter("testsuite"):
                    total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
                    failed = int(suite.get("failures")) + int(suite.get("errors"))
                    counts["failed"] += failed
                    counts["skipped"] += skipped
                    counts["passed"] += total - failed - skipped
    if bad:
        print("not green: " + ", ".join(bad))
        counts["failed"] = max(counts["failed"], len(bad))
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"==== {told} in {time.monotonic() - start:.0f}s ====")
    return 1 if bad or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Runs every test, a process a backend, and prints one closing line for all.

python tests/run_all.py [--jobs N] [name …]: only parts whose names contain one of the words.
"""

import argparse
import signal
import sys
import time

from run_parts import CORES, ROOT, Part, free_gib, parts_at_once, run_parts

BACKENDS = ("jax", "tensorflow", "torch")
SLOWEST = 4  # parts whose CPU time is told at the end


def all_parts():
    """The parts, the longest first, so that no long one is left over at the end."""
    default = "not slow and not gpu"
    rest = "--ignore=tests/mindspore"  # a part of its own: no other imports mindspore
    words = f"not backend and not notebook and not browser and {default}"
    out = [Part("plain", None, [rest, "-m", words])]
    if (ROOT / "tests" / "mindspore").is_dir():
        out.append(Part("mindspore", None, ["tests/mindspore", "-m", default]))
    for backend in BACKENDS:
        arguments = [rest, "-m", f"notebook and {default}"]
        # Jupyter looks for free ports long before a kernel takes them: not two at the same time
        out.append(Part(f"notebooks-{backend}", backend, arguments, "notebooks"))
    pages = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").glob("test_*_browser.py"))
    out.append(Part("browser", "torch", [*pages, "-m", f"browser and {default}"], "notebooks"))
    for backend in BACKENDS:
        out.append(Part(backend, backend, [rest, "-m", f"backend and {default}"]))
    return [
        *out,
        Part("examples", None, ["--doctest-modules", "reloop2_keras/core", "data_scripts"]),
    ]


def run(parts, jobs, limit):
    """Run parts and print the closing lines; returns the exit status."""
    start, outcomes = time.monotonic(), []
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for outcome in run_parts(parts, jobs, limit):
            outcomes.append(outcome)
    except KeyboardInterrupt:
        print("==== stopped ====", flush=True)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)
    slowest = sorted(outcomes, key=lambda outcome: -outcome.cpu)[:SLOWEST]
    total = sum(outcome.cpu for outcome in outcomes)
    told = ", ".join(f"{outcome.part.name} {outcome.cpu:.0f} s" for outcome in slowest)
    print(f"CPU: {total:.0f} s; most: {told}")
    bad = [f"{outcome.part.name} ({outcome.wrong})" for outcome in outcomes if outcome.wrong]
    if bad:
        print("not green: " + ", ".join(bad))
    kinds = ("passed", "failed", "skipped")
    counts = {kind: sum(outcome.counts[kind] for outcome in outcomes) for kind in kinds}
    told = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"==== {told} in {time.monotonic() - start:.0f}s ====")
    return 1 if bad or not counts["passed"] else 0


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="words: only parts whose names contain one")
    jobs = parts_at_once(CORES, free_gib())
    parser.add_argument("--jobs", type=int, default=jobs, help="parts at once (%(default)s here)")
    parser.add_argument("--limit", type=float, default=7200, help="seconds a part may take")
    args = parser.parse_args(argv)
    if args.jobs < 1:
        parser.error(f"--jobs: expected 1 or more, found {args.jobs}")
    parts = all_parts()
    chosen = [p for p in parts if not args.names or any(word in p.name for word in args.names)]
    if not chosen:
        parser.error(f"names: expected words of {[p.name for p in parts]}, found {args.names}")
    return run(chosen, args.jobs, args.limit)


if __name__ == "__main__":
    sys.exit(main())

"""Runs parts of the test suite, each a pytest process of its own, some of them at once."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PATIENCE = 10  # seconds that a part which is asked to stop may still take
HEARTBEAT = 60  # seconds from one line of progress to the next
GIB_OF_A_PART = 5  # what the largest, JAX's, grows to; others take 2 to 4


def free_gib():
    """GiB of memory that processes may still take here; that of the machine where none tells."""
    told = []
    with contextlib.suppress(OSError, ValueError):
        told.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError):  # Linux
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        told.append(2**10 * int(lines["MemAvailable"].split()[0]))
    with contextlib.suppress(OSError, ValueError):  # a container; without a limit it says "max"
        told.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(told, default=0) / 2**30


def parts_at_once(cores, gib):
    """How many parts to run at once: one more than cores, as some wait, where memory allows."""
    return max(1, min(cores + 1, 4, int(gib // GIB_OF_A_PART)))


@dataclass(frozen=True)
class Part:
    """What one pytest process is given: KERAS_BACKEND (or None) and pytest's arguments.

    Of parts that name the same `lane` only one runs at a time.
    """

    name: str
    backend: str | None
    arguments: list[str]
    lane: str | None = None


@dataclass
class Outcome:
    """How a part ended: what is wrong with it ("" if nothing), and its tests by their fate."""

    part: Part
    wrong: str = ""
    cpu: float = 0.0  # seconds
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("passed", "failed", "skipped"), 0)
    )


def environment(part, threads, folder):
    """The variables of a part. What the caller has set of the numbers of threads stays."""
    count = str(threads)
    eigen = "false" if threads == 1 else "true"
    ours = {
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "TF_NUM_INTRAOP_THREADS": count,
        "TF_NUM_INTEROP_THREADS": count,
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={count}",
    }
    if threads == CORES:  # nothing runs beside it
        ours = {}
    own = {
        "MPLBACKEND": "agg",
        # two processes that compile different forms of a kernel at once may mix up Numba's files
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        # what tests compile again and again for models of one shape is compiled once
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    out = {**ours, "TF_CPP_MIN_LOG_LEVEL": "2", **os.environ, **own}
    out.pop("KERAS_BACKEND", None)
    return {**out, "KERAS_BACKEND": part.backend} if part.backend else out


class Running:
    """A part's process; all that it says goes to a file until it has ended."""

    def __init__(self, part, threads, kernels):
        self.part, self.start, self.usage = part, time.monotonic(), None
        self.folder = tempfile.TemporaryDirectory(prefix="reloop2-tests-")
        folder = Path(self.folder.name)
        self.log, self.report = folder / "log.txt", folder / "report.xml"
        self.kernels = kernels
        if kernels.is_dir():
            shutil.copytree(kernels, folder / "numba")
        command = [sys.executable, "-m", "pytest", "-q", "--durations=5", *part.arguments]
        command += [f"--junitxml={self.report}", "-o", f"cache_dir=.pytest_cache/{part.name}"]
        # a thread may find what another is still writing there; JAX then compiles it
        command += ["-W", "ignore:Error reading persistent compilation cache entry"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(part, threads, folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # to end it together with all that it has started
            )

    @property
    def seconds(self):
        return time.monotonic() - self.start

    def ended(self):
        """Whether the process has ended; if so, none that it has started is left."""
        if self.usage is None:
            found, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if found:
                self.usage = usage
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.send(signal.SIGKILL)
        return self.usage is not None

    def send(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def keep_kernels(self):
        """Hand what Numba has compiled on to the parts that start later.

        A part works on a copy of its own, so that no two processes of two parts write there; what
        a part that was killed has left may be half a file, and is not handed on.
        """
        compiled = Path(self.folder.name) / "numba"
        if self.process.returncode == 0 and compiled.is_dir():
            shutil.rmtree(self.kernels, ignore_errors=True)
            shutil.move(compiled, self.kernels)

    def outcome(self, limit):
        """Print what the part said and how it ended; `limit` if it was stopped, or None."""
        said = self.log.read_text(encoding="utf-8", errors="replace")
        status, outcome = self.process.returncode, Outcome(self.part)
        with contextlib.suppress(FileNotFoundError, ElementTree.ParseError):
            for suite in ElementTree.parse(self.report).getroot().iter("testsuite"):
                total, skipped = int(suite.get("tests")), int(suite.get("skipped"))
                failed = int(suite.get("failures")) + int(suite.get("errors"))
                outcome.counts["failed"] += failed
                outcome.counts["skipped"] += skipped
                outcome.counts["passed"] += total - failed - skipped
        self.keep_kernels()
        self.folder.cleanup()
        if limit is not None:
            outcome.wrong = f"hung: stopped after {limit:g} s"
        elif status < 0:
            outcome.wrong = f"killed by {signal.Signals(-status).name}"
        elif status > 0:
            outcome.wrong = f"pytest exit status {status}"
        if outcome.wrong:
            outcome.counts["failed"] = max(outcome.counts["failed"], 1)
        outcome.cpu = cpu = self.usage.ru_utime + self.usage.ru_stime
        # Linux counts in KiB, macOS in bytes
        peak = self.usage.ru_maxrss / (2**20 if sys.platform == "linux" else 2**30)
        told = f"{outcome.wrong or 'green'}; {self.seconds:.0f} s, {cpu:.0f} s of CPU"
        name = self.part.name
        print(f"==== {name}\n{said.rstrip()}\n==== {name}: {told}, largest process {peak:.1f} GiB")
        sys.stdout.flush()
        return outcome


def stop(running, number):
    """Send parts a signal, and end those that do not end by it."""
    for one in running:
        one.send(number)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and not all([one.ended() for one in running]):
        time.sleep(0.05)
    for one in running:
        one.send(signal.SIGKILL)
        while not one.ended():
            time.sleep(0.05)


def next_part(waiting, running):
    """The first part whose lane is free, or None."""
    taken = {one.part.lane for one in running} - {None}
    return next((part for part in waiting if part.lane not in taken), None)


def run_parts(parts, jobs, limit):
    """Run the parts in their order, `jobs` at once; yields an `Outcome` as each ends.

    Args:
        parts: list of `Part`.
        jobs: int, how many run at once; the cores are divided among them.
        limit: float, seconds after which a part hangs.
    """
    waiting, running, start = list(parts), [], time.monotonic()
    beat = start + HEARTBEAT
    kept = tempfile.TemporaryDirectory(prefix="reloop2-tests-")
    kernels = Path(kept.name) / "numba"
    try:
        while waiting or running:
            while len(running) < jobs and (part := next_part(waiting, running)):
                waiting.remove(part)
                running.append(Running(part, max(1, CORES // jobs), kernels))
                print(f"     {part.name} starts", flush=True)
            time.sleep(0.1)
            for one in list(running):
                hung = not one.ended() and one.seconds > limit
                if hung:
                    stop([one], signal.SIGABRT)  # pytest says where each thread is
                if one.ended():
                    running.remove(one)
                    yield one.outcome(limit if hung else None)
            if time.monotonic() > beat:
                beat += HEARTBEAT
                now = ", ".join(f"{one.part.name} for {one.seconds:.0f} s" for one in running)
                total = time.monotonic() - start
                print(f"     {total:.0f} s: {now}; {len(waiting)} to come", flush=True)
    finally:
        if running:
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # asked once is enough
            stop(running, signal.SIGINT)
            signal.signal(signal.SIGINT, before)
        for one in running:
            one.folder.cleanup()
        kept.cleanup()

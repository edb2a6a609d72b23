"""A cluster of Ray's own command, of two nodes on this machine, for tests of `--address`."""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
START = 120.0  # seconds for a node; a quiet machine takes 4 to 18


def environment(**more):
    """This process' environment without what would say which Ray to take."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**kept, **QUIET, **more}


def can_cover():
    """Whether this process may mount a folder over another one in a namespace of its own."""
    try:
        found = subprocess.run(["unshare", "-m", "mount", "--bind", "/tmp", "/tmp"])
    except OSError:
        return False
    return found.returncode == 0


def covered_package(name, empty):
    """Pairs for `Nodes.add` that hide a package of ours, here and where it is installed."""
    code = f"import importlib.util as u; s = u.find_spec({name!r}); print(s.origin if s else '')"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [sys.executable, "-c", code]
    found = subprocess.run(words, env=env, cwd="/", capture_output=True, text=True, check=True)
    places = {Path(line).parent for line in found.stdout.split()}
    return [(empty, path) for path in {ROOT / name, *places}]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Nodes:
    """A head of one processor and, after `add`, a second node of one; ended by `with`.

    Args:
        auth: str, Ray's RAY_AUTH_MODE: "token", which is its default where a home has a token, or
            "disabled".

    Attributes:
        address: str.
        env: dict, of commands that may use the cluster.
    """

    def __init__(self, auth="token"):
        self._folder = tempfile.mkdtemp(prefix="n", dir="/tmp")  # sockets need a short one
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.env = environment(RAY_AUTH_MODE=auth)
        if auth == "token":
            self.env["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        self._runs = []
        try:
            words = ["--head", "--port", str(port), "--include-dashboard", "false"]
            self.head = self._start(*words, "--temp-dir", self._folder)
        except BaseException:
            self.close()
            raise

    def _start(self, *words, covered=()):
        code = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
        words = [*words, "--num-cpus", "1", "--object-store-memory", "80000000", "--block"]
        words = [sys.executable, "-c", code, "start", *words]
        if covered:  # what is mounted in a namespace of its own nobody else sees
            mounts = [shlex.join(["mount", "--bind", str(a), str(b)]) for a, b in covered]
            words = [
                "unshare",
                "-m",
                "sh",
                "-c",
                " && ".join([*mounts, "exec " + shlex.join(words)]),
            ]
        run = subprocess.Popen(
            words,
            env={name: value for name, value in self.env.items() if name != "PYTHONPATH"},
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._runs.append(run)
        lines = []
        for line in run.stdout:
            lines.append(line)
            if "Ray runtime started" in line:
                return run
        raise RuntimeError("".join(lines))

    def add(self, covered=()):
        """Start a second node; returns its process.

        Args:
            covered: pairs of folders: the node sees the first in the place of the second.
        """
        return self._start("--address", self.address, covered=covered)

    def raylet(self, run):
        """The number of a node's raylet, whose workers end with it."""
        for number in children(run.pid):
            with contextlib.suppress(OSError):
                if b"raylet/raylet" in Path(f"/proc/{number}/cmdline").read_bytes():
                    return number
        raise RuntimeError("no raylet runs")

    def kill(self, run):
        """Kill a node as a machine's power cut does: its raylet, then all that it started."""
        os.kill(self.raylet(run), signal.SIGKILL)
        end(run)

    def workers(self, run):
        """Numbers of a node's processes that work, by what Ray calls them."""
        found = {}
        for number in children(self.raylet(run)):
            with contextlib.suppress(OSError):
                name = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")[0].decode()
                if name.startswith("ray::") and not name.endswith("Agent"):
                    found[number] = name
        return found

    def close(self):
        """End all of it."""
        for run in self._runs:
            end(run)
        self._runs = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if self._folder.encode() in entry.read_bytes():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def children(number):
    """Numbers of a process' children; its tasks are asked, as each thread has its own."""
    found = []
    for entry in Path(f"/proc/{number}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, entry.read_text().split())
    return found


def end(run):
    """Kill a process and all of its session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    if run.stdout is not None:
        run.stdout.close()


def until(true, what, seconds=120.0):
    """Wait until something is true; returns it."""
    last = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < last, what
        time.sleep(0.05)
    return found

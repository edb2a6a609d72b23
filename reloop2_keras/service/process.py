"""A service as a process of its own: started, asked, killed. For notebooks and trials (ours)."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import weakref
from typing import Any

_RUNNING = re.compile(r" on (http://\S+)")


class ServiceProcess:
    """Runs `python -m reloop2_keras serve MODEL` on a free port of loopback.

    The process ends with a `with`, with `kill` or `stop`, and at the latest with this one, unless
    this one is killed itself. In production something else looks after it: see docs/serving.md.

    Args:
        model: folder that `compare` shipped.
        *options: words of the command, such as "--state", folder.
        seconds: float, within which it must answer.

    Attributes:
        url: str.
        process: `subprocess.Popen`.

    Raises:
        RuntimeError: with what it said, if it ends or does not answer in time.

    Example:
        >>> with ServiceProcess("runs/mine/model", "--state", "state") as service:
        ...     service.ask("/predict", {"rows": [{"user": 7}]})["scores"]  # doctest: +SKIP
    """

    def __init__(self, model: str | os.PathLike, *options: str, seconds: float = 60.0) -> None:
        self._said, path = tempfile.mkstemp()
        os.unlink(path)
        weakref.finalize(self, os.close, self._said)
        # port 0: the system gives one that is free, and no other process can take it meanwhile
        words = ["-m", "reloop2_keras", "serve", os.fspath(model), "--port", "0", *options]
        self.process = subprocess.Popen(
            [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said
        )
        self._end = weakref.finalize(self, _killed, self.process)
        self.url, until = "", time.monotonic() + seconds
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self._end()
                raise RuntimeError(f"{model}: the service did not start: {self.said().strip()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        if not (found := _RUNNING.search(self.said())):
            return False
        self.url = found[1]
        try:
            self.ask("/health", seconds=1.0)
        except OSError:  # it listens, and is not there yet
            return False
        return True

    def __enter__(self) -> "ServiceProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def said(self) -> str:
        """Return what the process has written so far."""
        return os.pread(self._said, os.fstat(self._said).st_size, 0).decode(errors="replace")

    def ask(self, path: str, body: Any = None, seconds: float = 20.0) -> Any:
        """Return the answer to a request: POST where there is a body, else GET.

        Raises:
            OSError: if it does not answer in time, or with an error (`urllib.error.HTTPError`).
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=seconds) as reply:
            return json.loads(reply.read())

    def kill(self) -> None:
        """Send SIGKILL: nothing is tidied up, as when the machine takes the process away."""
        self._end()

    def stop(self, seconds: float = 40.0) -> int:
        """Send SIGTERM, which ends requests under way and writes a last snapshot.

        Returns:
            int, the exit status: -15, as uvicorn raises the signal again once all is written; of a
            process that had to be killed after `seconds`, -9.
        """
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self._end()
        return int(self.process.returncode)


def _killed(process: subprocess.Popen) -> None:
    """End a process, and wait for it."""
    process.kill()
    process.wait()

"""Jobs of tests in processes where only one Keras backend can be imported, imported once.

A `Forks` starts this file as a process. It imports Keras and reloop2_keras and computes nothing,
so that no framework has a thread yet; each job then runs in a fork of it, as if in a fresh process
that has spared seconds of imports.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

HERE = Path(__file__).parent
BACKENDS = ("tensorflow", "jax", "torch")
LIMIT = 900  # seconds after which the kernel ends a job


class Forks:
    """The process of a backend; to be closed."""

    def __init__(self, backend):
        environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "forks.py")],
            env=environment,
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )

    def run(self, code, *arguments):
        """Run code with `sys.argv[1:]` in a fork; returns its exit status and standard error."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps([code, *map(str, arguments)]) + "\n")
            self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.errors.seek(0)
            raise RuntimeError(f"{self.process.args} ended: {self.errors.read()[-3000:]}")
        return json.loads(answer)

    def check(self, code, *arguments):
        """Run code that must end well."""
        status, error = self.run(code, *arguments)
        assert status == 0, error[-3000:]

    def close(self):
        self.process.communicate()
        self.errors.close()


def job(code, arguments, errors):
    """Run code in a fork, what it says going to a file; returns its exit status."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        signal.alarm(LIMIT)
        sys.argv[1:] = arguments
        exec(compile(code, "<job>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def serve():
    """Run the jobs of standard input, a line of JSON each, and answer each with a line."""
    from absent import hide

    hide(*set(BACKENDS) - {os.environ["KERAS_BACKEND"]})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what imports say is no answer
    import keras  # noqa: F401

    from reloop2_keras.models import neutral, serving  # noqa: F401

    for line in sys.stdin:
        code, *arguments = json.loads(line)
        with tempfile.TemporaryFile() as errors:
            status = job(code, arguments, errors.fileno())
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        print(json.dumps([status, said]), file=answers, flush=True)


if __name__ == "__main__":
    serve()

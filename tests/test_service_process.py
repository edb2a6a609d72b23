"""The service as a process: started by the command line, stopped, killed, and started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

for needed in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")

from served_model import labels, model, rows  # noqa: E402
from service_case import ship_tables  # noqa: E402

from reloop2_keras.__main__ import main  # noqa: E402

ROOT = Path(__file__).parents[1]


def free_port():
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]


class Process:
    """A service in a process of its own."""

    def __init__(self, folder, *options):
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        command = [sys.executable, "-m", "reloop2_keras", "serve", str(folder)]
        self.log = open(Path(folder).parent / f"log-{port}", "w+")
        self.process = subprocess.Popen(
            [*command, "--port", str(port), *options], cwd=ROOT, stdout=self.log, stderr=self.log
        )
        end = time.monotonic() + 60
        while True:
            try:
                self.ask("/health")
                return
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None and time.monotonic() < end, self.said()
                time.sleep(0.1)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.loads(reply.read())

    def stop(self, number):
        self.process.send_signal(number)
        self.process.wait(timeout=40)
        said = self.said()
        self.log.close()
        return said


def test_a_service_that_is_killed_and_stopped_goes_on(tmp_path):
    folder, never = ship_tables(tmp_path / "model"), model(base=False)
    service = Process(folder)
    try:
        for seed in range(6):
            some = rows(10, seed)
            answer = service.ask("/predict", {"rows": some})
            twin = never.predict(some)
            np.testing.assert_array_equal(np.float32(answer["scores"]), twin.scores)
            body = {"ids": [answer["id"]], "labels": [labels(some, seed)]}
            assert service.ask("/learn", body)["learnt"] == 10
            never.learn(twin.id, labels(some, seed))
            if seed == 1:
                service.stop(signal.SIGKILL)
                service = Process(folder)
            if seed == 3:
                said = service.stop(signal.SIGTERM)
                assert "Traceback" not in said
                position = max((tmp_path / "model-state").rglob("snapshot-*.state"))
                service = Process(folder)
                assert f"started from {position.name}" in service.said()
    finally:
        if service.process.poll() is None:
            service.stop(signal.SIGKILL)


@pytest.mark.parametrize("hidden", ["fastapi", "uvicorn", "prometheus_client"])
def test_what_is_not_installed_is_told_in_one_line(tmp_path, hidden):
    code = f"import absent; absent.hide({hidden!r}); import sys; from reloop2_keras.__main__ "
    code += "import main; sys.exit(main(['serve', 'nowhere']))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    said = run.stderr.decode().strip().splitlines()
    assert run.returncode == 2 and len(said) == 1
    assert hidden in said[0] and "pip install 'reloop2[serve]'" in said[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "nowhere"], "model.json: not found"),
        (["serve", "nowhere", "--host", "0.0.0.0"], "expected a token beyond loopback"),
        (["release", "nowhere.onnx", "--url", "http://127.0.0.1:9"], "refused"),
    ],
)
def test_what_cannot_start_is_told_in_one_line(arguments, said, capsys, monkeypatch):
    monkeypatch.delenv("RELOOP2_TOKEN", raising=False)
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]

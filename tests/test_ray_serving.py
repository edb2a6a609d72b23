"""A service on Ray: equal to one process, and no label lost, whoever is killed."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

for needed in ("ray", "fastapi", "uvicorn", "prometheus_client", "onnxruntime", "onnx"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[scale,serve,onnx]'")

from served_model import labels, rows  # noqa: E402
from test_service_release import base, shipped  # noqa: E402

from reloop2_keras.__main__ import main  # noqa: E402
from reloop2_keras.distributed.ray_writer import Writer  # noqa: E402
from reloop2_keras.service.process import ServiceProcess  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402

ROOT = Path(__file__).parents[1]
PROBE = rows(12, 4321)


class Case:
    """A service of two readers, and one process that is told the same."""

    def __init__(self, folder):
        self.folder, self.model = folder, shipped(folder)
        self.state = folder / "state"
        options = ("--ray", "--replicas", "2", "--pace-ms", "20", "--snapshot-seconds", "0.5")
        options += ("--state", str(self.state))
        self.service = ServiceProcess(self.model, *options, seconds=400)
        self.twin = Running(self.model, folder / "twin").model
        self.turn, self.learnt = 0, 0

    def teach(self, size=10):
        """Serve rows, and learn their labels, here and there."""
        self.turn += 1
        some, of = rows(size, self.turn), labels(rows(size, self.turn), self.turn)
        name = self.service.ask("/predict", {"rows": some})["id"]
        assert self.patient("/learn", {"ids": [name], "labels": [of]})["learnt"] in (0, size)
        self.twin.learn(self.twin.predict(some).id, of)
        self.learnt += size

    def patient(self, path, body):
        """Ask until it is answered, as whoever brings labels does."""
        until = time.monotonic() + 120
        while True:
            try:
                return self.service.ask(path, body)
            except urllib.error.HTTPError as error:
                assert error.code == 503 and error.headers["Retry-After"] == "1", error.read()
                assert time.monotonic() < until
                time.sleep(0.1)

    def settled(self):
        """Return the health once every reader has all that was learnt."""
        until = time.monotonic() + 120
        while True:
            said = self.service.ask("/health")
            lag = said["staleness"]["readers"]
            if said["status"] == "ok" and len(lag) == 2 and not any(lag.values()):
                return said
            assert time.monotonic() < until, said
            time.sleep(0.02)

    def assert_alike(self):
        """Both readers serve what the one process does, to the bit."""
        self.settled()
        expected = self.twin.predict(PROBE).scores
        for _ in range(4):  # in turns
            found = self.service.ask("/predict", {"rows": PROBE})["scores"]
            np.testing.assert_array_equal(np.float32(found), expected)

    @contextlib.contextmanager
    def asking(self):
        """Requests all the while; yields the list of those that failed."""
        failed, stop, served = [], threading.Event(), [0]

        def ask():
            while not stop.is_set():
                try:
                    self.service.ask("/predict", {"rows": rows(1, served[0])})
                    served[0] += 1
                except OSError as error:
                    failed.append(error)
                time.sleep(0.02)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield failed
        finally:
            stop.set()
            thread.join()
        assert served[0] > 5

    def metric(self, line):
        with urllib.request.urlopen(self.service.url + "/metrics", timeout=20) as reply:
            found = [x for x in reply.read().decode().splitlines() if x.startswith(line + " ")]
        return float(found[0].split()[-1])

    def back(self, number):
        """Return once another writer is there."""
        until = time.monotonic() + 120
        while True:
            said = self.service.ask("/health")
            if said["status"] == "ok" and said["writer_process"] != number:
                return
            assert time.monotonic() < until, said
            time.sleep(0.1)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    made = Case(tmp_path_factory.mktemp("ray"))
    with made.service:
        yield made
        made.service.stop()


def test_readers_equal_one_process(case):
    for size in (1, 10, 40, 3, 10, 33):
        case.teach(size)
        case.assert_alike()
    said = case.service.ask("/health")
    assert said["replicas"]["serving"] == said["replicas"]["of"] == 2
    lag = said["staleness"]
    assert lag["answers"] >= 5 and 0 < lag["p50_ms"] <= lag["p99_ms"] <= lag["max_ms"]
    assert case.metric("reloop2_writer_up") == 1 and case.metric("reloop2_readers_serving") == 2
    assert case.metric('reloop2_events_total{kind="learnt"}') == case.learnt
    assert case.metric('reloop2_staleness_ms{quantile="0.99"}') > 0
    some = rows(5, 99)
    body = {"rows": some, "labels": labels(some, 99)}
    assert case.service.ask("/learn_rows", body)["learnt"] == 5
    case.twin.learn_rows(some, labels(some, 99))
    case.learnt += 5
    case.assert_alike()
    assert case.service.ask("/moved")["values"] and case.service.ask("/snapshots")["snapshots"]
    row = PROBE[0]
    assert case.service.ask("/explain", {"row": row}) == json.loads(
        json.dumps(case.twin.explain(row))
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        case.service.ask("/predict", {"rows": [{"user": "u1"}]})
    assert refused.value.code == 422 and "expected every field" in refused.value.read().decode()


def test_release_and_rollback_are_everywhere_when_they_are_answered(case):
    second = base(case.folder / "second.onnx", 2)
    case.service.ask("/release", {"path": str(second), "rows": 0, "same_vocabulary": True})
    from reloop2_keras.service.bases import load_base

    case.twin.release(load_base(second), "second", rows=0)
    expected = case.twin.predict(PROBE).scores
    for _ in range(4):
        found = case.service.ask("/predict", {"rows": PROBE})["scores"]
        np.testing.assert_array_equal(np.float32(found), expected)
    number = case.service.ask("/snapshot", {})["snapshot"]
    state = case.twin.state()
    case.teach(20)
    case.assert_alike()
    assert case.service.ask("/rollback", {"number": number})["snapshot"] == number
    case.twin.load_state(*state, requests=False)
    case.learnt -= 20
    expected = case.twin.predict(PROBE).scores
    for _ in range(4):
        found = case.service.ask("/predict", {"rows": PROBE})["scores"]
        np.testing.assert_array_equal(np.float32(found), expected)
    case.teach(10)
    case.assert_alike()


def test_a_reader_that_is_killed_fails_no_request_and_comes_back(case):
    before = case.settled()["replicas"]["by_name"]["reader-0"]["process"]
    with case.asking() as failed:
        os.kill(before, signal.SIGKILL)
        case.teach(10)
        until = time.monotonic() + 120
        while case.settled()["replicas"]["by_name"]["reader-0"]["process"] == before:
            assert time.monotonic() < until
            time.sleep(0.1)
    assert not failed
    case.teach(10)
    case.assert_alike()


def kill_and_compare(case, kills):
    """Kill the writer at any moment, snapshots included, while rows are served and learnt."""
    rng, stop, wrong = np.random.default_rng(kills), threading.Event(), []

    def teach():
        try:
            while not stop.is_set():
                case.teach(int(rng.integers(1, 12)))
        except Exception as error:
            wrong.append(error)

    thread = threading.Thread(target=teach)
    with case.asking() as failed:
        thread.start()
        for wait in np.random.default_rng(kills).uniform(0.0, 0.7, kills):
            time.sleep(wait)
            old = case.service.ask("/health")["writer_process"]
            os.kill(old, signal.SIGKILL)
            case.back(old)
        stop.set()
        thread.join()
    assert not failed and not wrong  # predictions went on, each label was taken in the end
    case.settled()
    # what was served by an older state was learnt by what that had read: all is in the log
    copied = case.folder / f"copied-{case.turn}"
    shutil.copytree(case.state, copied)
    case.twin = Running(case.model, copied).model
    assert case.twin.counts["learnt"] == case.learnt  # each once
    case.assert_alike()


def test_a_writer_that_is_killed_loses_no_label_and_readers_go_on(case):
    kill_and_compare(case, kills=5)


@pytest.mark.slow
def test_a_writer_that_is_killed_often(case):
    kill_and_compare(case, kills=20)


def test_no_other_process_gets_the_store_and_it_is_as_any_other_afterwards(case):
    with pytest.raises(BlockingIOError, match="another service"):
        Running(case.model, case.state)
    second = Writer(str(case.model), {"state": str(case.state)}, pace=0.02, again=False)
    refused = second.opened(60.0)
    assert refused.kind == "OSError" and "another service" in refused.text
    case.settled()
    expected = case.service.ask("/predict", {"rows": PROBE})["scores"]
    assert case.service.stop() == -signal.SIGTERM
    assert "Traceback" not in case.service.said()
    one = Running(case.model, case.state)  # the same folder, in one process
    try:
        np.testing.assert_array_equal(np.float32(expected), one.model.predict(PROBE).scores)
        assert one.model.counts["learnt"] == case.learnt
        assert "0 events done again" in one.notes
    finally:
        one.end()


def test_ray_that_is_absent_is_told_in_one_line():
    code = "import absent; absent.hide('ray'); import sys; from reloop2_keras.__main__ "
    code += "import main; sys.exit(main(['serve', 'nowhere', '--ray']))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    said = run.stderr.decode().strip().splitlines()
    assert run.returncode == 2 and len(said) == 1
    assert "`serve --ray` needs the package ray" in said[0] and "reloop2[scale]" in said[0]


@pytest.mark.parametrize("option", [["--replicas", "2"], ["--pace-ms", "5"], ["--address", "auto"]])
def test_options_of_ray_without_it(option, capsys):
    assert main(["serve", "nowhere", *option]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and f"{option[0]}: expected --ray" in said[0]


def test_a_damaged_model_is_told_in_one_line(tmp_path):
    folder = shipped(tmp_path)
    (folder / "online.state").write_bytes(b"other")
    writer = Writer(str(folder), {}, pace=0.02, again=False)
    refused = writer.opened(60.0)
    assert refused.kind == "ValueError" and "expected sha256" in refused.text
    assert writer.work([]) == writer.health() == writer.news("a", None) == refused

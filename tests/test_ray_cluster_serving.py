"""A service on a cluster of two nodes: readers on both, a node that dies, two services at once."""

import os
import signal

import numpy as np
import pytest
from ray_nodes import Nodes, can_cover, covered_package, until

for needed in ("ray", "fastapi", "uvicorn", "prometheus_client", "onnxruntime", "onnx"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[scale,serve,onnx]'")

from served_model import labels, rows  # noqa: E402
from test_service_release import shipped  # noqa: E402

from reloop2_keras.service.process import ServiceProcess  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402

pytestmark = pytest.mark.slow
PROBE = rows(12, 4321)


@pytest.fixture
def nodes(monkeypatch):
    with Nodes() as made:
        made.second = made.add()
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            monkeypatch.delenv(name)
        for name, value in made.env.items():
            if name.startswith("RAY_"):
                monkeypatch.setenv(name, value)
        yield made


class Served:
    """A service on the cluster, and one process that is told the same."""

    def __init__(self, nodes, folder):
        folder.mkdir()
        self.model, self.turn = shipped(folder), 0
        words = ("--ray", "--replicas", "2", "--pace-ms", "20", "--address", nodes.address)
        self.service = ServiceProcess(
            self.model, *words, "--state", str(folder / "state"), seconds=120
        )
        self.twin = Running(self.model, folder / "twin").model

    def teach(self):
        self.turn += 1
        some = rows(10, self.turn)
        name = self.service.ask("/predict", {"rows": some})["id"]
        of = labels(some, self.turn)
        assert self.service.ask("/learn", {"ids": [name], "labels": [of]})["learnt"] == 10
        self.twin.learn(self.twin.predict(some).id, of)

    def health(self):
        return self.service.ask("/health")

    def settled(self):
        said = self.health()
        lag = said["staleness"]["readers"]
        whole = said["status"] == "ok" and said["replicas"]["serving"] == 2 == len(lag)
        return said if whole and not any(lag.values()) else None

    def readers(self):
        return {one["process"] for one in self.health()["replicas"]["by_name"].values()}

    def assert_alike(self):
        until(self.settled, self.health)
        expected = self.twin.predict(PROBE).scores
        for _ in range(4):
            found = self.service.ask("/predict", {"rows": PROBE})["scores"]
            np.testing.assert_array_equal(np.float32(found), expected)


def actors(nodes, run):
    return {n for n, name in nodes.workers(run).items() if "Reader" in name or "Writer" in name}


def test_two_services_do_not_mix_a_node_dies_and_one_ends(nodes, tmp_path):
    first, second = Served(nodes, tmp_path / "first"), Served(nodes, tmp_path / "second")
    with first.service, second.service:
        for _ in range(3):
            first.teach()
        second.teach()
        first.assert_alike()
        second.assert_alike()
        there = actors(nodes, nodes.second)
        for one in (first, second):
            assert len(one.readers() & there) == 1  # a reader on each node
            assert one.health()["writer_process"] in actors(nodes, nodes.head)

        failed, served = [], 0
        nodes.kill(nodes.second)
        before = first.readers()

        def asked():
            nonlocal served
            try:
                first.service.ask("/predict", {"rows": rows(1, served)})
                served += 1
            except OSError as error:
                failed.append(error)
            said = first.settled()
            return said and first.readers() != before

        until(asked, first.health)
        assert not failed and served > 5
        assert first.readers() <= actors(nodes, nodes.head)
        first.teach()
        first.assert_alike()
        second.assert_alike()

        second.service.kill()  # nothing of it stays, and the cluster does
        left = first.readers() | {first.health()["writer_process"]}
        until(lambda: actors(nodes, nodes.head) == left, lambda: nodes.workers(nodes.head))
        first.teach()
        first.assert_alike()
        assert first.service.stop() == -signal.SIGTERM
        until(lambda: not actors(nodes, nodes.head), lambda: nodes.workers(nodes.head))
        assert nodes.head.poll() is None and nodes.raylet(nodes.head)


def test_a_head_that_goes_away_ends_the_service_and_costs_no_label(nodes, tmp_path):
    one = Served(nodes, tmp_path / "one")
    with one.service:
        one.teach()
        one.assert_alike()
        nodes.kill(nodes.head)
        assert one.service.process.wait(90) == 1
        assert "Failed to connect to GCS" in one.service.said()
    alone = Running(one.model, tmp_path / "one" / "state")
    try:
        np.testing.assert_array_equal(
            alone.model.predict(PROBE).scores, one.twin.predict(PROBE).scores
        )
    finally:
        alone.end()


@pytest.mark.skipif(not can_cover(), reason="needs the right to mount: run as root")
def test_a_machine_that_cannot_make_a_reader_is_told(nodes, tmp_path):
    nodes.kill(nodes.second)
    (empty := tmp_path / "empty").mkdir()
    nodes.add(covered_package("reloop2_keras", empty))
    with pytest.raises(RuntimeError, match="No module named 'reloop2_keras.* on a machine of the"):
        Served(nodes, tmp_path / "served")
    until(lambda: not actors(nodes, nodes.head), lambda: nodes.workers(nodes.head))

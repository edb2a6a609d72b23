"""The client and the consumer of examples/: what is safe when they, or the service, are killed."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from served_model import labels, model, rows

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from client import Client  # noqa: E402
from consumer import FileQueue, consume  # noqa: E402


class Killed(BaseException):
    """Ends a loop as a kill does: nothing after it is done."""


class Fragile:
    """A model behind a client's `learn`, which ends at a call: before it, or after it."""

    def __init__(self, of, call=None, after=False):
        self.model, self.left, self.after = of, call, after

    def learn(self, ids, given):
        die = self.left == 0
        self.left = None if self.left is None else self.left - 1
        if die and not self.after:
            raise Killed
        answer = self.model.learn(ids, given)
        if die:
            raise Killed
        return answer


def assert_learnt_the_same(one, other):
    """Tables and rule equal to the bit; names of requests are drawn anew for each model."""
    (_, arrays), (_, others) = one.state(), other.state()
    names = [name for name in arrays if name.startswith("online/")]
    assert len(names) > 5
    for name in names:
        np.testing.assert_array_equal(arrays[name], others[name], err_msg=name)


def filled(path, of, count=40):
    """A queue of the labels of `count` requests."""
    some = rows(count, 3)
    for row, label in zip(some, labels(some, 3), strict=True):
        FileQueue(path).send({"id": of.predict([row]).id, "label": label})
    return path


@pytest.mark.parametrize("after", [False, True], ids=["before the learning", "before the commit"])
@pytest.mark.parametrize("call", range(8))
def test_a_consumer_that_is_killed_learns_each_label_once(tmp_path, call, after):
    never, killed = model(), model()
    consume(FileQueue(filled(tmp_path / "one", never)), Fragile(never), batch=5, once=True)
    path = filled(tmp_path / "two", killed)
    with pytest.raises(Killed):
        consume(FileQueue(path), Fragile(killed, call, after), batch=5, once=True)
    consume(FileQueue(path), Fragile(killed), batch=5, once=True)
    assert killed.counts["learnt"] == 40 and killed.unknown == (5 if after else 0)
    assert_learnt_the_same(killed, never)


def test_a_consumer_that_commits_first_would_lose_labels(tmp_path):
    killed = model()
    queue = FileQueue(filled(tmp_path / "queue", killed))
    queue.poll(5)
    queue.commit()  # what the loop must not do, shown by what comes of it
    consume(FileQueue(queue.path), Fragile(killed), batch=5, once=True)
    assert killed.counts["learnt"] == 35


def test_what_is_refused_is_put_aside_and_the_rest_is_learnt(tmp_path):
    served, path = model(), tmp_path / "queue"
    ids = [served.predict([row]).id for row in rows(3)]
    queue = FileQueue(path)
    queue.send({"id": ids[0], "label": 0})
    queue.send({"id": ids[1], "label": 7})
    queue.send(["no event"])
    queue.send({"id": ids[0], "label": 1})
    queue.send({"id": "nobody's", "label": 1})
    with open(path, "ab") as file:
        file.write(b"{no json\n" + json.dumps({"id": ids[2], "label": 1}).encode())  # half a line
    consume(queue, Fragile(served), once=True)
    aside = (tmp_path / "queue.refused").read_text().splitlines()
    refused = [json.loads(line) for line in aside]
    assert [entry["event"].strip() for entry in refused] == [
        json.dumps({"id": ids[1], "label": 7}),
        '["no event"]',
        "{no json",
    ]
    assert served.counts["learnt"] == 1  # the first id's: its second label came too late
    with open(path, "ab") as file:
        file.write(b"\n")
    consume(FileQueue(path), Fragile(served), once=True)
    assert served.counts["learnt"] == 2


def test_a_page_is_shown_where_no_service_is():
    scores, name = Client("http://127.0.0.1:9").predict(rows(2), otherwise=0.25)
    assert scores == [0.25, 0.25] and name is None


class Consumer:
    """examples/consumer.py in a process of its own; use it by `with`."""

    def __init__(self, path, url, *options):
        command = [sys.executable, ROOT / "examples" / "consumer.py", path, "--url", url]
        self.process = subprocess.Popen(
            [*map(str, command), "--batch", "5", *options], stderr=subprocess.PIPE, text=True
        )

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def committed(path, more_than):
    """Wait until a consumer has committed more, or all; returns how much."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (at := FileQueue(path).at) > more_than or at == path.stat().st_size:
            return at
        time.sleep(0.002)
    raise AssertionError("the consumer did not come on")


def test_consumer_and_service_are_killed_and_no_label_is_lost(tmp_path):
    for needed in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")
    from service_case import ship_tables

    from reloop2_keras.service.process import ServiceProcess

    folder, path, never = ship_tables(tmp_path / "model"), tmp_path / "queue", model(base=False)
    some, client = rows(300, 5), None
    given, twins, queue = labels(some, 5), [], FileQueue(path)
    with ServiceProcess(folder) as service:
        client = Client(service.url, seconds=20.0)
        for row, label in zip(some, given, strict=True):
            scores, name = client.predict([row])
            twin = never.predict([row])
            np.testing.assert_array_equal(np.float32(scores), twin.scores)
            twins.append(twin.id)
            queue.send({"id": name, "label": label})
        done = 0
        for _ in range(3):
            with Consumer(path, service.url):
                done = committed(path, done)
    with Consumer(path, service.url) as process:  # tries again until the service is back
        with ServiceProcess(folder, "--port", service.url.rpartition(":")[2]) as again:
            committed(path, path.stat().st_size - 1)
            assert process.poll() is None
            for first in range(0, 300, 5):
                never.learn(twins[first : first + 5], given[first : first + 5])
            probes = rows(6, 9)
            told = [again.ask("/explain", {"row": row}) for row in probes]
            assert told == [json.loads(json.dumps(never.explain(row))) for row in probes]


def test_a_wrong_token_ends_the_loop_and_nothing_is_lost(tmp_path):
    for needed in ("fastapi", "uvicorn", "prometheus_client"):
        pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")
    from service_case import ship_tables

    from reloop2_keras.service.process import ServiceProcess

    token = tmp_path / "token"
    token.write_text("secret\n")
    path = filled(tmp_path / "queue", model(), 3)
    with ServiceProcess(ship_tables(tmp_path / "model"), "--token-file", str(token)) as service:
        with Consumer(path, service.url, "--once") as process:
            assert process.wait(60) == 2 and "Bearer" in process.stderr.read()
        assert FileQueue(path).at == 0 and not Path(f"{path}.refused").exists()
        assert Client(service.url, "secret").learn(["unknown"], [1])["unknown"] == ["unknown"]

"""The short way answers what fits; all else goes the long way, whole."""

import json

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'reloop2[serve]'")

from asgi_client import Client, dumps  # noqa: E402
from served_model import labels, rows  # noqa: E402
from service_case import ship_tables  # noqa: E402

from reloop2_keras.service.app import made_app  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402


@pytest.fixture
def running(tmp_path):
    made = Running(ship_tables(tmp_path / "model"))
    yield made
    if made.store._model is not None:
        made.end()


@pytest.fixture
def way(running):
    """A client, and the paths that went the long way."""
    app, long = made_app(running, max_bytes=20_000), []
    inner = app.app.app

    async def noted(scope, receive, send):
        if scope["type"] == "http":
            long.append(scope["path"])
        await inner(scope, receive, send)

    app.app.app = noted
    with Client(app) as client:
        yield client, long


def parts_of(body, size=7):
    return [body[at : at + size] for at in range(0, len(body), size)]


def test_what_fits_is_answered_on_the_short_way_alone(way):
    client, long = way
    some = rows(3)
    body = dumps({"rows": some})
    for content in (body, parts_of(body)):
        answer = client.post("/predict", content=content)
        assert answer.status_code == 200 and len(answer.json()["scores"]) == 3
    learnt = client.post("/learn", json={"ids": [answer.json()["id"]], "labels": [labels(some)]})
    assert learnt.json() == {"learnt": 3, "retracted": 0, "unknown": []}
    assert not long
    assert 'route="/predict",status="200"} 2.0' in client.get("/metrics").text


def test_both_ways_give_the_same_scores(way, running):
    client, long = way
    running.model.learn_rows(rows(50), labels(rows(50)))
    many = {"rows": rows(40, seed=3)}
    short = client.post("/predict", json=many).json()["scores"]
    kind = {"content-type": "application/json; charset=utf-8"}
    assert client.post("/predict", json=many, headers=kind).json()["scores"] == short
    assert long == ["/predict"]


@pytest.mark.parametrize("whole", [True, False])
def test_what_does_not_fit_is_told_by_the_long_way(way, running, whole):
    client, long = way
    before = running.model.state()[0]
    wrong = [{"rows": [{"usr": 1}]}, {"rows": []}, {"rows": rows(1), "x": 1}]
    said = ["expected fields among", "at least 1 item", "Extra inputs"]
    for body, words in zip(wrong, said, strict=True):
        content = dumps(body) if whole else parts_of(dumps(body))
        answer = client.post("/predict", content=content)
        assert answer.status_code == 422 and words in answer.json()["error"]
    assert long == ["/predict"] * 3 and running.model.state()[0] == before
    assert client.post("/predict", content=parts_of(b"x" * 30_000, 900)).status_code == 413


def test_a_disk_that_was_full_and_has_room_again_answers(way, running, monkeypatch):
    client, long = way
    log, times = running.model.log, []

    def full_once(head, arrays):
        times.append(head["kind"])
        if len(times) == 1:
            raise OSError(28, "No space left on device")
        log(head, arrays)

    monkeypatch.setattr(running.model, "log", full_once)
    answer = client.post("/predict", json={"rows": rows(1)})
    assert answer.status_code == 200 and long == ["/predict"] and times == ["served"] * 2
    assert running.model.counts["requests"] == 1
    name = json.loads(answer.text)["id"]
    assert client.post("/learn", json={"ids": [name], "labels": [1]}).json()["learnt"] == 1


def test_what_is_as_deep_as_can_be_read_is_refused_on_both_ways(way):
    client, _ = way
    for path, body in (
        ("/predict", b'{"rows": [{"user": "a", "age": %b}]}'),
        ("/learn", b'{"ids": ["a"], "labels": [%b]}'),
        ("/explain", b'{"row": {"user": "a", "age": %b}}'),
    ):
        for depth in range(850, 1000):
            value = b'{"a":' * depth + b"1" + b"}" * depth
            answer = client.post(path, content=body % value)
            assert answer.status_code in (400, 422) and answer.json()["error"], depth

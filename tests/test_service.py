"""The service in process: each route, and what it says to requests that do not fit."""

import functools
import logging
import os
import sys

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'reloop2[serve]'")

from asgi_client import Client, dumps  # noqa: E402
from served_model import labels, rows  # noqa: E402
from service_case import ship_tables  # noqa: E402

from reloop2_keras.service.app import made_app  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402


@pytest.fixture
def running(tmp_path):
    made = Running(ship_tables(tmp_path / "model"), values=50)
    yield made
    if made.store._model is not None:
        made.end()


@pytest.fixture
def client(running):
    with Client(made_app(running, max_bytes=20_000)) as made:
        yield made


def test_predict_learn_and_look(client, running):
    for seed in range(5):
        some = rows(20, seed)
        answer = client.post("/predict", json={"rows": some})
        assert answer.status_code == 200 and len(answer.json()["scores"]) == 20
        body = {"ids": [answer.json()["id"]], "labels": [labels(some, seed)]}
        learnt = client.post("/learn", json=body).json()
        assert learnt == {"learnt": 20, "retracted": 0, "unknown": []}
    one = client.post("/predict", json={"rows": rows(1)}).json()["id"]
    assert client.post("/learn", json={"ids": [one, "x"], "labels": [1, 0]}).json() == {
        "learnt": 1,
        "retracted": 0,
        "unknown": ["x"],
    }
    said = client.post("/explain", json={"row": rows(1)[0]}).json()
    assert [table["fields"] for table in said["tables"]][:2] == [["user"], ["age"]]
    assert client.get("/moved", params={"seconds": 0}).json()["values"][0]["field"] == "user"
    body = {"rows": rows(3), "labels": [1, 0, 1]}
    assert client.post("/learn_rows", json=body).json() == {"learnt": 3}
    health = client.get("/health").json()
    assert health["status"] == "ok" and health["position"] == 13
    assert health["card"] == {"verdict": "made for a test"}
    text = client.get("/metrics").text
    assert 'reloop2_events_total{kind="learnt"} 104.0' in text
    assert 'reloop2_request_seconds_count{route="/predict",status="200"} 6.0' in text


def test_snapshot_and_rollback(client, running):
    before = client.post("/predict", json={"rows": rows(5)}).json()["scores"]
    number = client.post("/snapshot").json()["snapshot"]
    client.post("/learn_rows", json={"rows": rows(50), "labels": [1] * 50})
    assert client.post("/predict", json={"rows": rows(5)}).json()["scores"] != before
    assert client.post("/rollback", json={"number": number}).json()["snapshot"] == number
    assert client.post("/predict", json={"rows": rows(5)}).json()["scores"] == before


ROW = {"user": "u1", "age": 3}
MALFORMED = [
    ("/predict", b"", "body"),
    ("/predict", b"{", "expected JSON"),
    ("/predict", b"\xff\xfe", "expected JSON"),
    ("/predict", b"[" * 9000, ""),
    ("/predict", b"[]", "body"),
    ("/predict", b"null", "body"),
    ("/predict", {}, "rows: Field required"),
    ("/predict", {"rows": []}, "rows: List should have at least 1 item"),
    ("/predict", {"rows": {}}, "rows: Input should be a valid list"),
    ("/predict", {"rows": [1]}, "rows.0: Input should be a valid dictionary"),
    ("/predict", {"rows": [None]}, "rows.0"),
    ("/predict", {"rows": [ROW, []]}, "rows.1"),
    ("/predict", {"rows": [ROW], "x": 1}, "x: Extra inputs are not permitted"),
    ("/predict", {"rows": [{"usr": 1}]}, "row 0: expected fields among"),
    ("/predict", {"rows": [ROW, {"user": "a", "age": "old"}]}, "row 1"),
    ("/predict", {"rows": [{"user": "a", "age": "old"}]}, "field age"),
    ("/predict", {"rows": [{"user": [1], "age": 3}]}, "field user"),
    ("/predict", {"rows": [{"user": {}, "age": 3}]}, "field user"),
    ("/predict", b'{"rows": [{"user": "a", "age": 1e999}]}', "field age"),
    ("/predict", {"rows": [{**ROW, "click": 7}]}, "field click"),
    ("/predict", {"rows": [{**ROW, "click": 1}, ROW]}, "must all have a label"),
    ("/learn", {}, "ids: Field required"),
    ("/learn", {"ids": ["a"]}, "labels: Field required"),
    ("/learn", {"ids": [], "labels": []}, "ids: List should have at least 1 item"),
    ("/learn", {"ids": [3], "labels": [1]}, "ids.0: Input should be a valid string"),
    ("/learn", {"ids": "a", "labels": [1]}, "ids: Input should be a valid list"),
    ("/learn", {"ids": ["a"], "labels": [2]}, "labels.0"),
    ("/learn", {"ids": ["a"], "labels": [-1]}, "labels.0"),
    ("/learn", {"ids": ["a"], "labels": ["1"]}, "labels.0"),
    ("/learn", {"ids": ["a"], "labels": [0.5]}, "labels.0"),
    ("/learn", {"ids": ["a"], "labels": [None]}, "labels.0"),
    ("/learn", b'{"ids": ["a"], "labels": [NaN]}', "labels.0"),
    ("/learn", {"ids": ["a"], "labels": [[[1]]]}, "labels.0"),
    ("/learn", {"ids": ["a"], "labels": [1, 1]}, "`labels` must be 1"),
    ("/learn", {"ids": ["a", "a"], "labels": [1, 1]}, "`ids` must be distinct"),
    ("/learn_rows", {"rows": [ROW], "labels": [1, 0]}, "label"),
    ("/learn_rows", {"rows": [ROW], "labels": [True]}, "labels.0"),
    ("/learn_rows", {"rows": [{}], "labels": [3]}, "labels.0"),
    ("/explain", {"row": 3}, "row: Input should be a valid dictionary"),
    ("/explain", {"row": {"user": "u1", "age": "x"}}, "field age"),
    ("/explain", {"row": {"age": 3}}, "Not there: 'user'"),
    ("/predict", {"rows": [{}]}, "row 0: expected every field"),
    ("/predict", {"rows": [ROW, {"user": "u1"}]}, "row 1: expected every field"),
    ("/learn_rows", {"rows": [{"age": None}], "labels": [1]}, "Not there: 'user'"),
    ("/rollback", {"number": -1}, "number"),
    ("/rollback", {"number": 777}, "`number` must be among"),
    ("/release", {"path": "nowhere.onnx"}, "nowhere.onnx: not found"),
    ("/release", {"path": "x.txt"}, "expected a name that ends in"),
    ("/release", {"path": "a\0b.onnx"}, ""),
    ("/predict", b'{"rows": [{"user": "a", "age": 1' + b"0" * 400 + b"}]}", "field age"),
    ("/predict", b'{"rows": [{"user": "a", "age": 1' + b"0" * 5000 + b"}]}", ""),
    ("/predict", b'{"rows": [{"user": "\\ud800", "age": 3}]}', "row 0: field user: expected valid"),
    ("/learn_rows", b'{"rows": [{"user": "a\\udfff", "age": 3}], "labels": [1]}', "field user"),
    ("/predict", b'{"rows": [{"us\\ud800": "a", "age": 3}]}', "us"),
    ("/predict", b"", "body: expected JSON, found nothing"),
    ("/predict", b"{'rows': 1}", "body: expected JSON, found none: Expecting property name"),
    ("/predict", b'"rows"', "body: expected a JSON object, found 'rows'"),
    ("/predict", b"[" * 9000, "body: expected JSON of numbers and depth that can be read"),
    ("/learn", {"ids": ["a"], "labels": [7]}, "labels.0: expected 0 or 1, or a list of 0, 1 and"),
    ("/learn", {"ids": ["a"], "labels": [[0, 7]]}, "labels.0.1: expected 0, 1 or null, found 7"),
    ("/learn_rows", {"rows": [ROW], "labels": [7]}, "labels.0: expected 0 or 1, found 7"),
    ("/rollback", b'{"before": 1' + b"0" * 400 + b"}", "expected seconds since 1970"),
    ("/rollback", {"before": "soon"}, "'2026-11-26 14:00', found 'soon'"),
    ("/rollback", {"number": 0, "before": 5}, "not both"),
    ("/rollback", {}, "nothing was learnt since"),
    ("/rollback", b"", "nothing was learnt since"),
    ("/learn", b'{"ids": ["\\ud800", "\\ud800"], "labels": [1, 1]}', "`ids` must be distinct"),
]


@pytest.mark.parametrize("place", range(len(MALFORMED)))
def test_malformed_requests_get_a_clear_answer(client, running, place, caplog, request):
    path, body, said = MALFORMED[place]
    # Libraries that other tests import raise it, and then deep JSON is refused in other words.
    request.addfinalizer(functools.partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(1000)
    before = running.model.state()[0]
    content = body if isinstance(body, bytes) else dumps(body)
    with caplog.at_level(logging.ERROR):
        answer = client.post(path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 404, 422), answer.text
    assert said in answer.json()["error"]
    assert "Traceback" not in answer.text and not caplog.records
    assert running.model.state()[0] == before


def test_a_page_of_another_site_cannot_post(client):
    """Browsers send text/plain to any address without asking; JSON they ask about first."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        body = b'{"rows": [{"user": "u1", "age": 3}]}'
        answer = client.post("/predict", content=body, headers={"content-type": kind})
        assert answer.status_code == 415 and kind in answer.json()["error"]


def test_a_content_type_that_lacks_is_told(client):
    answer = client._ask("POST", "/predict", "", {}, [b'{"rows": []}'])
    assert answer.status_code == 415
    assert answer.json()["error"] == "header Content-Type: expected application/json, found none"


def test_a_rollback_without_a_body_takes_the_newest(client, running):
    client.post("/learn_rows", json={"rows": rows(5), "labels": [1] * 5})
    number = client.post("/snapshot").json()["snapshot"]
    client.post("/learn_rows", json={"rows": rows(5), "labels": [1] * 5})
    assert client._ask("POST", "/rollback", "", {}, [b""]).json()["snapshot"] == number
    listed = client.get("/snapshots").json()["snapshots"]
    assert [row["why"] for row in listed] == [
        "shipped",
        "",
        "before a rollback",
        "after a rollback",
    ]
    assert all(row["whole"] for row in listed)
    assert client.get("/snapshots", params={"again": "true"}).json()["snapshots"] == listed
    newest = client.get("/health").json()["newest_snapshot"]
    assert newest["number"] == listed[-1]["number"] and newest["time"] == listed[-1]["time"]
    left = listed[2]["number"]
    assert client.post("/rollback", json={"number": left}).json()["snapshot"] == left
    soon = {"before": "2100-01-01 00:00"}
    assert client.post("/rollback", json=soon).json()["snapshot"] == listed[-1]["number"] + 1
    assert client.post("/rollback", json={"number": 0}).json()["snapshot"] == 0


def test_other_refusals(client):
    assert client.get("/docs").status_code == 404
    assert client.get("/nowhere").json() == {"error": "Not Found"}
    assert client.get("/predict").status_code == 405
    assert client.get("/moved", params={"seconds": "soon"}).json()["fields"][0]["field"]
    large = client.post("/predict", content=b"x" * 30_000)
    assert large.status_code == 413 and "at most 20000 bytes" in large.json()["error"]

    def chunks():
        yield from [b"x" * 9_000] * 4

    assert client.post("/predict", content=chunks()).status_code == 413
    text = client.get("/metrics").text
    assert 'route="other",status="404"' in text


def test_lenient_takes_what_lacks_as_missing_and_counts_it(tmp_path):
    running = Running(ship_tables(tmp_path / "model"), strict=False)
    with Client(made_app(running)) as client:
        rows_ = [{"user": "u1", "x": 1}, {}, {"age": None, "user": "u2", "x": 2}]
        got = client.post("/predict", json={"rows": rows_}).json()["scores"]
        whole = [{"user": "u1", "age": None}, {"user": None, "age": None}, rows_[2]]
        assert client.post("/predict", json={"rows": whole}).json()["scores"] == got
        text = client.get("/metrics").text
    assert 'reloop2_lacking_total{field="age"} 2.0' in text
    assert 'reloop2_lacking_total{field="user"} 1.0' in text
    assert "reloop2_ignored_total 3.0" in text


def test_unknown_names_do_not_fill_the_memory(tmp_path):
    running = Running(ship_tables(tmp_path / "model"), strict=False)
    for number in range(3000):
        running.model.predict([{**ROW, f"made up {number}": 1}])
    assert len(running.model.encoder.ignored) <= 1001
    assert sum(running.model.encoder.ignored.values()) == 3000
    running.end()


def test_another_label_is_told(client):
    name = client.post("/predict", json={"rows": rows(1)}).json()["id"]
    client.post("/learn", json={"ids": [name], "labels": [0]})
    said = client.post("/learn", json={"ids": [name], "labels": [1]}).json()
    assert said["conflicts"] == [{"id": name, "row": 0, "learnt": 0, "given": 1}]
    assert "learnt already with another label" in said["note"] and said["unknown"] == []
    assert 'reloop2_events_total{kind="conflicts"} 1.0' in client.get("/metrics").text


def test_a_token(running):
    with Client(made_app(running, token="secret")) as client:
        assert client.get("/health").status_code == 200
        for headers in ({}, {"Authorization": "Bearer secre"}, {"Authorization": "secret"}):
            answer = client.post("/predict", json={"rows": rows(1)}, headers=headers)
            assert answer.status_code == 401 and "Authorization" in answer.json()["error"]
        headers = {"Authorization": "Bearer secret"}
        answer = client.post("/predict", json={"rows": rows(1)}, headers=headers)
        assert answer.status_code == 200


def test_what_nobody_foresaw_is_one_line_and_a_full_disk_is_503(client, running, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(running.model, "explain", broken)
    answer = client.post("/explain", json={"row": ROW})
    assert answer.status_code == 500 and "inside" not in answer.text

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(running.store._log, "append", full)
    monkeypatch.setattr(running.model, "log", full)
    answer = client.post("/learn_rows", json={"rows": [ROW], "labels": [1]})
    assert answer.status_code == 503 and "No space left" in answer.json()["error"]


def test_the_end_writes_a_last_snapshot(tmp_path):
    folder = ship_tables(tmp_path / "model")
    running = Running(folder)
    with Client(made_app(running)) as client:
        waiting = client.post("/predict", json={"rows": rows(2)}).json()["id"]
        position = running.store.position
    assert (running.state / f"snapshot-{position:015}.state").exists()
    assert running.state.parent == tmp_path / "model-state"
    again = Running(folder)
    with Client(made_app(again)) as client:
        body = {"ids": [waiting], "labels": [[1, 0]]}
        assert client.post("/learn", json=body).json()["learnt"] == 2
    assert again.store.notes[0].endswith(f"{position:015}.state")


def test_a_shipped_model_that_is_damaged_is_told(tmp_path):
    folder = ship_tables(tmp_path / "model")
    for name in ("online.state", "encoder.parquet"):
        path = folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ValueError, match=f"{name}: expected sha256"):
            Running(folder)
        path.write_bytes(whole)
    os.remove(folder / "online.state")
    with pytest.raises(FileNotFoundError, match="online.state"):
        Running(folder)
    (tmp_path / "other").mkdir()
    with pytest.raises(ValueError, match="expected a shipped model to replace"):
        ship_tables(tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="model.json"):
        Running(tmp_path / "other")

"""What the service and its commands say, in words that can be acted on."""

import types

import pytest

for needed in ("fastapi", "prometheus_client"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")

from asgi_client import Client  # noqa: E402
from served_model import Formula, labels, model, rows  # noqa: E402
from service_case import ship_tables  # noqa: E402

from reloop2_keras.core.serving.file_rows import open_rows  # noqa: E402
from reloop2_keras.service import command  # noqa: E402
from reloop2_keras.service.app import made_app  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402


def test_going_back_twice_is_not_going_on():
    served = model()
    served.release(Formula(1.0), "second", rows=0)
    assert served.previous == "first"
    served.release(Formula(), "first", rows=0, back=True)
    assert (served.base_name, served.previous) == ("first", "")


def test_a_rollback_says_which_moment_and_how_to_take_it_back(tmp_path):
    running = Running(ship_tables(tmp_path / "model"))
    with Client(made_app(running)) as client:
        some = rows(20)
        client.post("/learn_rows", json={"rows": some, "labels": labels(some)})
        answer = client.post("/rollback", json={"before": "1999-01-02 10:00"})
        assert answer.status_code == 422 and "Received: 1999-01-02 10:00:00" in answer.text
        answer = client.post("/rollback", json={"before": "2099-01-02 10:00+00:00"}).json()
        assert answer["snapshot"] == 0 and answer["before"].startswith("2099-01-0")
        kept = {one["number"]: one for one in client.get("/snapshots").json()["snapshots"]}
        assert kept[answer["left"]]["why"] == "before a rollback"
        assert client.post("/rollback", json={"number": answer["left"]}).status_code == 200
        assert running.model.counts["learnt"] == 20
        body = {"rows": [some[0], {"user": "u1", "age": "x"}]}
        found = client.post("/predict", json=body).json()["fields"]
        assert [one["field"] for one in found] == ["rows.1.age"]
        found = client.post("/predict", json={"rows": [{"user": "u1"}]}).json()["fields"]
        assert [one["field"] for one in found] == ["rows.0"]
        client.post("/predict", json={"rows": [{"user": None, "age": 20}]})
        texts = [one["text"] for one in client.get("/moved").json()["values"]]
        assert None in texts and "None" not in texts


def test_release_without_a_service_says_so_in_one_line(tmp_path):
    path = tmp_path / "base.onnx"
    path.write_bytes(b"x")
    args = {"file": path, "url": "http://127.0.0.1:9", "token_file": None, "back": False}
    with pytest.raises(OSError, match="127.0.0.1:9: no service answers there: is it running?"):
        command.release(types.SimpleNamespace(**args, rows=9, same_vocabulary=False))


def test_json_lines_are_refused_by_name(tmp_path):
    for name in ("day.jsonl", "day.ndjson.gz"):
        (tmp_path / name).write_text('{"user": 1}\n')
        with pytest.raises(ValueError, match="expected CSV, delimited text or Parquet"):
            open_rows(tmp_path / name)

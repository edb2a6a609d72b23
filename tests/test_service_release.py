"""A base is swapped while requests come: none fails, tables and rule go on."""

import json
import threading
import types
import zipfile

import numpy as np
import pytest

for needed in ("fastapi", "onnxruntime", "onnx"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve,onnx]'")

from asgi_client import Client  # noqa: E402
from served_model import FIELDS, encoder, labels, rows  # noqa: E402

from reloop2_keras.core.online import Online  # noqa: E402
from reloop2_keras.core.serving import ship  # noqa: E402
from reloop2_keras.core.serving.onnx_file import export_neutral  # noqa: E402
from reloop2_keras.core.weight_shapes import weight_shapes  # noqa: E402
from reloop2_keras.service import command  # noqa: E402
from reloop2_keras.service.app import made_app  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402


def base(path, seed, fields=FIELDS):
    rng = np.random.default_rng(seed)
    config = {"fields": fields, "embedding_dim": 2, "hidden_units": [4]}
    described = {"class": "DeepFM", "config": config}
    shapes = weight_shapes(described)
    arrays = {name: rng.normal(0, 0.3, shape).astype("float32") for name, shape in shapes.items()}
    export_neutral(described, arrays, path)
    return path


def shipped(folder):
    online = Online(2, ["frozen"], bits=6, block_rows=32)
    return ship(folder / "model", online, encoder(), base(folder / "first.onnx", 1))


def test_release_while_requests_come(tmp_path):
    running = Running(shipped(tmp_path))
    second = base(tmp_path / "second.onnx", 2)
    stop, failed, served = threading.Event(), [], [0]

    def ask():
        while not stop.is_set():
            try:
                prediction = running.model.predict(rows(3, served[0]))
                running.model.learn(prediction.id, labels(rows(3, served[0])))
                served[0] += 1
            except Exception as error:
                failed.append(error)

    with Client(made_app(running)) as client:
        waiting = client.post("/predict", json={"rows": rows(4)}).json()
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for path in (second, tmp_path / "first.onnx", second):
            answer = client.post("/release", json={"path": str(path), "same_vocabulary": True})
            assert answer.status_code == 200, answer.text
        stop.set()
        for thread in threads:
            thread.join()
        assert not failed and served[0]
        name = answer.json()["base"]
        assert client.get("/health").json()["base"] == name
        body = {"ids": [waiting["id"]], "labels": [[1, 0, 0, 1]]}
        assert client.post("/learn", json=body).json()["learnt"] == 4
        scores = client.post("/predict", json={"rows": rows(5)}).json()["scores"]
    again = Running(tmp_path / "model")
    with Client(made_app(again)) as client:
        assert client.get("/health").json()["base"] == name
        assert client.post("/predict", json={"rows": rows(5)}).json()["scores"] == scores


def test_a_base_that_does_not_fit_leaves_the_old_one(tmp_path):
    running = Running(shipped(tmp_path))
    other = base(tmp_path / "other.onnx", 3, FIELDS[:1])
    grown = [{**FIELDS[0], "cardinality": 9}, {**FIELDS[1], "offset": 9}]
    wider = base(tmp_path / "wider.onnx", 3, grown)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(other.read_bytes()[:-5])
    with Client(made_app(running)) as client:
        before = client.post("/predict", json={"rows": rows(5)}).json()["scores"]
        for path in (other, wider, damaged, tmp_path / "none.onnx"):
            answer = client.post("/release", json={"path": str(path), "same_vocabulary": True})
            assert answer.status_code in (404, 422), answer.text
            assert answer.json()["error"]
        assert client.post("/predict", json={"rows": rows(5)}).json()["scores"] == before
        assert client.get("/health").json()["base"] == "base.onnx"


def test_the_command_takes_a_shipped_model_and_needs_a_base(tmp_path):
    arguments = {"url": "http://127.0.0.1:9", "token_file": None, "back": False, "rows": 9}
    arguments["same_vocabulary"] = False
    with pytest.raises(OSError, match="not found. Expected a model"):
        command.release(types.SimpleNamespace(file=tmp_path, **arguments))
    with pytest.raises(OSError, match="refused"):
        command.release(types.SimpleNamespace(file=shipped(tmp_path), **arguments))


def test_releases_at_once_leave_the_files_that_the_state_names(tmp_path):
    running = Running(shipped(tmp_path))
    files = [base(tmp_path / f"{seed}.onnx", seed) for seed in (2, 3, 4)]
    failed = []

    def release(first):
        for number in range(25):
            try:
                path = files[(first + number) % 3]
                running.release(path, rows=0, same_vocabulary=True)
                running.back()
            except Exception as error:
                if "`back` must come after a release" in str(error):
                    continue  # another thread has gone back already
                failed.append(error)

    threads = [threading.Thread(target=release, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for name in filter(None, (running.model.base_name, running.model.previous)):
        assert running._files.path(name).is_file()
    running.store.close()


@pytest.mark.parametrize("damage", ["bit", "empty", "class"])
def test_a_keras_file_that_is_damaged_is_refused(tmp_path, damage):
    keras = pytest.importorskip("keras")
    path = tmp_path / "mine.keras"
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(path)
    data = bytearray(path.read_bytes())
    if damage == "bit":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        about = {"class_name": "Nothing", "module": "no.where", "config": {}}
        with zipfile.ZipFile(path, "w") as file:
            if damage == "class":
                file.writestr("config.json", json.dumps(about))
                file.writestr("metadata.json", "{}")
    running = Running(shipped(tmp_path))
    with Client(made_app(running)) as client:
        answer = client.post("/release", json={"path": str(path)})
        assert answer.status_code == 422 and str(path) in answer.json()["error"]
        assert client.get("/health").json()["base"] == "base.onnx"

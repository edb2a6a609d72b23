"""A base is released over the ids that it was trained on, or not at all."""

import shutil

import numpy as np
import pytest

for needed in ("fastapi", "onnxruntime", "onnx"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve,onnx]'")

from asgi_client import Client  # noqa: E402
from served_model import FIELDS, USERS, encoder, labels, rows  # noqa: E402
from test_service_release import base, shipped  # noqa: E402

from reloop2_keras.core.online import Online  # noqa: E402
from reloop2_keras.core.serving import ship  # noqa: E402
from reloop2_keras.core.serving.onnx_file import export_neutral  # noqa: E402
from reloop2_keras.core.serving.same_ids import encoder_mark  # noqa: E402
from reloop2_keras.core.weight_shapes import weight_shapes  # noqa: E402
from reloop2_keras.service.app import made_app  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402

SWAPPED = [USERS[1], USERS[0], *USERS[2:5], "u99"]
LOUDER = [FIELDS[0], {**FIELDS[1], "maximum": 60.0}]


def model_of(folder, name, made, seed):
    """Ship a base and an encoder of its own."""
    online = Online(2, ["frozen"], bits=6, block_rows=32)
    return ship(folder / name, online, made, base(folder / f"{name}.onnx", seed))


def marked(path, mark, seed=5):
    config = {"fields": FIELDS, "embedding_dim": 2, "hidden_units": [4]}
    described = {"class": "DeepFM", "config": config}
    shapes = weight_shapes(described)
    arrays = {name: np.full(shape, seed / 100, "float32") for name, shape in shapes.items()}
    export_neutral(described, arrays, path, encoder_mark=mark)
    return path


@pytest.fixture
def client(tmp_path):
    with Client(made_app(Running(shipped(tmp_path)))) as made:
        yield made


def test_a_base_of_other_ids_is_refused_by_field_and_count(tmp_path, client):
    before = client.post("/predict", json={"rows": rows(5)}).json()["scores"]
    other = model_of(tmp_path, "swapped", encoder(SWAPPED), 2)
    louder = model_of(tmp_path, "louder", encoder(fields=LOUDER), 3)
    for path, said in (
        (other, "field 'user': 3 of 6 values have another id or none, 1 are new"),
        (other / "base.onnx", "field 'user': 3 of 6 values have another id or none, 1 are new"),
        (louder, "field 'age' is scaled otherwise"),
    ):
        for word in (False, True):  # what is known to be another one is taken on nobody's word
            body = {"path": str(path), "same_vocabulary": word}
            answer = client.post("/release", json=body)
            assert answer.status_code == 422 and said in answer.json()["error"]
            assert "\n" not in answer.json()["error"]
    assert client.post("/predict", json={"rows": rows(5)}).json()["scores"] == before
    assert client.get("/health").json()["base"] == "base.onnx"


def test_a_base_of_the_same_ids_is_taken_as_a_folder_or_its_file(tmp_path, client):
    same = model_of(tmp_path, "same", encoder(), 2)
    again = model_of(tmp_path, "again", encoder(), 3)
    for path in (same, again / "base.onnx"):
        answer = client.post("/release", json={"path": str(path)})
        assert answer.status_code == 200, answer.text


def test_a_file_says_it_by_itself_or_somebody_must(tmp_path, client):
    bare = base(tmp_path / "bare.onnx", 4)
    answer = client.post("/release", json={"path": str(bare)})
    assert answer.status_code == 422 and "--same-vocabulary" in answer.json()["error"]
    body = {"path": str(bare), "same_vocabulary": True}
    assert client.post("/release", json=body).status_code == 200
    right = marked(tmp_path / "right.onnx", encoder_mark(encoder()))
    assert client.post("/release", json={"path": str(right)}).status_code == 200
    wrong = marked(tmp_path / "wrong.onnx", encoder_mark(encoder(SWAPPED)), 6)
    body = {"path": str(wrong), "same_vocabulary": True}
    answer = client.post("/release", json=body)
    assert answer.status_code == 422 and "of checksum" in answer.json()["error"]


def test_a_file_that_lies_beside_a_model_by_chance_is_not_its_base(tmp_path, client):
    same = model_of(tmp_path, "same", encoder(), 2)
    shutil.copy(base(tmp_path / "other.onnx", 8), same / "newer.onnx")
    answer = client.post("/release", json={"path": str(same / "newer.onnx")})
    assert answer.status_code == 422 and "--same-vocabulary" in answer.json()["error"]


def test_the_recipe_of_docs_for_newer_rows_and_the_old_ids(tmp_path, client):
    from reloop2_keras import DeepFM
    from reloop2_keras.core.encoder import Encoder
    from reloop2_keras.models.onnx_export import export_onnx

    old = Encoder.load(tmp_path / "model" / "encoder.parquet")
    newer = [{**row, "click": label} for row, label in zip(rows(64), labels(rows(64)), strict=True)]
    arrays = old.encode(newer)
    inputs = {name: arrays[name] for name in ("feature_ids", "feature_values")}
    trained = DeepFM(old.fields, embedding_dim=2, hidden_units=(4,))
    trained.compile("adam", "binary_crossentropy")
    trained.fit(inputs, arrays["label"], batch_size=32, verbose=0)
    export_onnx(trained, tmp_path / "new.onnx", encoder=old)
    answer = client.post("/release", json={"path": str(tmp_path / "new.onnx")})
    assert answer.status_code == 200, answer.text

"""A .keras file that claims more than it holds is refused before anything is unpacked."""

import json
import re
import tracemalloc
import zipfile

import pytest

from reloop2_keras.core import keras_seal
from reloop2_keras.core.keras_file import check_keras_file
from reloop2_keras.core.keras_seal import check_keras_seal, seal_keras_file, with_keras_seal

WEIGHTS = b"\x89HDF" + bytes(4000)
DEEPFM = {"fields": [{"cardinality": 20}], "embedding_dim": 4, "hidden_units": [4]}


def node(name, config):
    return {"registered_name": f"reloop2>{name}", "config": config, "build_config": {}}


def written(path, config=None, packed=(), **entries):
    """Write a file as Keras does; `entries` change it, None leaves one out."""
    model = node("ReLoop2", {"base": node("DeepFM", DEEPFM), "memory": []})
    held = {
        "metadata.json": b"{}",
        "config.json": json.dumps(model if config is None else config).encode(),
        "model.weights.h5": WEIGHTS,
        **{name.replace("__", "/").replace("_json", ".json"): c for name, c in entries.items()},
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, content in held.items():
            if content is not None:
                kind = zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED
                file.writestr(zipfile.ZipInfo(name), content, kind)
    return path


def field(size):
    return node("DeepFM", {**DEEPFM, "fields": [{"cardinality": size}]})


WRONG = {
    "table of 2^38 rows": ({"config": field(2**38)}, "expected a DeepFM of at most 4,004 bytes"),
    "rows of text": ({"config": field("many")}, "whole `cardinality`"),
    "2^60 buckets": (
        {"config": [node("FeatureErrorMemory", {"num_bits": 60})]},
        "expected a FeatureErrorMemory of at most",
    ),
    "10^9 bits": (
        {"config": node("SketchErrorMemory", {"num_arrays": 1, "num_bits": 10**9})},
        "bits",
    ),
    "bits -1": ({"config": node("FeatureErrorMemory", {"num_bits": -1})}, "`num_bits` must be"),
    "capacity 2^40": (
        {"config": {"deep": [node("ExactErrorMemory", {"capacity": 2**40})]}},
        "expected a ExactErrorMemory",
    ),
    "10^12 ids": (
        {"config": node("FieldEmbedding", {"num_ids": 10**12, "embedding_dim": 1})},
        "expected a FieldEmbedding",
    ),
    "packed weights": (
        {"packed": ["model.weights.h5"], "model.weights.h5": bytes(10**6)},
        "not packed, found 1,000,000 bytes in",
    ),
    "no weights": ({"model.weights.h5": None}, "model.weights.h5: expected such an entry"),
    "no config": ({"config_json": None}, "config.json: expected such an entry"),
    "no JSON": ({"config_json": b"{"}, "expected a .keras file"),
    "no UTF-8": ({"config_json": b"\xff"}, "expected a .keras file"),
    "nested without end": ({"config_json": b"[" * 10**5}, "expected a .keras file"),
    "a name outside": ({"..__secret": b"x"}, "expected a name inside the file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_file_claims_is_compared_with_what_it_holds(case, tmp_path):
    change, message = WRONG[case]
    path = written(tmp_path / "model.keras", **change)
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        check_keras_file(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_config_of_a_gigabyte_and_a_half_is_not_unpacked(tmp_path):
    path = tmp_path / "model.keras"
    block = b" " * (1 << 20)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("config.json", "w") as part:
            for _ in range(1500):
                part.write(block)
        file.writestr("metadata.json", "{}")
        file.writestr(zipfile.ZipInfo("model.weights.h5"), WEIGHTS)
    assert path.stat().st_size < 2 << 20
    tracemalloc.start()
    with pytest.raises(ValueError, match="config.json: expected at most 67,108,864 bytes"):
        check_keras_file(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_what_keras_writes_is_taken_and_what_is_none_is_named(tmp_path):
    assert check_keras_file(written(tmp_path / "model.keras")).name == "model.keras"
    with pytest.raises(FileNotFoundError, match="none.keras: not found"):
        check_keras_file(tmp_path / "none.keras")
    (tmp_path / "text.keras").write_text("text")
    with pytest.raises(ValueError, match="found another one, or a part of one"):
        check_keras_file(tmp_path / "text.keras")


def test_every_flipped_bit_of_a_sealed_file_is_refused_but_those_that_unseal_it(tmp_path):
    path = written(tmp_path / "model.keras")
    assert not check_keras_seal(path)
    seal_keras_file(path)
    whole = path.read_bytes()
    assert check_keras_seal(path) and check_keras_file(path) == path
    unsealed = 0
    for at in [*range(0, len(whole), 37), *range(len(whole) - 130, len(whole))]:
        data = bytearray(whole)
        data[at] ^= 1 << at % 8
        path.write_bytes(data)
        try:
            assert not check_keras_seal(path)  # the line's first words: no other byte is touched
            assert len(whole) - 96 < at
            unsealed += 1
        except ValueError as error:
            assert str(error).startswith(f"{path}: expected ")
    assert 0 < unsealed < 20


def test_a_part_of_the_line_another_schema_and_another_comment_are_told(tmp_path, monkeypatch):
    path = written(tmp_path / "model.keras")
    plain = path.read_bytes()
    with pytest.raises(ValueError, match=f"{path}: expected schema and checksum at its end"):
        check_keras_seal(path, needed=True)
    seal_keras_file(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        assert file.comment.startswith(b"reloop2 schema 1 sha256 ")
    for cut in range(1, 70):
        path.write_bytes(whole[:-cut])
        with pytest.raises(ValueError, match=f"{path}: expected schema and checksum at its end"):
            check_keras_file(path)
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="expected an archive without a comment"):
        seal_keras_file(path)
    path.write_bytes(plain)
    with monkeypatch.context() as patch:
        patch.setattr(keras_seal, "SCHEMA", 2)
        seal_keras_file(path)
    with pytest.raises(ValueError, match=f"{path}: expected schema 1, found 2"):
        check_keras_file(path)


def test_weights_are_sealed_alike_in_memory_and_in_a_file(tmp_path):
    path = tmp_path / "m.weights.h5"
    path.write_bytes(WEIGHTS)
    seal_keras_file(path)
    assert path.read_bytes() == with_keras_seal(WEIGHTS)

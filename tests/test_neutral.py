"""Neutral files: every kind of model, and none believed that is damaged or edited."""

import json
import struct
import zipfile

import keras
import numpy as np
import pytest
from neutral_edits import EDITS

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    ReLoop2,
    SketchErrorMemory,
)
from reloop2_keras.core.weight_shapes import weight_shapes
from reloop2_keras.models import neutral

pytestmark = pytest.mark.backend


def batch(seed=0, rows=60):
    rng = np.random.default_rng(seed)
    ids = (rng.integers(0, 10, (rows, 3)) + [0, 10, 20]).astype("int32")
    return {
        "feature_ids": ids,
        "feature_values": rng.random((rows, 3), "float32"),
        "feature_hashes": ids * np.int32(40503),
    }, rng.integers(0, 2, rows)


def make(kind="gated"):
    keras.utils.set_random_seed(1)
    base = DeepFM([10, 10, 10], 4, (8, 6), initializer_stddev=0.5)
    base.build()
    if kind == "base":
        return base
    exact = ExactErrorMemory(50, 5, key_normalization="none")
    if kind == "paper":
        model = ReLoop2(base, SketchErrorMemory(5, 4), 0.6, 0.7, key="embedding")
    else:
        feature = FeatureErrorMemory(6, fields=[0, 1], crosses=[[0, 2]], residual="corrected")
        memories = [feature, SketchErrorMemory(4, 3, key_normalization="whiten"), exact]
        model = ReLoop2(base, memories, key=["hidden", "hidden", "embedding"], gate=True)
    model.adapt([batch()[0]])
    model.observe(*batch(1))
    return model


@pytest.fixture(scope="module")
def dumped(tmp_path_factory):
    path = tmp_path_factory.mktemp("neutral") / "gated.npz"
    neutral.dump(make(), path)
    return path


def content(path):
    with np.load(path) as file:
        arrays = dict(file)
    return json.loads(arrays.pop("description").tobytes()), arrays


def written(path, described, arrays):
    text = np.frombuffer(json.dumps(described).encode(), "uint8")
    np.savez(path, description=text, **arrays)
    return path


@pytest.mark.parametrize("kind", ["base", "paper", "gated"])
def test_a_model_comes_back_whole_and_learns_on(kind, tmp_path):
    model = make(kind)
    neutral.dump(model, tmp_path / "m.npz")
    described, arrays = content(tmp_path / "m.npz")
    assert weight_shapes(described["model"]) == {name: a.shape for name, a in arrays.items()}
    again = neutral.load(tmp_path / "m.npz")
    x, y = batch(2)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    if kind != "base":
        for one in (model, again):
            one.observe(x, y)
        for a, b in zip(model.memories, again.memories, strict=True):
            for name, array in a.core.state().items():
                np.testing.assert_array_equal(array, b.core.state()[name], err_msg=name)
    neutral.dump(again, tmp_path / "again.npz")
    neutral.dump(model, tmp_path / "m.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "m.npz").read_bytes()


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_file_is_refused_in_one_line_by_name(edit, dumped, tmp_path, capsys):
    described, arrays = content(dumped)
    message = edit(described, arrays)
    path = written(tmp_path / "edited.npz", described, arrays)
    with pytest.raises(ValueError, match=message) as raised:
        neutral.load(path)
    assert str(path) in str(raised.value)
    assert neutral.main(["load", str(path), str(tmp_path / "out.keras")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("neutral: ") and str(path) in said
    assert not (tmp_path / "out.keras").exists()


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    place = data.index(b"deep_logit/kernel.npy") + 180
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def header_of_another_shape(data):
    place = data.index(b"'shape': (30, 4)")
    return data[:place] + b"'shape': (90, 4)" + data[place + 16 :]


def nothing(_):
    return b""


def another_file(_):
    return b"no zip at all"


@pytest.mark.parametrize("damage", [cut, flipped, header_of_another_shape, nothing, another_file])
def test_a_broken_zip_is_refused(damage, dumped, tmp_path, capsys):
    path = tmp_path / "broken.npz"
    path.write_bytes(damage(dumped.read_bytes()))
    assert neutral.main(["load", str(path), str(tmp_path / "out.keras")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{path}: expected a neutral .npz file" in said


def test_compressed_arrays_are_refused_before_they_are_unpacked(dumped, tmp_path):
    described, arrays = content(dumped)
    text = np.frombuffer(json.dumps(described).encode(), "uint8")
    np.savez_compressed(tmp_path / "bomb.npz", description=text, **arrays)
    with pytest.raises(ValueError, match="expected an uncompressed array"):
        neutral.load(tmp_path / "bomb.npz")


def test_a_header_that_claims_terabytes_is_refused(dumped, tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (274877906944, 4), }"
    header = header.ljust(128 - 11) + b"\n"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    path = tmp_path / "claims.npz"
    with zipfile.ZipFile(dumped) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            huge = name == "base/field_embedding/embeddings.npy"
            target.writestr(name, member if huge else source.read(name))
    with pytest.raises(ValueError, match="its header says .274877906944, 4."):
        neutral.load(path)


def test_what_cannot_be_dumped_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"m.txt: expected a name that ends in .npz"):
        neutral.dump(make("base"), tmp_path / "m.txt")
    with pytest.raises(ValueError, match="expected a model that is built"):
        neutral.dump(DeepFM([3, 4]), tmp_path / "m.npz")
    model = make("base")
    model.deep_logit.bias.assign([np.inf])
    with pytest.raises(ValueError, match="deep_logit/bias: expected finite numbers"):
        neutral.dump(model, tmp_path / "m.npz")
    with pytest.raises(ValueError, match="expected a DeepFM"):
        neutral.dump(keras.Sequential([keras.layers.Dense(1)]), tmp_path / "m.npz")
    assert not any(tmp_path.iterdir())


def test_weights_of_half_precision_are_kept_as_float32(tmp_path):
    keras.utils.set_random_seed(1)
    model = DeepFM([10, 10, 10], 4, (8, 6), initializer_stddev=0.5, dtype="bfloat16")
    model.build()
    neutral.dump(model, tmp_path / "m.npz")
    kernel = neutral.load(tmp_path / "m.npz").hidden_layers[0].kernel
    same = keras.ops.cast(model.hidden_layers[0].kernel, "float32")
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (kernel, same)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["outputs", "MODEL.keras", "BATCH.npz"], "output"),
        (["dump", "MODEL.keras", "OUT"], "expected a name that ends in .npz, found 'OUT'"),
        (["load", "IN.npz", "MODEL"], "expected a name that ends in .keras, found 'MODEL'"),
        (["dump"], "model"),
        (["undo", "a", "b"], "invalid choice"),
        ([], "command"),
    ],
)
def test_wrong_words_end_with_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        neutral.main(arguments)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and message in said.splitlines()[-1]


def test_the_command_line_goes_there_and_back(tmp_path, capsys):
    model, (x, _) = make(), batch(2)
    model.save(tmp_path / "m.keras")
    np.savez(tmp_path / "x.npz", **x)
    files = ("m.keras", "x.npz", "n.npz", "k.keras", "o.npz")
    names = {name: str(tmp_path / name) for name in files}
    assert neutral.main(["dump", names["m.keras"], names["n.npz"]]) == 0
    assert neutral.main(["load", names["n.npz"], names["k.keras"]]) == 0
    assert neutral.main(["outputs", names["k.keras"], names["x.npz"], names["o.npz"]]) == 0
    assert capsys.readouterr().out.split() == [keras.backend.backend()] * 3
    with np.load(names["o.npz"]) as out:
        np.testing.assert_allclose(out["corrected"], model.predict(x, verbose=0), atol=1e-6)
    (tmp_path / "broken.keras").write_bytes(b"PK\x03\x04 half a file")
    for name, said in (("none.keras", "not found"), ("broken.keras", "or a part of one")):
        assert neutral.main(["dump", str(tmp_path / name), names["n.npz"]]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and name in error and said in error

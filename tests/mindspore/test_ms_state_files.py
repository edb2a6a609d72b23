"""Checkpoints keep what was learnt in full precision, and those of version 0.1 still load."""

import numpy as np
import pytest
from ms_support import CARDINALITIES, batch, tensors

from mindspore_port import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    ReLoop2,
    SketchErrorMemory,
    neutral,
)
from mindspore_port.models import load_model, save_model
from mindspore_port.models.checkpoint_file import CONFIG, load_arrays, pack, save_arrays
from mindspore_port.models.model_weights import describe, set_weights, weights


def make():
    """A model that has learnt what no float32 and no int32 holds."""
    base = DeepFM(CARDINALITIES, 4, (8, 6), initializer_stddev=0.5)
    memories = [
        FeatureErrorMemory(8, crosses=[[0, 1]], residual="corrected", decay=0.9),
        SketchErrorMemory(7, 4, key_normalization="whiten", sampling_rate=0.7),
        ExactErrorMemory(64, 5),
    ]
    model = ReLoop2(base, memories, key=["hidden", "embedding", "hidden"], gate=True)
    model.adapt([batch(200)])
    for seed in range(2):
        model.observe((batch(200, seed), batch(200, seed)["label"]))
    for memory in model.memories:
        memory.load_state({**memory.core.state(), "num_writes": np.int64(2**31 + 5)})
    return model


def assert_equal(model, other):
    mine, theirs = weights(model), weights(other)
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        assert array.dtype == theirs[name].dtype
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


@pytest.mark.parametrize("kind", ["checkpoint", "neutral"])
def test_a_round_trip_keeps_every_bit(kind, tmp_path):
    model, x = make(), batch(200)
    if kind == "checkpoint":
        save_model(model, tmp_path / "model.ckpt")
        again = load_model(tmp_path / "model.ckpt")
    else:
        neutral.dump(model, tmp_path / "model.npz")
        again = neutral.load(tmp_path / "model.npz")
    assert_equal(model, again)
    sums = again.memories[0].sums
    assert sums.dtype == "float64" and (sums != sums.astype("float32")).any()
    assert again.memories[1].num_writes == 2**31 + 5
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    for each in (model, again):  # sampling, too, goes on from there
        each.observe(x, 1 - x["label"])
    assert_equal(model, again)


def test_checkpoints_of_version_0_1_load(tmp_path):
    """They hold float32 and int32 of the same names, and do not say how dense layers compute."""
    model, x = make(), batch(200)
    for memory in model.memories:
        memory.load_state({**memory.core.state(), "num_writes": np.int64(2)})
    arrays = {
        name: array.astype({"f": "float32", "i": "int32"}[array.dtype.kind])
        for name, array in weights(model).items()
    }
    description = describe(model)
    del description["base"]["config"]["compute_dtype"]
    save_arrays({CONFIG: pack(description), **arrays}, tmp_path / "old.ckpt")
    again = load_model(tmp_path / "old.ckpt")
    assert [memory.num_writes for memory in again.memories] == [2, 2, 2]
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-4)
    np.testing.assert_allclose(again.gate.precision, model.gate.precision, rtol=1e-6)
    again.observe(x, x["label"])


def test_arrays_that_do_not_fit_are_named_and_change_nothing():
    model, other = make(), make()
    before = weights(model)
    arrays = weights(other)
    for name, bad, message in (
        ("memories.2.rows", arrays["memories.2.rows"] * np.nan, "rows: expected finite numbers"),
        ("gate.precision", np.eye(3), r"gate.precision: expected shape \(10, 10\), found \(3, 3\)"),
        ("memories.1.total", None, "memories.1.total: expected .* found no such array"),
        ("memories.3.sums", np.zeros(2), "memories.3.sums: expected .* found an array"),
    ):
        changed = {**arrays, name: bad}
        if bad is None:
            del changed[name]
        with pytest.raises(ValueError, match="here: .*" + message):
            set_weights(model, changed, "here")
        for kept, array in weights(model).items():
            np.testing.assert_array_equal(array, before[kept])


def test_a_model_of_halves_stays_one(tmp_path):
    model = DeepFM(CARDINALITIES, 4, (8, 6), initializer_stddev=0.5, compute_dtype="float16")
    save_model(model, tmp_path / "half.ckpt")
    again = load_model(tmp_path / "half.ckpt")
    assert again.compute_dtype == "float16"
    x = tensors(batch(50))
    np.testing.assert_array_equal(again(*x).asnumpy(), model(*x).asnumpy())
    whole = load_model(tmp_path / "half.ckpt", "float32")
    assert whole.compute_dtype == "float32" and (whole(*x) != model(*x)).any()
    neutral.dump(model, tmp_path / "half.npz")  # says nothing of it: Keras has a policy for that
    assert neutral.load(tmp_path / "half.npz").compute_dtype == "float32"


def test_what_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.ckpt: expected"):
        load_model(tmp_path / "bad.ckpt")
    save_arrays({"one": np.ones(3)}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"other\.ckpt: expected a file of `save_model`"):
        load_model(tmp_path / "other.ckpt")
    assert list(load_arrays(tmp_path / "other.ckpt")) == ["one"]

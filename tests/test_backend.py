"""What `reloop2_keras.backend` does fast, against NumPy."""

import copy

import keras
import numpy as np
import pytest

from reloop2_keras import (
    DeepFM,
    FeatureErrorMemory,
    OnlineGate,
    ReLoop2,
    SketchErrorMemory,
)
from reloop2_keras.backend import compiled
from reloop2_keras.core.correction import Served
from reloop2_keras.models.serving import Serving, in_batches
from reloop2_keras.streaming import Gated, Memory

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


def plain_sketch(*args):
    return SketchErrorMemory(*args, key_normalization="none")


def test_a_compiled_step_sees_new_weights_and_pads_rows():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    sizes = []

    def step(batch):
        sizes.append(batch["x"].shape[0])
        return {"y": layer(batch["x"])}

    run = compiled(step, [layer])
    x = np.random.default_rng(0).standard_normal((1100, 3)).astype("float32")
    for scale in (1.0, 2.0):
        layer.kernel.assign(np.full((3, 2), scale))
        for rows in (1, 5, 97, 98, 99, 100, 1100):
            got = in_batches(run, {"x": x[:rows]}, 512)["y"]
            np.testing.assert_allclose(got, scale * x[:rows] @ np.ones((3, 2)), atol=1e-5)
    if keras.backend.backend() != "torch":  # traced once a shape; 97 to 100 share one
        assert len(sizes) == len(set(sizes)) == 5


def test_serving_follows_what_is_changed_after_it_was_compiled():
    keras.utils.set_random_seed(1)
    model = ReLoop2(DeepFM([5, 5], 2, (4,)), plain_sketch(8, 2), compensation=0.5)
    rng = np.random.default_rng(0)
    x = {
        "feature_ids": (rng.integers(0, 5, (300, 2)) + [0, 5]).astype("int32"),
        "feature_values": np.ones((300, 2), "float32"),
    }
    y = np.ones(300)
    before = model.serve(x)
    np.testing.assert_allclose(before["corrected"], before["probability"])
    model.observe(before, y)
    half = model.serve(x)
    model.compensation = 1.0
    whole = model.serve(x)
    moved = half["corrected"] - half["probability"]
    assert np.abs(moved).max() > 0.05
    np.testing.assert_allclose(whole["corrected"] - whole["probability"], 2 * moved, atol=1e-5)


def small_base():
    keys = keras.Input((3,), name="x")
    hidden = keras.layers.Dense(4, activation="relu", name="hid")(keys)
    return keras.Model(keys, keras.layers.Dense(1, activation="sigmoid")(hidden))


@pytest.mark.skipif(
    keras.backend.backend() == "jax", reason="JAX warns of the int64 that IntegerLookup gives"
)
def test_a_base_that_xla_cannot_compile_is_served():
    ids = keras.Input((2,), dtype="int32", name="x")
    known = keras.layers.IntegerLookup(vocabulary=[5, 6, 7])(ids)
    vectors = keras.layers.Flatten()(keras.layers.Embedding(8, 3)(known))
    hidden = keras.layers.Dense(4, name="hid")(vectors)
    base = keras.Model(ids, keras.layers.Dense(1, activation="sigmoid")(hidden))
    model = ReLoop2(base, plain_sketch(4, 3), key="hid")
    x = np.array([[5, 6], [7, 9], [5, 5]], "int32")
    served = model.serve(x)
    np.testing.assert_allclose(served["corrected"], model.predict(x, verbose=0)[:, 0], atol=1e-6)
    assert model.observe(served, np.ones(3)) == 3


def test_a_copied_arm_reads_its_own_memory():
    rng = np.random.default_rng(0)
    served = {
        "hid": rng.standard_normal((8, 4)).astype("float32"),
        "probability": np.full(8, 0.5, "float32"),
    }
    arm = Memory(plain_sketch(4, 2), "hid", 1.0)
    arm.predict(served)
    other = copy.deepcopy(arm)
    _, kept = other.predict(served)
    other.observe(served, np.ones(8), kept)
    np.testing.assert_allclose(other.predict(served)[0], 1.0, atol=1e-6)
    np.testing.assert_allclose(arm.predict(served)[0], 0.5)


def test_a_replaced_gate_is_the_one_that_predicts():
    hashes = np.random.default_rng(0).integers(0, 9, (50, 3)).astype("int32")
    served = {"feature_hashes": hashes, "probability": np.full(50, 0.5, "float32")}
    arm = Gated([(FeatureErrorMemory(6), "feature_hashes")])
    _, kept = arm.predict(served)
    arm.observe(served, np.ones(50), kept)
    assert arm.predict(served)[0].mean() > 0.6
    arm.gate = OnlineGate(3)
    np.testing.assert_allclose(arm.predict(served)[0], 0.5, atol=1e-6)
    with pytest.raises(ValueError, match="must be integers"):
        arm.memories[0].look_up(hashes.astype("float32"))


def test_what_another_serving_returned_is_refused_before_anything_learns():
    model = ReLoop2(small_base(), plain_sketch(4, 3), key="hid")
    x = {"x": np.ones((5, 3), "float32")}
    with pytest.raises(ValueError, match="must be what this model's `serve` returned"):
        model.observe(Served(Serving(model.base, ("hid",))(x)), np.ones(5))
    assert FeatureErrorMemory(6).write(np.zeros((0, 3), "int32"), [], []) == 0

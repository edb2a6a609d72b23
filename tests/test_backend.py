"""What `reloop2_keras.backend` does fast, against NumPy."""

import copy

import keras
import numpy as np
import pytest

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    OnlineGate,
    ReLoop2,
    SketchErrorMemory,
)
from reloop2_keras.backend import compiled, scatter_add
from reloop2_keras.models.serving import Served, Serving, in_batches
from reloop2_keras.streaming import Gated, Memory

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


def table(rows, width):
    layer = keras.layers.Layer()
    return layer.add_weight(shape=(rows, width), initializer="zeros", trainable=False)


# small, and large enough for a thread a range of columns
@pytest.mark.parametrize("rows", [1, 77, 30_000])
@pytest.mark.parametrize("width", [2, 3, 7])
@pytest.mark.parametrize("each", [False, True])
def test_scatter_add_is_numpys(rows, width, each):
    rng, columns, size = np.random.default_rng(rows), 9, 50
    index = rng.integers(0, size, (rows, columns)) + size * np.arange(columns)
    updates = rng.standard_normal((rows, columns, width) if each else (rows, width))
    want = np.zeros((size * columns, width))
    wide = np.broadcast_to(updates if each else updates[:, None], (rows, columns, width))
    np.add.at(want, index, wide)
    variable = table(size * columns, width)
    for sign in (1, 1, -1):  # adds to what is there
        scatter_add(variable, index.astype("int32"), (sign * updates).astype("float32"))
    np.testing.assert_allclose(numpy(variable), want, rtol=1e-4, atol=2e-3)


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


@pytest.mark.parametrize(
    "make",
    [
        lambda: SketchErrorMemory(20, 6, sampling_rate=0.7, error_threshold=0.2, decay=0.9),
        lambda: SketchErrorMemory(4, 3),
        lambda: FeatureErrorMemory(8, crosses=[[0, 1]], sampling_rate=0.7, decay=0.9),
        lambda: FeatureErrorMemory(8, residual="corrected"),
        lambda: ExactErrorMemory(300, 5, sampling_rate=0.7),
    ],
)
def test_writing_where_it_was_read_is_writing_by_key(make):
    rng, by_key, by_place = np.random.default_rng(3), make(), make()
    hashed = isinstance(by_key, FeatureErrorMemory)
    for _ in range(3):
        if hashed:
            keys = rng.integers(-(2**31), 2**31, (200, 4)).astype("int32") // 2**26
        else:
            keys = rng.standard_normal((200, 5)).astype("float32")
        y, p = rng.integers(0, 2, 200), rng.random(200).astype("float32")
        for memory in (by_key, by_place):
            if not memory.built:
                memory.build((None, keys.shape[1]))
        want = by_key.read(keys)
        got, places = by_place.look_up(keys)
        for name in want:
            np.testing.assert_allclose(numpy(got[name]), numpy(want[name]), atol=1e-6)
        more = {}
        if getattr(by_key, "residual", "") == "corrected":
            more["offsets"] = numpy(want["offset"])
        written = by_key.write(keys, y, p, **more)
        assert by_place.write_at(places, y, p, **more) == written > 0
    for a, b in zip(by_key.weights, by_place.weights, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-5)


def test_places_of_another_memory_are_refused():
    memory = FeatureErrorMemory(6)
    with pytest.raises(ValueError, match="must be built"):
        memory.write_at(np.zeros((1, 3), "int32"), [1], [0.5])
    memory.build((None, 3))
    for wrong in (np.zeros((1, 3), "int32"), np.zeros((1, 2), "int32"), np.zeros((1, 3))):
        with pytest.raises(ValueError, match="`places` must be what"):
            memory.write_at(wrong, [1], [0.5])
    with pytest.raises(ValueError, match="must have 3 columns. Received: 2"):
        memory.look_up(np.zeros((1, 2), "int32"))


def test_serving_follows_what_is_changed_after_it_was_compiled():
    keras.utils.set_random_seed(1)
    model = ReLoop2(DeepFM([5, 5], 2, (4,)), SketchErrorMemory(8, 2), compensation=0.5)
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
    model = ReLoop2(base, SketchErrorMemory(4, 3), key="hid")
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
    arm = Memory(SketchErrorMemory(4, 2), "hid", 1.0)
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
    model = ReLoop2(small_base(), SketchErrorMemory(4, 3), key="hid")
    x = {"x": np.ones((5, 3), "float32")}
    with pytest.raises(ValueError, match="must be what this model's `serve` returned"):
        model.observe(Served(Serving(model.base, ("hid",))(x)), np.ones(5))
    assert FeatureErrorMemory(6).write(np.zeros((0, 3), "int32"), [], []) == 0

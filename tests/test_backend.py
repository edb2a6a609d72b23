"""What `reloop2_keras.backend` does fast, against NumPy."""

import keras
import numpy as np
import pytest

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    ReLoop2,
    SketchErrorMemory,
)
from reloop2_keras.backend import compiled, scatter_add
from reloop2_keras.models.serving import in_batches

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

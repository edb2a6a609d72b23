"""Rows looked up once, and written later where they were read."""

import numpy as np
import pytest
from ms_support import batch

from mindspore_port import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    OnlineGate,
    ReLoop2,
    SketchErrorMemory,
)
from mindspore_port.models import copy_memory
from mindspore_port.streaming import Gated, Memory


def weights(memory):
    return [parameter.asnumpy().copy() for parameter in memory.get_parameters()]


@pytest.mark.parametrize(
    "make",
    [
        lambda: SketchErrorMemory(20, 6, sampling_rate=0.7, error_threshold=0.2, decay=0.9),
        lambda: SketchErrorMemory(4, 3),
        lambda: FeatureErrorMemory(8, crosses=[[0, 1]], sampling_rate=0.7, decay=0.9),
        lambda: FeatureErrorMemory(8, residual="corrected"),
        lambda: FeatureErrorMemory(8, residual="corrected", sampling_rate=0.7),
        lambda: ExactErrorMemory(300, 5, sampling_rate=0.7),
    ],
)
def test_writing_where_it_was_read_is_writing_by_key(make, mode):
    rng, by_key, by_place = np.random.default_rng(3), make(), make()
    hashed = isinstance(by_key, FeatureErrorMemory)
    by_key.build(4), by_place.build(4)
    for _ in range(3):
        if hashed:
            keys = rng.integers(-(2**31), 2**31, (200, 4)).astype("int32") // 2**26
        else:
            keys = rng.standard_normal((200, 4)).astype("float32")
        y, p = rng.integers(0, 2, 200), rng.random(200).astype("float32")
        want = by_key.read(keys)
        got, places = by_place.look_up(keys)
        for name in want:
            np.testing.assert_allclose(got[name].asnumpy(), want[name].asnumpy(), atol=1e-6)
        more = {}
        if getattr(by_key, "residual", "") == "corrected":
            more["offsets"] = want["offset"].asnumpy()
        written = by_key.write(keys, y, p, **more)
        assert by_place.write_at(places, y, p, **more) == written > 0
    for a, b in zip(weights(by_key), weights(by_place), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize(
    ("memory", "columns"),
    [
        (FeatureErrorMemory(6), 3),
        (SketchErrorMemory(5, 6), 5),
    ],
)
def test_places_of_another_memory_are_refused(memory, columns):
    right = np.tile(np.arange(columns, dtype="int32") << 6, (2, 1))
    with pytest.raises(ValueError, match="must be built"):
        memory.write_at(right, [1, 0], [0.5, 0.5])
    memory.build(3)
    before = weights(memory)
    for wrong in (right[:, :-1], right + (1 << 6), right - 1, right.astype("float32"), right[0]):
        with pytest.raises(ValueError, match="`places` must be what"):
            memory.write_at(wrong, [1, 0], [0.5, 0.5])
    with pytest.raises(ValueError, match="equal numbers of rows"):
        memory.write_at(right, [1], [0.5])
    for a, b in zip(weights(memory), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert memory.write_at(right, [1, 0], [0.5, 0.5]) == 2


def test_hashes_of_another_width_are_refused():
    memory = FeatureErrorMemory(6)
    memory.build(3)
    with pytest.raises(ValueError, match=r"must have 3 columns. Received: 2"):
        memory.look_up(np.zeros((1, 2), "int32"))


def test_late_labels_are_learnt_with_what_was_read_at_serving_time(mode):
    base = DeepFM([20, 10, 1], 4, (8, 6), initializer_stddev=0.5)
    feature = FeatureErrorMemory(8, residual="corrected")
    sketch = SketchErrorMemory(7, 4, key_normalization="none")
    model = ReLoop2(base, [feature, sketch], key="embedding", gate=True)
    slots = [batch(80, seed) for seed in range(3)]
    for slot in slots:  # few values, so that slots share them
        slot["feature_hashes"] = slot["feature_hashes"] // 2**29
    model.observe(slots[0], slots[0]["label"])
    twins, gate = [copy_memory(memory) for memory in model.memories], OnlineGate(5)
    for mine, theirs in zip(gate.get_parameters(), model.gate.get_parameters(), strict=True):
        mine.set_data(theirs)
    served = [model.serve(slot) for slot in slots[1:]]
    keys = [model._serving[0](slot)["embedding"] for slot in slots[1:]]
    for slot, s in zip(slots[1:], served, strict=True):
        assert set(s) == {"probability", "corrected", "gate_inputs", "places_0", "places_1"}
        assert model.observe(s, slot["label"]) == 80
    # what is read now differs from what was read then
    assert np.abs(model.serve(slots[2])["corrected"] - served[1]["corrected"]).max() > 0.01
    for slot, s, key in zip(slots[1:], served, keys, strict=True):
        y, hashes = slot["label"], slot["feature_hashes"]
        gate.update(y, s["probability"], s["gate_inputs"])
        twins[0].write(hashes, y, s["corrected"], s["gate_inputs"][:, :3])
        twins[1].write(key, y, s["probability"])
    for mine, theirs in zip([*model.memories, model.gate], [*twins, gate], strict=True):
        for a, b in zip(weights(mine), weights(theirs), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("kind", ["sketch", "exact", "gated"])
def test_arms_write_where_they_read(kind):
    rng = np.random.default_rng(0)
    served = {
        "probability": rng.random(600).astype("float32"),
        "hidden": rng.standard_normal((600, 4)).astype("float32"),
    }
    labels = rng.integers(0, 2, 600)

    def make():
        if kind == "exact":
            return ExactErrorMemory(700, 5)
        return SketchErrorMemory(6, 3)

    one = make()
    fast = Gated([(one, "hidden")]) if kind == "gated" else Memory(one, "hidden", 0.5)
    predicted, kept = fast.predict(served)
    np.testing.assert_allclose(predicted, served["probability"], atol=1e-6)  # nothing held yet
    fast.observe(served, labels, kept)
    other = make()
    if kind == "gated":
        other.write(served["hidden"], labels, served["probability"])
    else:  # rows that were not predicted are written by their keys
        Memory(other, "hidden", 0.5).observe(served, labels, None)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)

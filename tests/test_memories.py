"""Error memories and gate as layers: traced reads, files, policies; what they learn is core's."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from memory_checks import batch

from reloop2_keras import (
    ExactErrorMemory,
    FeatureErrorMemory,
    KeyNormalization,
    OnlineGate,
    SketchErrorMemory,
)
from reloop2_keras.backend import pack_signs
from reloop2_keras.layers import compensate

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy
KINDS = ("exact", "sketch", "feature")


def make(kind, **arguments):
    if kind == "feature":
        return FeatureErrorMemory(**{"num_bits": 5, "crosses": [[0, 2]], **arguments})
    arguments.setdefault("key_normalization", "none")
    if kind == "exact":
        return ExactErrorMemory(**{"capacity": 64, "num_neighbors": 5, **arguments})
    return SketchErrorMemory(**{"num_arrays": 7, "num_bits": 4, **arguments})


def reading(memory, keys):
    return {name: numpy(value) for name, value in memory.read(keys).items()}


def assert_same(a, b, atol=1e-6):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=atol)


def graph_of(memory, kind):
    inputs = keras.Input((6,), dtype="int32" if kind == "feature" else "float32")
    return keras.Model(inputs, memory(inputs))


def test_whitening_decorrelates_and_centering_centers():
    rng = np.random.default_rng(0)
    keys = (rng.standard_normal((4000, 5)) @ rng.standard_normal((5, 5)) + 3).astype("float32")
    center, white = KeyNormalization("center"), KeyNormalization("whiten", ridge=0.0)
    center.adapt(keys)
    white.adapt(keys[i : i + 1000] for i in range(0, 4000, 1000))
    np.testing.assert_allclose(numpy(center(keys)).mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(numpy(white(keys)).T), np.eye(5), atol=2e-2)
    for layer in (center, white):
        np.testing.assert_allclose(numpy(layer(keys)), layer.core(keys), atol=1e-4)


def test_a_traced_step_of_ones_own_is_told_when_it_would_read_the_past():
    memory = make("feature")
    for _ in range(2):
        memory.write(*batch("feature", 20))
    keys = batch("feature", 20)[0]
    if keras.backend.backend() == "torch":
        pytest.skip("PyTorch runs for real, and syncs")
    if keras.backend.backend() == "jax":
        import jax

        traced = jax.jit(memory.read)
    else:
        import tensorflow as tf

        traced = tf.function(memory.read)
    with pytest.raises(ValueError, match=r"call `sync\(\)` before tracing"):
        traced(keys)
    memory.sync()
    np.testing.assert_allclose(
        traced(keys)["offsets"], memory.look_up(keys)[0]["offsets"], atol=1e-5
    )


def test_hash_bits_do_not_depend_on_the_backend():
    keys = np.random.default_rng(0).standard_normal((200, 16)).astype("float32")
    memory = make("sketch", num_arrays=3, num_bits=8)
    memory.build((None, 16))
    # the projections a NumPy reader of the documentation would draw
    planes = np.random.default_rng(1001).standard_normal((16, 24)).astype("float32")
    np.testing.assert_array_equal(memory.projections, planes)
    exact = keys.astype("float64") @ planes.astype("float64")
    sure = (np.abs(exact) > 1e-5).reshape(200, 3, 8)
    for got in (numpy(memory.places(keys)), memory.look_up(keys)[1]):
        bits = ((got - (np.arange(3) << 8))[..., None] >> np.arange(8)) & 1
        np.testing.assert_array_equal(bits[sure], (exact > 0).reshape(200, 3, 8)[sure])


@pytest.mark.parametrize("num_bits", range(1, 21))
def test_packed_signs_are_the_signs(num_bits):
    arrays = 5 if num_bits > 12 else 11
    projected = np.random.default_rng(num_bits).standard_normal((33, arrays * num_bits))
    projected[0, 0] = 0.0  # not above 0
    signs = projected.reshape(33, arrays, num_bits) > 0
    want = (signs * (1 << np.arange(num_bits))).sum(-1)
    got = pack_signs(keras.ops.convert_to_tensor(projected, "float32"), arrays, num_bits)
    np.testing.assert_array_equal(numpy(got), want + (np.arange(arrays) << num_bits))


def test_large_batches_read_as_small_ones_do():
    rng = np.random.default_rng(0)
    keys, y = rng.standard_normal((2500, 16)).astype("float32"), rng.integers(0, 2, 2500)
    memory = make("sketch", num_arrays=20, num_bits=9)
    memory.write(keys, y, np.full(2500, 0.3))
    got, again = reading(memory, keys), reading(memory, keys[1500:1600])
    for name in got:
        np.testing.assert_allclose(got[name][1500:1600], again[name], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_version_0_1_load(kind, tmp_path):
    """They number a memory's float32 weights: count of writes, projections, sums, …."""
    keys, y, p = batch(kind, 30)
    memory = make(kind) if kind == "feature" else make(kind, key_normalization="center")
    if kind != "feature":
        memory.adapt(keys)
    memory.write(keys, y, p)
    model, new, old = graph_of(memory, kind), tmp_path / "new.keras", tmp_path / "old.keras"
    model.save(new)
    with zipfile.ZipFile(new) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    (tmp_path / "h5").write_bytes(parts["model.weights.h5"])
    with h5py.File(tmp_path / "h5", "r+") as file:
        groups = []
        file.visit(lambda name: groups.append(name) if name.endswith("/vars") else None)
        group = next(file[name] for name in groups if "num_writes" in file[name])
        arrays = {name: group[name][()] for name in group}
        for name in list(group):
            del group[name]
        for number, name in enumerate(memory.LEGACY):
            kind_of = "int32" if name in ("num_writes", "cursor") else "float32"
            group[str(number)] = arrays[name].astype(kind_of)
    parts["model.weights.h5"] = (tmp_path / "h5").read_bytes()
    config = parts["config.json"].decode()
    parts["config.json"] = config.replace('{"width": 6}', '{"input_shape": [null, 6]}').encode()
    assert parts["config.json"].decode() != config
    with zipfile.ZipFile(old, "w") as file:
        for name, data in parts.items():
            file.writestr(name, data)
    again = keras.saving.load_model(old)
    assert_same(again.predict(keys, verbose=0), model.predict(keys, verbose=0), 1e-6)
    assert again.layers[-1].num_writes == 1
    assert json.loads(config)["class_name"] == "Functional"


def test_state_is_float32_to_traced_steps_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for kind in KINDS:
            memory = make(kind)
            memory.write(*batch(kind, 5))
            assert {v.dtype for v in memory.weights} <= {"float32"}
            value = next(iter(memory.read(batch(kind, 5)[0]).values()))
            assert keras.backend.standardize_dtype(value.dtype) == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_copies_share_nothing_and_weights_cannot_be_set_past_the_state():
    for kind in KINDS:
        memory = make(kind)
        memory.write(*batch(kind, 20))
        copy, keys = memory.copy(), batch(kind, 20)[0]
        assert_same(reading(copy, keys), reading(memory, keys), 0)
        copy.reset()
        assert not any(np.any(part) for part in reading(copy, keys).values())
        assert np.any(next(iter(reading(memory, keys).values())))
        with pytest.raises(ValueError, match="load_state"):
            memory.set_weights(memory.get_weights())
        with pytest.raises(ValueError, match="read-only"):
            (memory.rows if kind == "exact" else memory.sums)[0] = 1.0
        memory.load_state(copy.core.state())
        assert not any(np.any(part) for part in reading(memory, keys).values())
        with pytest.raises(ValueError, match="must be a"):
            memory.merge(OnlineGate())


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_reads_what_others_wrote_into_its_core(kind):
    memory = make(kind)
    memory.core.write(*batch(kind, 20))  # as an arm does: the layer was never built
    keys = batch(kind, 20)[0]
    assert_same(reading(memory, keys), memory.core.read(keys), 1e-5)
    assert np.any(next(iter(reading(memory, keys).values())))
    assert not any(np.any(part) for part in reading(make(kind), keys).values())  # nor its core


def test_what_belongs_to_nobodys_training_stays_so():
    memory = make("sketch", key_normalization="whiten")
    memory.adapt(batch("sketch", 30)[0])
    model = graph_of(memory, "sketch")
    model.trainable = False
    model.trainable = True  # the usual freeze and unfreeze
    assert not model.trainable_variables and not memory.trainable_variables


def test_adapt_refuses_a_filled_memory_and_wrong_widths():
    memory = make("sketch", key_normalization="center")
    with pytest.raises(ValueError, match="`keys` must be finite"):
        memory.adapt(np.full((3, 6), np.nan))
    assert not memory.built
    keys, y, p = batch("sketch", 5)
    memory.adapt(keys)
    with pytest.raises(ValueError, match="must have 6 columns. Received: 5"):
        memory.adapt(keys[:, :5])
    memory.write(keys, y, p)
    with pytest.raises(ValueError, match="before the first `write`"):
        memory.adapt(keys)


def test_the_gates_layer_is_cores_gate(tmp_path):
    rng = np.random.default_rng(0)
    p, r = rng.random(60).astype("float32"), rng.standard_normal((60, 3)).astype("float32")
    gate = OnlineGate(3, forgetting=0.1)
    for seed in range(3):
        gate.update(np.random.default_rng(seed).integers(0, 2, 60), p, r)
        tensors = [keras.ops.convert_to_tensor(x) for x in (p, r)]
        np.testing.assert_allclose(numpy(gate(*tensors)), gate.core(p, r), atol=1e-5)
    inputs = keras.Input((), name="p"), keras.Input((3,), name="r")
    model = keras.Model(inputs, gate(*inputs))
    model.save(tmp_path / "gate.keras")
    again = keras.saving.load_model(tmp_path / "gate.keras").layers[-1]
    np.testing.assert_array_equal(again.precision, gate.precision)
    np.testing.assert_array_equal(again.coefficients, gate.coefficients)
    with pytest.raises(ValueError, match=r"`offsets` must have shape \(batch, 3\)"):
        gate(*[keras.ops.convert_to_tensor(p)])


def test_compensate_is_clipped():
    one = {"mean_label": 0.0, "mean_probability": 0.5, "found": 1.0}
    one = {k: keras.ops.convert_to_tensor([v]) for k, v in one.items()}
    p = keras.ops.convert_to_tensor([0.2])
    np.testing.assert_allclose(numpy(compensate(p, one, 1.0, 0.0)), [0.0], atol=1e-6)
    np.testing.assert_allclose(numpy(compensate(p, one, 0.5, 1.0)), [0.1], atol=1e-6)

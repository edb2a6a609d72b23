"""Error memories against the oracle, and their invariants."""

import keras
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.backend import pack_signs
from reloop2_keras.layers import ExactErrorMemory, KeyNormalization, SketchErrorMemory, compensate

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


def rows(n, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    keys = rng.standard_normal((n, dim)).astype("float32")
    return keys, rng.integers(0, 2, n).astype("float32"), rng.random(n).astype("float32")


def make(kind, **kwargs):
    kwargs.setdefault("key_normalization", "none")
    if kind == "exact":
        return ExactErrorMemory(**{"capacity": 64, "num_neighbors": 5, **kwargs})
    return SketchErrorMemory(**{"num_arrays": 7, "num_bits": 4, **kwargs})


def state(memory):
    return [numpy(v) for v in memory.weights]


def reading(memory, keys):
    return {name: numpy(value) for name, value in memory.read(keys).items()}


def assert_same(a, b, atol=1e-6):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, atol=atol)


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_exact_equals_oracle(tau):
    keys, y, p = rows(40)
    memory = make("exact", temperature=tau)
    assert memory.write(keys, y, p) == 40
    queries = rows(30, seed=1)[0]
    want = oracle.exact(list(zip(keys, y, p, strict=True)), queries, 5, tau)
    got = reading(memory, queries)
    np.testing.assert_allclose(got["mean_label"], want[:, 0], atol=1e-5)
    np.testing.assert_allclose(got["mean_probability"], want[:, 1], atol=1e-5)
    assert (got["found"] == 1).all()


def test_exact_keeps_the_last_capacity_rows_in_order():
    keys, y, p = rows(150)
    memory = make("exact", capacity=20, num_neighbors=3)
    for cut in (slice(0, 7), slice(7, 90), slice(90, 103), slice(103, 150)):
        memory.write(keys[cut], y[cut], p[cut])
    queries = rows(10, seed=2)[0]
    want = oracle.exact(list(zip(keys[-20:], y[-20:], p[-20:], strict=True)), queries, 3, 0.1)
    np.testing.assert_allclose(reading(memory, queries)["mean_label"], want[:, 0], atol=1e-5)


@pytest.mark.parametrize("tau", [0.1, 0.01])
def test_sketch_equals_oracle(tau):
    keys, y, p = rows(40)
    memory = make("sketch", num_bits=11, temperature=tau)
    memory.write(keys, y, p)
    queries = rows(60, seed=1)[0]
    projections = numpy(memory.projections).astype("float64")
    want = oracle.sketch(projections, 7, 11, list(zip(keys, y, p, strict=True)), queries, tau)
    got = reading(memory, queries)
    missing = np.isnan(want[:, 0])
    assert missing.any() and not missing.all()
    np.testing.assert_array_equal(got["found"], ~missing)
    np.testing.assert_allclose(got["mean_label"][~missing], want[~missing, 0], atol=1e-5)
    np.testing.assert_allclose(got["mean_probability"][~missing], want[~missing, 1], atol=1e-5)


def test_hash_bits_do_not_depend_on_the_backend():
    keys = rows(200, dim=16)[0]
    memory = make("sketch", num_arrays=3, num_bits=8)
    memory.build((None, 16))
    # the projections a NumPy reader of the documentation would draw
    planes = np.random.default_rng(1001).standard_normal((16, 24)).astype("float32")
    np.testing.assert_array_equal(numpy(memory.projections), planes)
    exact = keys.astype("float64") @ planes.astype("float64")
    got = numpy(memory.buckets(keys)) - (np.arange(3) << 8)
    bits = (got[..., None] >> np.arange(8)) & 1
    sure = (np.abs(exact) > 1e-5).reshape(200, 3, 8)
    np.testing.assert_array_equal(bits[sure], (exact > 0).reshape(200, 3, 8)[sure])


@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_empty_memory_changes_nothing(kind):
    keys, _, p = rows(9)
    memory = make(kind)
    memory.build((None, 6))
    got = memory(keras.ops.convert_to_tensor(keys))
    assert not numpy(got["found"]).any()
    corrected = compensate(keras.ops.convert_to_tensor(p), got, 0.9, 0.3)
    np.testing.assert_allclose(numpy(corrected), p, atol=1e-7)


def test_compensate_by_hand():
    one = {"mean_label": 0.8, "mean_probability": 0.5, "found": 1.0}
    one = {k: keras.ops.convert_to_tensor([v]) for k, v in one.items()}
    p = keras.ops.convert_to_tensor([0.2])
    # gamma 1: (1 - lambda) p + lambda y; gamma 0: p + lambda (y - p_mean)
    np.testing.assert_allclose(numpy(compensate(p, one, 0.5, 1.0)), [0.5], atol=1e-6)
    np.testing.assert_allclose(numpy(compensate(p, one, 0.5, 0.0)), [0.35], atol=1e-6)
    np.testing.assert_allclose(numpy(compensate(p, one, 0.5, 0.5)), [0.425], atol=1e-6)
    low = {**one, "mean_label": keras.ops.convert_to_tensor([0.0])}
    np.testing.assert_allclose(numpy(compensate(p, low, 1.0, 0.0)), [0.0], atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**16))
def test_sketch_merge_is_the_sum_of_writes(cut, seed):
    keys, y, p = rows(60, seed=seed)
    whole, first, second = (make("sketch") for _ in range(3))
    for memory in (whole, first, second):
        memory.build((None, 6))
    whole.write(keys, y, p)
    first.write(keys[:cut], y[:cut], p[:cut])
    second.write(keys[cut:], y[cut:], p[cut:])
    first.merge(second)
    np.testing.assert_allclose(numpy(first.sums), numpy(whole.sums), atol=1e-4)
    assert float(numpy(first.total)) == 60


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(24)))
def test_sketch_does_not_depend_on_the_order_of_writes(order):
    keys, y, p = rows(24)
    one, other = make("sketch"), make("sketch")
    one.write(keys, y, p)
    other.write(keys[list(order)], y[list(order)], p[list(order)])
    np.testing.assert_allclose(numpy(one.sums), numpy(other.sums), atol=1e-5)


def test_exact_merge_appends():
    keys, y, p = rows(50)
    first, second, whole = (make("exact", capacity=30) for _ in range(3))
    first.write(keys[:20], y[:20], p[:20])
    second.write(keys[20:], y[20:], p[20:])
    whole.write(keys, y, p)
    first.merge(second)
    queries = rows(10, seed=3)[0]
    assert_same(reading(first, queries).values(), reading(whole, queries).values(), 1e-5)


@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_reset_forgets_all(kind):
    keys, y, p = rows(30)
    memory = make(kind)
    memory.build((None, 6))
    fresh = state(memory)
    memory.write(keys, y, p)
    assert any((a != b).any() for a, b in zip(state(memory), fresh, strict=True))
    memory.reset()
    assert_same(state(memory), fresh, 0)


@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_threshold_and_sampling_filter_rows(kind):
    keys, y, p = rows(60)
    memory = make(kind, error_threshold=0.4)
    assert memory.write(keys, y, p) == (np.abs(y - p) > 0.4).sum()
    one, other = make(kind, sampling_rate=0.5), make(kind, sampling_rate=0.5)
    count = one.write(keys, y, p)
    assert 15 < count < 45 and other.write(keys, y, p) == count
    assert_same(state(one), state(other), 0)


def test_decay_weighs_old_rows_less():
    key = np.ones((1, 6), "float32")
    for kind in ("exact", "sketch"):
        memory = make(kind, decay=0.25)
        memory.write(key, [1], [0.5])
        memory.write(key, [0], [0.5])
        # weights .25 and 1
        np.testing.assert_allclose(reading(memory, key)["mean_label"], [0.2], atol=1e-5)


def test_whitening_decorrelates_and_centring_centres():
    rng = np.random.default_rng(0)
    keys = (rng.standard_normal((4000, 5)) @ rng.standard_normal((5, 5)) + 3).astype("float32")
    centre, white = KeyNormalization("center"), KeyNormalization("whiten", ridge=0.0)
    centre.adapt(keys)
    white.adapt(keys[i : i + 1000] for i in range(0, 4000, 1000))
    np.testing.assert_allclose(numpy(centre(keys)).mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(numpy(white(keys)).T), np.eye(5), atol=2e-2)


@pytest.mark.parametrize("kind", ["exact", "sketch"])
@pytest.mark.parametrize("mode", ["none", "center", "whiten"])
def test_round_trip_in_a_keras_file(kind, mode, tmp_path):
    keys, y, p = rows(30)
    memory = make(kind, key_normalization=mode)
    memory.adapt(keys)
    memory.write(keys, y, p)
    inputs = keras.Input((6,))
    model = keras.Model(inputs, memory(inputs))
    model.save(tmp_path / "memory.keras")
    again = keras.saving.load_model(tmp_path / "memory.keras")
    assert_same(model.predict(keys, verbose=0).values(), again.predict(keys, verbose=0).values(), 0)
    assert again.layers[-1].get_config() == memory.get_config()


@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_call_works_traced_and_eager(kind):
    keys, y, p = rows(30)
    memory = make(kind)
    memory.write(keys, y, p)
    inputs = keras.Input((6,))
    model = keras.Model(inputs, memory(inputs))
    model.compile(jit_compile=keras.backend.backend() == "jax")
    traced = model.predict(keys, verbose=0)
    eager = reading(memory, keras.ops.convert_to_tensor(keys))
    for name in eager:
        np.testing.assert_allclose(traced[name], eager[name], atol=1e-5)


def test_state_is_float32_under_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for kind in ("exact", "sketch"):
            memory = make(kind)
            memory.write(*rows(5))
            kinds = {v.dtype for v in memory.weights}
            assert kinds <= {"float32", "int32"}
            assert str(numpy(memory.read(rows(5)[0])["mean_label"]).dtype) == "float32"
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0.5, 1, 0]}, "`labels` must be 0 or 1. Received: 0.5"),
        ({"probabilities": [0.5, 1.5, 0]}, r"`probabilities` must be in \[0, 1\]"),
        ({"labels": [1, 0]}, "equal numbers of rows"),
        ({"keys": np.full((3, 6), np.nan)}, "`keys` must be finite"),
        ({"keys": np.ones((3, 5))}, "`keys` must have 6 columns. Received: 5"),
    ],
)
@pytest.mark.parametrize("kind", ["sketch", "exact"])
def test_bad_writes_are_refused_and_write_nothing(kind, change, message):
    good = {"keys": np.ones((3, 6)), "labels": [0, 1, 0], "probabilities": [0.1, 0.2, 0.3]}
    memory = make(kind)
    memory.build((None, 6))
    with pytest.raises(ValueError, match=message):
        memory.write(**{**good, **change})
    assert not any(np.any(numpy(state)) for state in memory._states())
    assert int(numpy(memory.num_writes)) == 0


@pytest.mark.parametrize(
    ("cls", "kwargs", "message"),
    [
        (ExactErrorMemory, {"capacity": 0}, "`capacity`"),
        (ExactErrorMemory, {"capacity": 5, "num_neighbors": 6}, "`num_neighbors`"),
        (SketchErrorMemory, {"num_bits": 21}, "`num_bits`"),
        (SketchErrorMemory, {"temperature": 0}, "`temperature`"),
        (SketchErrorMemory, {"decay": 1.5}, "`decay`"),
        (SketchErrorMemory, {"sampling_rate": 0}, "`sampling_rate`"),
        (SketchErrorMemory, {"error_threshold": 1}, "`error_threshold`"),
        (SketchErrorMemory, {"key_normalization": "pca"}, "`mode`"),
    ],
)
def test_bad_arguments_are_named(cls, kwargs, message):
    with pytest.raises(ValueError, match=message):
        cls(**kwargs)


def test_merge_refuses_another_configuration():
    one, other = make("sketch"), make("sketch", num_bits=5)
    one.build((None, 6))
    other.build((None, 6))
    with pytest.raises(ValueError, match="num_bits"):
        one.merge(other)


@pytest.mark.parametrize("normalization", ["none", "center"])
@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_merge_refuses_keys_of_another_width(kind, normalization):
    one, other = (make(kind, key_normalization=normalization) for _ in range(2))
    one.build((None, 6))
    other.build((None, 5))
    before = state(one)
    with pytest.raises(ValueError, match="`other` must be built for keys of width 6. Received: 5"):
        one.merge(other)
    assert_same(state(one), before, 0)


def test_adapt_refuses_a_filled_memory():
    memory = make("sketch", key_normalization="center")
    keys, y, p = rows(5)
    memory.write(keys, y, p)
    with pytest.raises(ValueError, match="before the first `write`"):
        memory.adapt(keys)


@pytest.mark.parametrize("num_bits", range(1, 21))
def test_packed_signs_are_the_signs(num_bits):
    arrays = 5 if num_bits > 12 else 11
    projected = np.random.default_rng(num_bits).standard_normal((33, arrays * num_bits))
    projected[0, 0] = 0.0  # not above 0
    signs = projected.reshape(33, arrays, num_bits) > 0
    want = (signs * (1 << np.arange(num_bits))).sum(-1)
    got = pack_signs(keras.ops.convert_to_tensor(projected, "float32"), arrays, num_bits)
    np.testing.assert_array_equal(numpy(got), want + (np.arange(arrays) << num_bits))


def test_large_batches_read_and_write_as_small_ones_do():
    keys, y, p = rows(2500, dim=16)
    whole, parts, known = (make("sketch", num_arrays=20, num_bits=9) for _ in range(3))
    whole.write(keys, y, p)
    for start in range(0, 2500, 333):
        part = slice(start, start + 333)
        parts.write(keys[part], y[part], p[part])
    known.build((None, 16))
    assert known.write_at(known.buckets(keys), y, p) == 2500
    np.testing.assert_allclose(numpy(whole.sums), numpy(parts.sums), atol=1e-3)
    np.testing.assert_array_equal(numpy(whole.sums), numpy(known.sums))
    count = np.bincount(numpy(whole.buckets(keys)).ravel(), minlength=20 << 9)
    np.testing.assert_array_equal(numpy(whole.sums)[:, 0], count)
    got, again = reading(whole, keys), reading(known, keys[1500:1600])
    for name in got:
        np.testing.assert_allclose(got[name][1500:1600], again[name], atol=1e-6)
    with pytest.raises(ValueError, match="`places`"):
        known.write_at(numpy(known.buckets(keys)) + (1 << 9), y, p)

"""ReLoop2 with a gate: several memories, late labels, files, a new base; the streaming arm."""

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
from reloop2_keras.models import warm_start
from reloop2_keras.streaming import Gated

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


def batch(n=300, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, 20, n), 20 + rng.integers(0, 5, n)], axis=1).astype("int32")
    y = (rng.random((n, 1)) < np.where(ids[:, :1] % 2, 0.9, 0.1)).astype("float32")
    hashes = (ids * np.int32(40503)).astype("int32")
    values = np.ones((n, 2), "float32")
    return {"feature_ids": ids, "feature_values": values, "feature_hashes": hashes}, y


def deepfm(seed=3):
    keras.utils.set_random_seed(seed)
    return DeepFM([20, 5], embedding_dim=4, hidden_units=(8, 6), initializer_stddev=0.5)


def memories():
    return [
        FeatureErrorMemory(10, residual="corrected"),
        FeatureErrorMemory(10, crosses=[(0, 1)]),
        SketchErrorMemory(9, 6),  # centers keys
        ExactErrorMemory(500, 7),
    ]


def plain_sketch(*args):
    return SketchErrorMemory(*args, key_normalization="none")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_two_slots_by_hand():
    # docs/method.md, section 4, in NumPy: read, gate, one Newton step, write
    model = ReLoop2(deepfm(), FeatureErrorMemory(12, residual="base"), gate=True)
    sums, coefficients = {}, np.array([1.0, 0, 0, 0])
    hessian = np.diag([10.0, 1, 1, 1])
    for seed in (0, 1, 2):
        x, y = batch(seed=seed)
        p = model.base.predict(x, verbose=0)[:, 0].astype("float64")
        read = np.array(
            [
                [np.divide(*(sums.get((k, h), np.zeros(2)) + (0, 1))) for k, h in enumerate(row)]
                for row in x["feature_hashes"]
            ]
        )
        design = np.column_stack([np.log(p / (1 - p)), np.ones(len(p)), read])
        q = sigmoid(design @ coefficients)
        np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], q, atol=2e-4)
        model.observe(x, y)
        hessian = hessian + design.T @ (design * (q * (1 - q))[:, None])
        coefficients = coefficients + np.linalg.solve(hessian, design.T @ (y[:, 0] - q))
        for row, label, probability in zip(x["feature_hashes"], y[:, 0], p, strict=True):
            for k, h in enumerate(row):
                s = sums.setdefault((k, h), np.zeros(2))
                s += (label - probability, probability * (1 - probability))
    assert np.abs(read).max() > 0.5


def test_many_memories_in_one_file(tmp_path):
    model = ReLoop2(
        deepfm(), memories(), key=["hidden", "hidden", "embedding", "hidden"], gate=True
    )
    x, y = batch()
    model.adapt([x])
    np.testing.assert_allclose(
        model.predict(x, verbose=0), model.base.predict(x, verbose=0), atol=1e-5
    )  # nothing seen yet: changes nothing
    for seed in (0, 1):
        assert model.observe(*batch(seed=seed)) == 300
    corrected = model.predict(x, verbose=0)
    assert np.abs(corrected - model.base.predict(x, verbose=0)).max() > 0.1
    assert model.gate.num_offsets == 2 + 3 + 2 + 2
    model.save(tmp_path / "gated.keras")
    again = keras.saving.load_model(tmp_path / "gated.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), corrected, atol=1e-5)
    for each in (model, again):
        each.observe(x, 1 - y)
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)


def test_late_labels_learn_from_what_was_read_at_serving_time():
    late = ReLoop2(deepfm(), FeatureErrorMemory(10, residual="corrected"), gate=True)
    arm = Gated([(FeatureErrorMemory(10, residual="corrected"), "feature_hashes")])
    slots, pending = [batch(seed=seed) for seed in range(4)], []
    for x, y in slots:
        served = late.serve(x)
        base = {"probability": served["probability"], "feature_hashes": x["feature_hashes"]}
        predicted, kept = arm.predict(base)
        np.testing.assert_allclose(served["corrected"], predicted, atol=1e-6)
        pending.append((served, base, kept, y))
        if len(pending) > 2:
            served, base, kept, y = pending.pop(0)
            late.observe(served, y)
            arm.observe(base, y[:, 0], kept)
    np.testing.assert_allclose(
        numpy(late.gate.coefficients), numpy(arm.gate.coefficients), atol=1e-5
    )
    np.testing.assert_allclose(numpy(late.memory.sums), numpy(arm.memories[0].sums), atol=1e-4)


def test_warm_start_writes_the_training_rows_residuals():
    base, (x, y) = deepfm(), batch()
    warm, plain = FeatureErrorMemory(10, residual="corrected"), FeatureErrorMemory(10)
    assert warm_start(base, [(x, y)], [warm]) == 300
    plain.write(x["feature_hashes"], y, base.predict(x, verbose=0))
    np.testing.assert_allclose(numpy(warm.sums), numpy(plain.sums), atol=1e-4)
    copy = warm.copy()
    copy.reset()
    assert warm.sums.any() and not copy.sums.any()
    with pytest.raises(ValueError, match="must be empty, or rows that they hold count twice"):
        warm_start(base, [(x, y)], [warm])
    assert warm_start(base, [(x, y)], [warm], again=True) == 300
    np.testing.assert_allclose(warm.sums, 2 * plain.sums, atol=1e-4)
    with pytest.raises(ValueError, match="SketchErrorMemory"):
        warm_start(base, [(x, y)], [SketchErrorMemory(2, 2)])


def test_a_new_base_keeps_or_resets():
    model, (x, y) = ReLoop2(deepfm(), FeatureErrorMemory(10), gate=True), batch()
    model.observe(x, y)
    model.observe(x, y)
    other = deepfm(seed=8)
    kept = model.with_base(other)
    assert kept.memory is model.memory and kept.name == model.name
    assert np.abs(kept.predict(x, verbose=0) - other.predict(x, verbose=0)).max() > 0.1
    empty = model.with_base(other, "reset")
    np.testing.assert_allclose(empty.predict(x, verbose=0), other.predict(x, verbose=0), atol=1e-5)
    twice = model.with_base(other).with_base(deepfm(seed=9))
    twice.observe(x, y)
    twice.observe(x, y)
    again = twice.with_base(other).with_base(other, "reset")  # never built in between
    np.testing.assert_allclose(again.predict(x, verbose=0), other.predict(x, verbose=0), atol=1e-5)
    with pytest.raises(ValueError, match="`memory`"):
        model.with_base(other, "forget")


def test_a_functional_base_with_hashes():
    ids = keras.Input((2,), dtype="int32", name="feature_ids")
    vectors = keras.layers.Flatten()(keras.layers.Embedding(25, 4)(ids))
    last = keras.layers.Dense(5, activation="relu", name="last")(vectors)
    base = keras.Model({"feature_ids": ids}, keras.layers.Dense(1, activation="sigmoid")(last))
    model = ReLoop2(base, [FeatureErrorMemory(8), plain_sketch(4, 4)], key="last", gate=True)
    x, y = batch()
    x = {name: x[name] for name in ("feature_ids", "feature_hashes")}
    model.observe(x, y)
    model.observe(x, y)
    before = base.predict({"feature_ids": x["feature_ids"]}, verbose=0)
    assert np.abs(model.predict(x, verbose=0) - before).max() > 0.05


def test_shuffled_training_labels_have_the_same_total_and_say_nothing():
    base, (x, y) = deepfm(), batch(2000)
    true, mixed = FeatureErrorMemory(10, crosses=[]), FeatureErrorMemory(10)
    warm_start(base, [(x, y)], [true])
    warm_start(base, [(x, y)], [mixed], shuffle_seed=1)
    a, b = numpy(true.sums).reshape(2, -1, 2), numpy(mixed.sums).reshape(2, -1, 2)
    np.testing.assert_allclose(a.sum(axis=1), b.sum(axis=1), atol=0.05)
    # the label depends on the first field alone
    assert np.abs(a[0, :, 0]).sum() > 2 * np.abs(b[0, :, 0]).sum()


def test_a_warm_start_does_not_depend_on_the_batch_size():
    base, (x, y) = deepfm(), batch()
    one, many = (FeatureErrorMemory(10, decay=0.5) for _ in range(2))
    warm_start(base, [(x, y)], [one])
    parts = [({k: a[i : i + 60] for k, a in x.items()}, y[i : i + 60]) for i in range(0, 300, 60)]
    warm_start(base, iter(parts), [many])
    np.testing.assert_allclose(numpy(one.sums), numpy(many.sums), atol=1e-4)


def test_memories_stay_float32_under_a_policy_of_halves():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = ReLoop2(deepfm(), [FeatureErrorMemory(8), plain_sketch(8, 2)], gate=True)
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = batch()
    model.observe(x, y)
    model.observe(x, y)
    for memory in model.memories:  # sums that no half can hold
        state = memory.core.state()
        memory.load_state({**state, "sums": state["sums"] * 1000.0})
    served = model.serve(x)["corrected"]
    np.testing.assert_allclose(model.predict(x, verbose=0)[:, 0], served, atol=2e-3)
    tensors = {k: keras.ops.convert_to_tensor(v) for k, v in x.items()}
    np.testing.assert_allclose(numpy(model(tensors))[:, 0], served, atol=2e-3)
    assert np.isfinite(served).all() and served.std() > 0.05


def test_a_bad_label_leaves_gate_and_memory_as_they_were():
    model, (x, y) = ReLoop2(deepfm(), FeatureErrorMemory(8), gate=True), batch()
    model.observe(x, y)
    before = [numpy(w).copy() for w in model.weights]
    states = [model.gate.core.state(), model.memory.core.state()]
    with pytest.raises(ValueError, match="`labels` must be 0 or 1"):
        model.observe(x, np.where(np.arange(300)[:, None] == 7, np.nan, y))
    for a, b in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(numpy(a), b)
    for part, state in zip((model.gate, model.memory), states, strict=True):
        for name, array in part.core.state().items():
            np.testing.assert_array_equal(array, state[name])
    with pytest.raises(ValueError, match="`y`, the labels, must be given"):
        model.observe(x)
    with pytest.raises(ValueError, match="must be integers: floats lose bits"):
        model.serve({**x, "feature_hashes": x["feature_hashes"].astype("float64")})


def test_what_does_not_fit_is_named():
    base = deepfm()
    with pytest.raises(ValueError, match="`gate` must be given"):
        ReLoop2(base, FeatureErrorMemory(8))
    with pytest.raises(ValueError, match="`gate` must be given"):
        ReLoop2(base, [SketchErrorMemory(2, 2), SketchErrorMemory(2, 2)])
    with pytest.raises(ValueError, match="`key` must list one name a memory"):
        ReLoop2(base, memories(), key=["hidden"], gate=True)
    with pytest.raises(ValueError, match="`gate` must be None"):
        ReLoop2(base, memories(), gate="yes")
    with pytest.raises(ValueError, match="num_offsets=2"):
        ReLoop2(base, FeatureErrorMemory(8), gate=OnlineGate(5)).predict(batch()[0], verbose=0)
    with pytest.raises(ValueError, match="'feature_hashes'"):
        x = {k: v for k, v in batch()[0].items() if k != "feature_hashes"}
        ReLoop2(base, FeatureErrorMemory(8), gate=True).observe(x, batch()[1])

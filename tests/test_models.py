"""DeepFM and ReLoop2: oracle, files, policies, callbacks, other bases."""

import keras
import numpy as np
import oracle
import pytest

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FactorizationMachine,
    FieldEmbedding,
    ReLoop2,
    SketchErrorMemory,
)

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy
CARDINALITIES = [20, 10, 1]


def batch(n=64, seed=0):
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *CARDINALITIES[:-1]])
    ids = np.stack([o + rng.integers(0, c, n) for o, c in zip(offsets, CARDINALITIES, strict=True)])
    values = np.ones((n, 3), "float32")
    values[:, 2] = rng.random(n)
    y = (rng.random((n, 1)) < 0.2 + 0.6 * (ids[0][:, None] % 2)).astype("float32")
    return {"feature_ids": ids.T.astype("int32"), "feature_values": values}, y


def deepfm(**kwargs):
    keras.utils.set_random_seed(3)
    # a large stddev, so that the oracle test does not compare zeros
    return DeepFM(CARDINALITIES, **{"embedding_dim": 4, "hidden_units": (8, 6), **kwargs})


def tensors(x):
    return {name: keras.ops.convert_to_tensor(array) for name, array in x.items()}


def weights_of(model):
    def pair(layer):
        return tuple(numpy(w).astype("float64") for w in layer.weights)

    return {
        "V": numpy(model.field_embedding.embeddings).astype("float64"),
        "w": numpy(model.linear_embedding.embeddings).astype("float64"),
        "hidden": [pair(layer) for layer in model.hidden_layers],
        "last": pair(model.deep_logit),
    }


def test_deepfm_equals_the_float64_oracle():
    model, (x, _) = deepfm(initializer_stddev=0.5), batch()
    p = model.predict(x, verbose=0)
    assert p.shape == (64, 1) and p.std() > 0.05
    want, hidden, flat = oracle.deepfm(weights_of(model), x["feature_ids"], x["feature_values"])
    np.testing.assert_allclose(p[:, 0], want, atol=1e-5)
    outputs = model.logits_and_keys(tensors(x))
    np.testing.assert_allclose(numpy(outputs["hidden"]), hidden, atol=1e-4)
    np.testing.assert_allclose(numpy(outputs["embedding"]), flat, atol=1e-5)
    assert {k: outputs[k].shape[1] for k in ("hidden", "embedding")} == model.key_dims


def test_factorization_machine_by_hand():
    v = keras.ops.convert_to_tensor([[[1.0, 2.0], [3.0, 4.0], [0.5, 0.0]]])
    # 11 + 0.5 + 1.5
    np.testing.assert_allclose(numpy(FactorizationMachine()(v)), [[13.0]], atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (FieldEmbedding(31, 4, embeddings_regularizer="l2"), "pair"),
        (FactorizationMachine(), "vectors"),
    ],
)
def test_layers_round_trip_their_config(layer, inputs):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    if inputs == "pair":
        shapes, args = ((None, 3), (None, 3)), list(tensors(batch()[0]).values())
    else:
        shapes, args = ((None, 3, 4),), [keras.ops.ones((64, 3, 4))]
    assert layer(*args).shape == layer.compute_output_shape(*[(64, *s[1:]) for s in shapes])


def test_l2_is_half_l2_times_the_squared_norm_of_both_tables():
    model = deepfm(embedding_l2=0.3)
    model(tensors(batch()[0]))
    w = weights_of(model)
    want = 0.5 * 0.3 * ((w["V"] ** 2).sum() + (w["w"] ** 2).sum())
    np.testing.assert_allclose(float(numpy(sum(model.losses))), want, rtol=1e-4)


def test_fit_learns_and_the_usual_callbacks_work(tmp_path):
    model, (x, y) = deepfm(dropout=0.1), batch(2000)
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["AUC"])
    history = model.fit(
        x,
        y,
        epochs=6,
        batch_size=100,
        validation_data=batch(500, 1),
        verbose=0,
        callbacks=[
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.EarlyStopping(monitor="val_loss", patience=3),
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True),
            keras.callbacks.TensorBoard(tmp_path / "board"),
        ],
    ).history
    assert history["loss"][-1] < history["loss"][0] - 0.05
    assert max(history["val_AUC"]) > 0.72
    assert "val_loss" in (tmp_path / "log.csv").read_text()
    assert any(path.stat().st_size for path in (tmp_path / "board").rglob("events.*"))
    best = keras.saving.load_model(tmp_path / "best.keras")
    got = best.evaluate(*batch(500, 1), verbose=0)[0]
    np.testing.assert_allclose(got, min(history["val_loss"]), rtol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_outputs_are_float32_and_close_under_every_policy(policy):
    x, y = batch()
    plain = deepfm(initializer_stddev=0.3)
    plain(tensors(x))
    model = deepfm(initializer_stddev=0.3, dtype=policy)
    model(tensors(x))
    model.set_weights(plain.get_weights())
    p = model.predict(x, verbose=0)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, plain.predict(x, verbose=0), atol=0.02)
    model.compile("adam", "binary_crossentropy")
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"fields": []}, "`fields`"),
        ({"fields": [3, 0]}, "`fields`"),
        ({"fields": [3], "hidden_units": ()}, "`hidden_units`"),
        ({"fields": [3], "dropout": 1.0}, "`dropout`"),
        ({"fields": [3], "embedding_l2": -1}, "`embedding_l2`"),
    ],
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(ValueError, match=message):
        DeepFM(**kwargs)


def test_presets():
    assert DeepFM.from_preset("criteo", CARDINALITIES).hidden_units == [1024, 512, 256, 128]
    assert DeepFM.from_preset("small", CARDINALITIES, embedding_dim=8).embedding_dim == 8
    with pytest.raises(ValueError, match="criteo"):
        DeepFM.from_preset("large", CARDINALITIES)


def memory(kind, normalization="none"):
    if kind == "exact":
        return ExactErrorMemory(capacity=100, num_neighbors=7, key_normalization=normalization)
    return SketchErrorMemory(num_arrays=9, num_bits=5, key_normalization=normalization)


@pytest.mark.parametrize("key", ["hidden", "embedding"])
@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_reloop2_is_the_papers_formula_and_saves_all(kind, key, tmp_path):
    x, y = batch(200)
    base = deepfm(initializer_stddev=0.5)
    held = memory(kind, "center")
    model = ReLoop2(base, held, compensation=0.6, label_weight=0.7, key=key)
    model.adapt([x])
    p = base.predict(x, verbose=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), p, atol=1e-6)  # empty memory
    assert model.observe(x, y) == 200
    corrected = model.predict(x, verbose=0)
    keys = base.logits_and_keys(tensors(x))[key]
    r = {k: numpy(v) for k, v in model.memory.read(keys).items()}
    error = 0.7 * (r["mean_label"] - p[:, 0]) + 0.3 * (r["mean_label"] - r["mean_probability"])
    np.testing.assert_allclose(corrected[:, 0], np.clip(p[:, 0] + 0.6 * error, 0, 1), atol=1e-5)
    model.save(tmp_path / "reloop2.keras")
    again = keras.saving.load_model(tmp_path / "reloop2.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), corrected, atol=1e-6)
    # and goes on from there
    model.observe(x, 1 - y)
    again.observe(x, 1 - y)
    after = model.predict(x, verbose=0)
    np.testing.assert_allclose(again.predict(x, verbose=0), after, atol=1e-6)
    assert np.abs(after - corrected).max() > 0.01


# torch takes a minute to compile this
slow_on_torch = pytest.mark.slow if keras.backend.backend() == "torch" else pytest.mark.backend


@slow_on_torch
@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_jit_compile_trains_and_predicts_as_eager_does(kind):
    x, y = batch(400)
    model = ReLoop2(deepfm(), memory(kind), key="embedding")
    model.compile("adam", "binary_crossentropy", jit_compile=True)
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.observe(x, y)
    eager = numpy(model(tensors(x)))
    np.testing.assert_allclose(model.predict(x, verbose=0), eager, atol=1e-5)


def test_training_reloop2_trains_the_base_and_leaves_the_memory():
    x, y = batch(200)
    model = ReLoop2(deepfm(), memory("sketch"))
    model.observe(x, y)
    sums, table = (
        numpy(model.memory.sums).copy(),
        numpy(model.base.field_embedding.embeddings).copy(),
    )
    model.compile("adam", "binary_crossentropy")
    model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(numpy(model.memory.sums), sums)
    assert np.abs(numpy(model.base.field_embedding.embeddings) - table).max() > 0
    assert np.isfinite(model.evaluate(x, y, verbose=0))


def dcn_like():
    ids = keras.Input((3,), dtype="int32", name="feature_ids")
    values = keras.Input((3,), name="feature_values")
    x0 = keras.layers.Flatten()(FieldEmbedding(31, 4)(ids, values))
    crossed = keras.layers.Add()([keras.layers.Multiply()([x0, keras.layers.Dense(12)(x0)]), x0])
    last = keras.layers.Dense(5, activation="relu", name="last_hidden")(crossed)
    out = keras.layers.Dense(1, activation="sigmoid")(last)
    return keras.Model({"feature_ids": ids, "feature_values": values}, out)


def test_any_functional_model_with_a_named_layer_is_a_base(tmp_path):
    x, y = batch(100)
    base = dcn_like()
    model = ReLoop2(base, memory("sketch"), key="last_hidden")
    model.observe(x, y)
    corrected = model.predict(x, verbose=0)
    assert np.abs(corrected - base.predict(x, verbose=0)).max() > 0.01
    assert len(model.weights) == len(base.weights) + len(model.memory.weights)  # none counted twice
    model.save(tmp_path / "dcn.keras")
    again = keras.saving.load_model(tmp_path / "dcn.keras")
    np.testing.assert_allclose(again.predict(x, verbose=0), corrected, atol=1e-6)
    with pytest.raises(ValueError, match="last_hidden"):
        ReLoop2(dcn_like(), memory("sketch"), key="hiden").observe(x, y)

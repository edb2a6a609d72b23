"""Row-sparse training against whole-table training and a NumPy oracle."""

import re

import keras
import numpy as np
import pytest

from reloop2_keras import DeepFM, FieldEmbedding, ReLoop2, SketchErrorMemory
from reloop2_keras.backend.lookup import take_or_nan

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy
CARDINALITIES = [40, 24, 1]
# Keras on TensorFlow, without a dense term in the gradient, squares the parts of a repeated
# id's gradient one by one, and not their sum: Adam's velocity is then another than elsewhere
DENSE = 1e-30
OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(0.01, beta_1=0.8, epsilon=1e-3),
    "adagrad": lambda: keras.optimizers.Adagrad(0.05),
    "sgd": lambda: keras.optimizers.SGD(0.5),
    "momentum": lambda: keras.optimizers.SGD(0.3, momentum=0.7),
    "nesterov": lambda: keras.optimizers.SGD(0.3, momentum=0.7, nesterov=True),
    "schedule": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)
    ),
}


def batch(n=32, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, 12, n), 40 + rng.integers(0, 24, n), np.full(n, 64)], 1)
    values = rng.uniform(0.5, 1.5, (n, 3)).astype("float32")
    return {"feature_ids": ids.astype("int32"), "feature_values": values}, labels(n, seed)


def labels(n, seed=0):
    return np.random.default_rng((seed, 1)).integers(0, 2, (n, 1)).astype("float32")


def model(optimizer="adam", row_sparse=True, **kwargs):
    keras.utils.set_random_seed(3)
    kwargs = {"initializer_stddev": 0.3, "embedding_dim": 4, "hidden_units": (8,), **kwargs}
    made = DeepFM(CARDINALITIES, row_sparse=row_sparse, **kwargs)
    made.build()
    made.compile(OPTIMIZERS[optimizer](), "binary_crossentropy")
    return made


def step(made, data):
    return made.train_on_batch(*data)


def tables(made):
    return [
        numpy(w).copy() for w in (made.field_embedding.embeddings, made.linear_embedding.embeddings)
    ]


def assert_equal_weights(one, two, atol=2e-6):
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=atol)


@pytest.mark.parametrize(
    ("optimizer", "l2"), [("adam", 0.0), *((name, 0.1) for name in OPTIMIZERS)]
)
def test_a_batch_that_touches_every_row_is_whole_table_training(optimizer, l2):
    # 40 rows: each id of the first field once, the second field's and the last one's repeated
    ids = np.stack([np.arange(40), 40 + np.arange(40) % 24, np.full(40, 64)], 1).astype("int32")
    values = np.random.default_rng(0).uniform(0.5, 1.5, (40, 3)).astype("float32")
    rows = model(optimizer, embedding_l2=l2)
    whole = model(optimizer, row_sparse=False, embedding_l2=l2 or DENSE)
    for seed in range(4):
        data = {"feature_ids": ids, "feature_values": values}, labels(40, seed)
        step(rows, data)
        step(whole, data)
    assert_equal_weights(rows, whole)
    assert np.abs(tables(rows)[0] - tables(model(optimizer))[0]).max() > 0.01


def test_untouched_rows_and_their_state_stay_as_they_are():
    made, data = model(embedding_l2=0.1), batch()
    before = tables(made)
    for _ in range(3):
        step(made, data)
    touched = np.isin(np.arange(65), data[0]["feature_ids"])
    for old, new in zip(before, tables(made), strict=True):
        np.testing.assert_array_equal(old[~touched], new[~touched])
        assert (np.abs(old - new).max(axis=1) > 0)[touched].all()
    states = [numpy(v) for v in made.optimizer.variables if v.shape == (65, 4)]
    assert len(states) == 2 and not any(state[~touched].any() for state in states)


def gradients(made, data):
    """The tables' gradients: what one step of size 1 takes away."""
    probe = model("sgd", row_sparse=False)
    probe.set_weights(made.get_weights())
    probe.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    before = tables(probe)
    step(probe, data)
    return [a - b for a, b in zip(before, tables(probe), strict=True)]


def test_the_gradient_is_the_slope_of_the_loss():
    made, data = model("sgd", row_sparse=False), batch()
    found = gradients(made, data)[0]
    weights, (row, column) = made.get_weights(), (int(data[0]["feature_ids"][0, 0]), 2)
    place = next(i for i, w in enumerate(weights) if w.shape == (65, 4))
    losses = []
    for change in (0.03, -0.03):
        moved = [w.copy() for w in weights]
        moved[place][row, column] += change
        made.set_weights(moved)
        losses.append(float(made.evaluate(*data, verbose=0)))
    slope = (losses[0] - losses[1]) / 0.06
    assert abs(slope) > 1e-4
    np.testing.assert_allclose(found[row, column], slope, rtol=0.02)


def test_lazy_adam_equals_a_numpy_oracle():
    made, l2 = model("adam", embedding_l2=0.05), 0.05
    want = [w.astype("float64") for w in tables(made)]
    moments = [(np.zeros_like(w), np.zeros_like(w)) for w in want]
    for t in range(1, 6):
        data = batch(6, seed=t)  # few rows: most pause for some steps
        touched = np.unique(data[0]["feature_ids"])
        for w, g, (m, v) in zip(want, gradients(made, data), moments, strict=True):
            g = g[touched] + l2 * w[touched]
            m[touched] = 0.8 * m[touched] + 0.2 * g
            v[touched] = 0.999 * v[touched] + 0.001 * g**2
            rate = 0.01 * np.sqrt(1 - 0.999**t) / (1 - 0.8**t)
            w[touched] -= rate * m[touched] / (np.sqrt(v[touched]) + 1e-3)
        step(made, data)
        for w, got in zip(want, tables(made), strict=True):
            np.testing.assert_allclose(got, w, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_a_resumed_run_equals_an_uninterrupted_one(optimizer, tmp_path):
    x, y = batch(200)
    options = {"batch_size": 32, "shuffle": False, "verbose": 0}
    whole, first = model(optimizer, embedding_l2=1e-3), model(optimizer, embedding_l2=1e-3)
    whole.fit(x, y, epochs=4, **options)
    first.fit(x, y, epochs=2, **options)
    first.save(tmp_path / "first.keras")
    again = keras.saving.load_model(tmp_path / "first.keras")
    assert again.row_sparse and again.field_embedding.trains_rows
    again.fit(x, y, epochs=4, initial_epoch=2, **options)
    assert_equal_weights(whole, again, atol=1e-6)


def test_fit_learns_with_callbacks_metrics_and_sample_weights(tmp_path):
    x, y = batch(400)
    y = (x["feature_ids"][:, :1] % 2).astype("float32")
    made = model(dropout=0.1)
    made.compile(keras.optimizers.Adam(0.02), "binary_crossentropy", metrics=["AUC"])
    history = made.fit(
        x,
        y,
        epochs=6,
        batch_size=50,
        verbose=0,
        sample_weight=np.ones(400),
        validation_data=batch(50, 1),
        callbacks=[
            keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", save_best_only=True),
            keras.callbacks.ReduceLROnPlateau(patience=1),
        ],
    ).history
    assert history["AUC"][-1] > 0.9 and history["loss"][-1] < history["loss"][0]
    assert (tmp_path / "best.keras").is_file()


def test_half_precision_trains_float32_tables():
    made = model(dtype="mixed_bfloat16")
    before = tables(made)
    loss = made.fit(*batch(64), verbose=0).history["loss"][0]
    assert np.isfinite(loss) and np.abs(tables(made)[0] - before[0]).max() > 0
    assert made.field_embedding.embeddings.dtype == "float32"


def test_reloop2_and_a_frozen_table():
    data = batch(64)
    base = model()
    reloop2 = ReLoop2(base, SketchErrorMemory(num_arrays=4, num_bits=3))
    reloop2.compile(OPTIMIZERS["adam"](), "binary_crossentropy")
    alone = model()
    reloop2.fit(*data, batch_size=64, verbose=0)
    alone.fit(*data, batch_size=64, verbose=0)
    assert_equal_weights(base, alone)
    base.field_embedding.trainable = False
    base.compile(OPTIMIZERS["adam"](), "binary_crossentropy")
    before = tables(base)
    base.fit(*data, verbose=0)
    np.testing.assert_array_equal(before[0], tables(base)[0])
    assert np.abs(before[1] - tables(base)[1]).max() > 0


class TwoLookups(DeepFM):
    """Looks its tables up twice, as a model with a candidate and a history does."""

    def call(self, inputs, training=False):
        turned = {**inputs, "feature_ids": keras.ops.flip(inputs["feature_ids"], 0)}
        return 0.5 * (super().call(inputs, training) + super().call(turned, training))


def test_lookups_of_one_table_add_up():
    made = []
    for flag in (True, False):
        keras.utils.set_random_seed(3)
        options = {"initializer_stddev": 0.3, "embedding_l2": DENSE, "row_sparse": flag}
        made.append(TwoLookups(CARDINALITIES, 4, (8,), **options))
        made[-1].build()
        made[-1].compile("adam", "binary_crossentropy")
        step(made[-1], batch())  # from zero state, lazy Adam's first step is Adam's
    assert_equal_weights(*made)


def test_a_table_much_larger_than_the_batch():
    rng, made = np.random.default_rng(0), []
    # half of the rows repeat ids of the other half; the last field has one id
    ids = np.stack([rng.integers(0, 9000, 16), 9000 + rng.integers(0, 24, 16), [9024] * 16], 1)
    data = batch(32)[0] | {"feature_ids": np.concatenate([ids, ids]).astype("int32")}, labels(32)
    for flag in (True, False):
        keras.utils.set_random_seed(3)
        options = {"initializer_stddev": 0.3, "embedding_l2": DENSE, "row_sparse": flag}
        made.append(DeepFM([9000, 24, 1], 4, (8,), **options))
        made[-1].build()
        made[-1].compile(OPTIMIZERS["adam"](), "binary_crossentropy")
        step(made[-1], data)  # from zero state, lazy Adam's first step is Adam's
    assert_equal_weights(*made)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        ("rmsprop", "RMSprop has no row-wise step"),
        ("adamw", "AdamW has no row-wise step"),
        (keras.optimizers.Adam(amsgrad=True), "amsgrad"),
        (keras.optimizers.Adam(clipnorm=1.0), "`clipnorm`"),
        (keras.optimizers.Adam(use_ema=True), "`use_ema`"),
        (keras.optimizers.SGD(weight_decay=0.1), "`weight_decay`"),
        (keras.optimizers.Adam(gradient_accumulation_steps=2), "accumulation"),
    ],
)
def test_where_it_cannot_apply_it_says_so_and_trains_the_whole_table(optimizer, message):
    made, x = model(embedding_l2=0.1), batch()[0]
    with pytest.warns(UserWarning, match=message):
        made.compile(optimizer, "binary_crossentropy")
    assert len(made.losses) == 2  # L2 is back in the loss
    made.fit(*batch(), verbose=0)
    untouched = ~np.isin(np.arange(65), x["feature_ids"])
    assert untouched.any()


def test_another_regularizer_is_refused():
    class Other(DeepFM):
        def build(self, input_shape=None):
            self.field_embedding.embeddings_regularizer = keras.regularizers.L1(0.1)
            super().build(input_shape)

    made = Other(CARDINALITIES, 4, (8,), row_sparse=True)
    made.build()
    with pytest.warns(UserWarning, match="L1 of `field_embedding` is not L2"):
        made.compile("adam", "binary_crossentropy")


def test_an_id_out_of_range_does_not_pass_in_silence():
    layer = FieldEmbedding(5, 2)
    layer.build((None, 1), (None, 1))
    ids, values = keras.ops.convert_to_tensor([[5]], "int32"), keras.ops.ones((1, 1))
    try:
        found = numpy(layer(ids, values))
    except Exception as error:
        assert keras.backend.backend() != "jax"
        assert re.search(r"(?i)out of range|not in \[0, 5\)", str(error))
    else:  # on JAX, and on PyTorch's GPU, whose process would be of no use after an error
        assert np.isnan(found).all()


def test_a_gpus_lookup_gives_nan_for_an_id_out_of_range():
    """What a GPU does, on any device: the kernel is asked for rows that are there."""
    table = keras.ops.convert_to_tensor(np.arange(10.0, dtype="float32").reshape(5, 2))
    ids = keras.ops.convert_to_tensor([[0, 4], [-1, 5]], "int32")
    found = numpy(take_or_nan(lambda rows, kept: keras.ops.take(rows, kept, axis=0), table, ids))
    np.testing.assert_array_equal(found[0], [[0, 1], [8, 9]])
    assert np.isnan(found[1]).all()

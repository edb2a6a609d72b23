"""`DeepFM(hashed=...)`: rows by hash for values that training never saw, on one Keras backend."""

import dataclasses

import keras
import numpy as np
import pytest

from reloop2_keras import Candidates, DeepFM, PreparedDataset, ReLoop2, SketchErrorMemory, compare
from reloop2_keras.core.hashed_rows import HashedRows
from reloop2_keras.models import neutral
from reloop2_keras.models.early_stopping import train_base
from reloop2_keras.streaming.arms import FrozenBase, IncrementalBase

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy
FIELDS = [20, 10, 1]
STARTS = np.array([0, 20, 30])


def batch(n=64, seed=0, known=False):
    """Ids of which a third is unknown, values, and hashes of both signs."""
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(1, size, n) if size > 1 else np.zeros(n) for size in FIELDS], 1)
    if not known:
        ids[rng.random((n, 3)) < 1 / 3] = 0
    x = {
        "feature_ids": (ids + STARTS).astype("int32"),
        "feature_values": rng.uniform(0.5, 1.5, (n, 3)).astype("float32"),
        "feature_hashes": rng.integers(-(2**31), 2**31, (n, 3)).astype("int32"),
    }
    return x, rng.integers(0, 2, (n, 1)).astype("float32")


def deepfm(hashed=6, seed=3, **kwargs):
    keras.utils.set_random_seed(seed)
    kwargs = {"embedding_dim": 4, "hidden_units": (8, 6), "initializer_stddev": 0.3, **kwargs}
    made = DeepFM(FIELDS, hashed=hashed, **kwargs)
    made.build()
    return made


def filled(**kwargs):
    """A model whose hashed rows are not zeros."""
    made, rng = deepfm(**kwargs), np.random.default_rng(0)
    for layer in (made.field_embedding, made.linear_embedding):
        table = numpy(layer.embeddings)
        layer.embeddings.assign(rng.normal(0, 0.3, table.shape).astype("float32"))
    return made


def tensors(x):
    return {name: keras.ops.convert_to_tensor(array) for name, array in x.items()}


def test_logits_are_those_of_the_rows_that_core_says():
    made, (x, _) = filled(), batch()
    rows = HashedRows.of(made.fields, made.hashed).rows(x["feature_ids"], x["feature_hashes"])
    table = numpy(made.field_embedding.embeddings)
    want = table[rows] * x["feature_values"][..., None]
    found = numpy(made.logits_and_keys(tensors(x))["embedding"]).reshape(want.shape)
    np.testing.assert_allclose(found, want, rtol=1e-6)
    assert (rows >= 31).mean() > 0.15 and (rows < 31).mean() > 0.3


def test_without_new_values_nothing_changes():
    (x, y), without = batch(known=True), {}
    for hashed in (None, 6):
        made = deepfm(hashed, embedding_l2=1e-3, dropout=0.2)
        made.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
        keras.utils.set_random_seed(5)
        made.fit(x, y, batch_size=16, epochs=2, verbose=0, shuffle=False)
        without[hashed] = made.predict(x, verbose=0)
    np.testing.assert_allclose(without[6], without[None], atol=1e-6)


def test_a_trained_model_gets_hashed_rows_and_predicts_the_same():
    plain, (x, y) = deepfm(None, dropout=0.1), batch()
    plain.compile("adam", "binary_crossentropy")
    plain.fit(x, y, verbose=0)
    grown = plain.with_hashed(5)
    assert grown.hashed == [5, 5, 0] and plain.hashed is None
    np.testing.assert_allclose(
        grown.predict(x, verbose=0), plain.predict(x, verbose=0), rtol=0, atol=1e-7
    )
    for refused in (grown, DeepFM(FIELDS)):
        with pytest.raises(ValueError, match="`with_hashed` is for"):
            refused.with_hashed()


def test_a_value_never_trained_reads_as_zeros():
    made, (x, _) = deepfm(), batch(8)
    x["feature_ids"][:, 0] = 0
    vectors = numpy(made.logits_and_keys(tensors(x))["embedding"]).reshape(8, 3, 4)
    assert (vectors[:, 0] == 0).all()


@pytest.mark.parametrize("row_sparse", [False, True])
def test_two_new_values_are_learnt_apart(row_sparse):
    made, (x, _) = deepfm(row_sparse=row_sparse), batch(64)
    x["feature_ids"][:, 0] = 0  # all users are new
    x["feature_hashes"][:, 0] = np.where(np.arange(64) % 2, 1000, -7)
    y = (np.arange(64) % 2).astype("uint8")
    slow = IncrementalBase(made, learning_rate=0.05, batch_size=16, epochs=10)
    before = slow.serve(x)["probability"]
    slow.observe({**x, "label": y})
    after = slow.serve(x)["probability"]
    assert np.abs(before[y == 1].mean() - before[y == 0].mean()) < 0.2
    assert after[y == 1].min() > 0.5 > after[y == 0].max()
    # the copy learnt: neither the base nor rows that nobody has
    unmoved = FrozenBase(made).serve(x)["probability"]
    np.testing.assert_allclose(unmoved, before, rtol=0, atol=1e-6)  # one of them may use XLA
    tables = [numpy(base.field_embedding.embeddings) for base in (made, slow.base)]
    moved = np.flatnonzero((tables[0] != tables[1]).any(1))
    rows = made._rows.rows(x["feature_ids"], x["feature_hashes"])
    assert set(moved) == set(rows.ravel())


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_row_sparse_is_dense_training_where_a_batch_has_all_rows(optimizer):
    # Every row of a field's table in each batch: lazy and whole updates are then the same.
    n, results = 64, []
    rng = np.random.default_rng(1)
    ids = np.concatenate([np.zeros(16), np.arange(1, 20), np.full(29, 5)])
    hashes = np.concatenate([np.arange(16), rng.integers(0, 16, 48)])
    x = {
        "feature_ids": np.stack([ids, np.full(n, 20 + 3), np.full(n, 30)], 1).astype("int32"),
        "feature_values": np.ones((n, 3), "float32"),
        "feature_hashes": np.stack([hashes] * 3, 1).astype("int32"),
    }
    for row_sparse in (False, True):
        made = deepfm([4, 0, 0], row_sparse=row_sparse, embedding_l2=0.0 if row_sparse else 1e-30)
        made.compile(
            keras.optimizers.Adam(0.01) if optimizer == "adam" else keras.optimizers.SGD(0.5),
            "binary_crossentropy",
        )
        for seed in range(3):
            made.train_on_batch(x, np.random.default_rng(seed).integers(0, 2, (n, 1)))
        results.append(made)
    for one, two in zip(*(made.get_weights() for made in results), strict=True):
        np.testing.assert_allclose(one, two, atol=3e-6)


def test_files_keep_rows_and_bits(tmp_path):
    made, (x, y) = filled(row_sparse=True), batch()
    made.compile("adam", "binary_crossentropy")
    made.fit(x, y, batch_size=32, verbose=0)
    want = made.predict(x, verbose=0)
    made.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.hashed == [6, 6, 0] and loaded.row_sparse
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), want)
    neutral.dump(made, tmp_path / "m.npz")
    np.testing.assert_array_equal(neutral.load(tmp_path / "m.npz").predict(x, verbose=0), want)


def test_inputs_without_hashes_are_one_error():
    made, (x, y) = deepfm(), batch()
    made.compile("adam", "binary_crossentropy")
    less = {name: x[name] for name in ("feature_ids", "feature_values")}
    for call in (
        lambda: made(less),
        lambda: made.predict(less, verbose=0),
        lambda: made.fit(less, y, verbose=0),
        lambda: made.logits_and_keys(tensors(less)),
        lambda: FrozenBase(made)._serving(less),
    ):
        with pytest.raises(ValueError, match="feature_hashes"):
            call()
    floats = {**x, "feature_hashes": x["feature_hashes"].astype("float32")}
    with pytest.raises(ValueError, match="feature_hashes.*integers"):
        made.predict(floats, verbose=0)
    with pytest.raises(ValueError, match="feature_hashes.*shape"):
        made.predict({**x, "feature_hashes": x["feature_hashes"][:, :2]}, verbose=0)


@pytest.mark.parametrize("hashed", [31, -1, [3, 3], "many", [1.5, 0, 0]])
def test_bad_bits_are_one_error(hashed):
    with pytest.raises(ValueError, match="`hashed` must"):
        deepfm(hashed)


def test_reloop2_over_a_hashed_base(tmp_path):
    (x, y), (more, labels) = batch(), batch(seed=1)
    memory = ReLoop2(filled(), SketchErrorMemory(8, 4, key_normalization="none"))
    online = ReLoop2(filled(), rule="online")
    online.warm_start([(x, y)])
    for number, model in enumerate((memory, online)):
        served = model.serve(x)
        base = model.base.predict(x, verbose=0)[:, 0]
        np.testing.assert_allclose(served["probability"], base, atol=1e-6)
        model.observe(served, y)
        want = model.predict(more, verbose=0)
        model.save(tmp_path / f"{number}.keras")
        again = keras.saving.load_model(tmp_path / f"{number}.keras")
        np.testing.assert_allclose(again.predict(more, verbose=0), want, atol=1e-6)
        model.observe(more, labels)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    from data_scripts import prepare, synthetic

    out = tmp_path_factory.mktemp("hashed") / "dataset"
    prepare(synthetic(rows=3000, users=100, items=40), out, slots=2, progress=False)
    return PreparedDataset(out)


def test_a_dataset_without_hashes_is_refused_and_one_with_them_trains(dataset):
    made, _ = train_base(
        dataset, hashed=True, max_epochs=1, embedding_dim=4, hidden_units=[8], search=None
    )
    with pytest.raises(ValueError, match="hashes=True"):
        made.fit(dataset.train(512), verbose=0)
    assert made.hashed[0] == 0 and max(made.hashed) >= 8  # numbers have no new values


def test_both_kinds_of_incremental_training_are_compared(dataset):
    arms = ["frozen", "incremental", "incremental hashed", "online+incremental"]
    options = {"max_epochs": 1, "embedding_dim": 4, "hidden_units": [8], "search": None}
    few = Candidates(validation_slots=2, learning_rates=(1e-3, 1e-2))
    report = compare(dataset, arms=arms, base_options=options, settings=few, progress=False)
    assert report.arms == arms
    assert report.info["picked"][0]["candidate"] in arms[1:3]
    plain, hashed = (report.predictions[arm][0] for arm in arms[1:3])
    assert np.abs(plain - hashed).max() > 1e-3
    # a base that was trained with hashed rows serves all arms
    arms = ["frozen", "exact", "incremental", "incremental hashed"]
    few = dataclasses.replace(few, learning_rates=(1e-3,), exact_capacity=500, num_neighbors=10)
    options["hashed"] = 9
    report = compare(dataset, arms=arms, base_options=options, settings=few, progress=False)
    assert report.arms == arms
    other = keras.Sequential([keras.layers.Dense(1, "sigmoid")])
    with pytest.raises(ValueError, match="no DeepFM"):
        compare(dataset, other, ["incremental hashed"], progress=False)

"""`train_base` for Keras models: where its search starts, what it keeps, and what a user fixes."""

import numpy as np
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras import PreparedDataset, compare
from reloop2_keras.core.base_search import GAIN, BaseSearch
from reloop2_keras.core.linear_start import choose_linear
from reloop2_keras.core.logistic import logits
from reloop2_keras.core.metrics import logloss
from reloop2_keras.models import train_base
from reloop2_keras.models.base_trial import BaseTrial

pytestmark = [pytest.mark.backend]

SMALL = {"embedding_dim": 4, "hidden_units": (8,), "max_epochs": 3}
AXES = {"learning_rate": ((1e-3, 1e-2), 1e-2)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("base") / "dataset"
    prepare(synthetic(rows=3000, users=100, items=40), out, slots=2, progress=False)
    return PreparedDataset(out)


@pytest.fixture(scope="module")
def found(dataset):
    search = BaseSearch(1e9, AXES, progress=False)
    options = {**SMALL, "embedding_l2": 0.001, "dropout": 0.0, "search": search}
    return search, options, train_base(dataset, 7, **options)


def on_validation(model, dataset):
    arrays = dataset.validation_slots(1)[0].load()
    names = ("feature_ids", "feature_values", "feature_hashes")
    x = {name: arrays[name] for name in names[: 3 if model.takes_hashes else 2]}
    return arrays, model.predict(x, verbose=0)[:, 0]


@pytest.mark.parametrize("hashed", [False, True])
def test_a_training_starts_at_the_logistic_regression(dataset, hashed):
    linear, _ = choose_linear(dataset, (hashed,), 0.003)
    options = {"learning_rate": 1e-3, "hashed": hashed, "embedding_l2": 0.1, "linear_l2": 0.003}
    trial = BaseTrial(dataset, 7, 256, linear, **options)
    arrays, p = on_validation(trial.model, dataset)
    np.testing.assert_allclose(trial.predict(arrays), p, atol=1e-6)
    rows = arrays["feature_ids"]
    if hashed:
        rows = trial.model._rows.rows(rows, arrays["feature_hashes"])
    values = arrays["feature_values"]
    z = logits(rows, values, linear.weights.astype("float64"), linear.constant)
    # embeddings of deviation .01 add that much
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), atol=0.01)
    assert len(np.unique(p.round(3))) > 20
    before = trial.weights()
    trial.epoch()
    assert all((a != b).any() for a, b in zip(before, trial.weights(), strict=True))
    trial.restore(before)
    np.testing.assert_allclose(on_validation(trial.model, dataset)[1], p, atol=1e-6)


def test_each_penalty_pulls_at_its_own_table(dataset):
    linear, _ = choose_linear(dataset, (False,), 0.003)
    options = {"learning_rate": 1e-3, "hashed": False}
    strong = BaseTrial(dataset, 7, 256, linear, embedding_l2=0.0, linear_l2=9.0, **options)
    other = BaseTrial(dataset, 7, 256, linear, embedding_l2=9.0, linear_l2=0.0, **options)
    for trial in (strong, other):
        for _ in range(3):
            trial.epoch()
    norms = [
        [
            np.linalg.norm(w)
            for w in (
                t.model.linear_embedding.get_weights()[0],
                t.model.field_embedding.get_weights()[0],
            )
        ]
        for t in (strong, other)
    ]
    assert norms[0][0] < norms[1][0] and norms[1][1] < norms[0][1]


def test_the_search_keeps_the_best_epoch_of_the_best_training(dataset, found):
    search, options, (model, history) = found
    arrays, p = on_validation(model, dataset)
    rate = search.picked["learning_rate"]
    (tried,) = (row for row in search.report["tried"] if row["learning_rate"] == rate)
    assert tried["score"] <= min(row["score"] for row in search.report["tried"]) + GAIN
    best = tried["logloss"]
    np.testing.assert_allclose(logloss(arrays["label"], p), best, atol=1e-6)
    assert min(history["val_score"]) == tried["score"] <= history["val_score"][0]
    assert len(search.report["tried"]) == 2
    assert {row["learning_rate"] for row in search.report["tried"]} == {1e-3, 1e-2}
    assert (model.embedding_dim, model.hidden_units, model.dropout) == (4, [8], 0.0)
    assert model.embedding_l2 == 0.001 and model.linear_l2 == search.picked["linear_l2"]
    # for another seed: the same options, one training
    tried = list(search.report["tried"])
    again, _ = train_base(dataset, 8, **options)
    assert search.report["tried"] == tried
    assert again.get_config() == {**model.get_config(), "name": again.name}
    assert (again.get_weights()[0] != model.get_weights()[0]).any()


def test_without_a_search_nothing_is_chosen(dataset):
    model, history = train_base(dataset, 7, max_epochs=1, search=None)
    assert (model.embedding_dim, model.dropout, model.embedding_l2) == (16, 0.2, 1e-6)
    assert model.linear_l2 is None and not model.takes_hashes
    assert set(history) >= {"loss", "auc", "val_auc"}


def test_a_comparison_notes_what_was_picked(dataset):
    search = BaseSearch(0, AXES, progress=False)
    options = {**SMALL, "embedding_l2": 0.001, "dropout": 0.0, "search": search}
    report = compare(dataset, None, ["frozen"], [7, 8], base_options=options, progress=False)
    assert report.info["search"]["picked"] == search.picked
    assert len(report.info["search"]["tried"]) == 1
    assert "search" not in report.info["base"] and report.info["base"]["embedding_dim"] == 4

"""`train_base` for MindSpore models: as for Keras, over the same search of core."""

import inspect

import numpy as np
import pytest
from ms_support import ms

from mindspore_port import PreparedDataset
from mindspore_port.models import train_base
from mindspore_port.models.base_trial import BaseTrial
from reloop2_keras.core.base_search import BaseSearch
from reloop2_keras.core.linear_start import choose_linear
from reloop2_keras.core.logistic import logits
from reloop2_keras.core.metrics import logloss


@pytest.fixture(scope="module")
def dataset(folder):
    return PreparedDataset(folder)


@pytest.mark.parametrize("hashed", [False, True])
def test_a_training_starts_at_the_logistic_regression(dataset, hashed):
    linear, _ = choose_linear(dataset, (hashed,), 0.003)
    options = {"learning_rate": 1e-3, "hashed": hashed, "embedding_l2": 0.1, "linear_l2": 0.003}
    trial = BaseTrial(dataset, 7, 512, linear, **options)
    arrays = dataset.validation_slots(1)[0].load()
    rows = trial.model.hashed_rows.rows(arrays["feature_ids"], arrays["feature_hashes"])
    z = logits(rows, arrays["feature_values"], linear.weights.astype("float64"), linear.constant)
    p = trial.predict(arrays)
    # embeddings of deviation .01 add that much
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-z)), atol=0.01)
    before = trial.weights()
    trial.epoch()
    moved = [(a != b).any() for a, b in zip(before, trial.weights(), strict=True)]
    assert sum(moved) >= len(moved) - 1  # all but the count of steps without dropout
    trial.restore(before)
    np.testing.assert_allclose(trial.predict(arrays), p, atol=1e-6)


@pytest.mark.parametrize("row_sparse", [False, True])
def test_each_penalty_pulls_at_its_own_table(dataset, row_sparse):
    linear, _ = choose_linear(dataset, (False,), 0.003)

    def norms(**penalties):
        trial = BaseTrial(
            dataset, 7, 512, linear, 1e-3, row_sparse=row_sparse, hashed=False, **penalties
        )
        trial.epoch()
        tables = trial.model.linear_embedding, trial.model.field_embedding
        return [np.linalg.norm(table.embeddings.asnumpy()) for table in tables]

    strong = norms(embedding_l2=0.0, linear_l2=9.0)
    other = norms(embedding_l2=9.0, linear_l2=0.0)
    assert strong[0] < other[0] and other[1] < strong[1]


def test_the_search_keeps_the_best_epoch_of_the_best_training(dataset):
    axes = {"learning_rate": ((1e-3, 1e-2), 1e-2)}
    search = BaseSearch(1e9, axes, progress=False)
    ms.set_context(mode=ms.GRAPH_MODE)
    options = {"embedding_dim": 4, "hidden_units": (8,), "max_epochs": 2, "search": search}
    model, history = train_base(dataset, 7, **options)
    arrays = dataset.validation_slots(1)[0].load()
    linear, _ = choose_linear(dataset, (search.picked["hashed"],), search.picked["linear_l2"])
    p = BaseTrial.predict(_Served(model), arrays)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    tried = min(search.report["tried"], key=lambda row: row["score"])
    best = tried["logloss"]
    np.testing.assert_allclose(logloss(arrays["label"], p), best, atol=1e-6)
    assert min(history["val_score"]) == tried["score"] <= history["val_score"][0]
    np.testing.assert_allclose(history["val_logloss"][0], linear.row["logloss"], atol=2e-3)
    assert len(search.report["tried"]) == 2 and model.embedding_dim == 4
    assert model.linear_l2 == search.picked["linear_l2"]


class _Served:
    def __init__(self, model):
        from mindspore_port.models.serving import Serving

        self._serving = Serving(model, ())


def test_the_signature_is_that_of_keras():
    source = pytest.importorskip("reloop2_keras.models.early_stopping")
    ours, theirs = (inspect.signature(f).parameters for f in (train_base, source.train_base))
    assert [str(p).partition(":")[0] for p in ours.values()] == [
        str(p).partition(":")[0] for p in theirs.values()
    ]
    assert [p.default for p in ours.values()] == [p.default for p in theirs.values()]

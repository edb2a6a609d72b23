"""The search of a base's options: its order, budget and early stopping; the linear start."""

import itertools
import math
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_scripts import prepare, synthetic
from reloop2_keras.core import base_search, early_stopping, linear_start, logistic
from reloop2_keras.core.base_search import BaseSearch, with_search
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.early_stopping import stopped_early
from reloop2_keras.core.linear_start import choose_linear
from reloop2_keras.core.metrics import logloss

AXES = {"embedding_l2": ((1.0, 2.0, 4.0, 8.0), 4.0), "dropout": ((0.0, 0.5), 0.5)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "dataset"
    prepare(synthetic(rows=3000, users=100, items=40), out, slots=2, progress=False)
    return PreparedDataset(out)


class Curve:
    """A trial whose validation log losses are given."""

    def __init__(self, losses):
        self.losses, self.done, self.model = losses, 0, types.SimpleNamespace(at=0)

    def epoch(self):
        self.done += 1
        self.model.at = self.done
        return 1.0

    def weights(self):
        return self.model.at

    def restore(self, weights):
        self.model.at = weights


def scores(trial):
    score = trial.losses[min(trial.done, len(trial.losses) - 1)]
    return {"score": score, "logloss": 2 * score, "auc": 0.5}


def design(seed, n=60, fields=3, size=8):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, size, (n, fields)).astype("int32")
    values = rng.normal(size=(n, fields)).astype("float32")
    return rows, values, rng.integers(0, 2, n), size + 1


def dense(rows, values, size):
    x = np.zeros((len(rows), size))
    for i, k in itertools.product(range(len(rows)), range(rows.shape[1])):
        x[i, rows[i, k]] += values[i, k]
    return x


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-4, 0.01, 1.0]))
def test_the_logistic_regression_is_at_its_optimum(seed, penalty):
    rows, values, labels, size = design(seed)
    labels[:2] = 0, 1
    *_, (weights, constant) = logistic.logistic_path(rows, values, labels, size, [1.0, penalty])
    x = dense(rows, values, size)
    p = 1 / (1 + np.exp(-(x @ weights + constant)))
    slope = x.T @ (p - labels) / len(labels) + penalty * weights
    start = x.T @ (np.mean(labels) - labels) / len(labels)
    assert np.abs(slope).max() <= 2e-3 * np.abs(start).max()
    assert abs(np.mean(p - labels)) < 2e-3
    assert weights[-1] == 0  # no row names it


@pytest.mark.parametrize("compiled", [True, False])
def test_kernels_equal_the_dense_design(compiled, monkeypatch):
    monkeypatch.setattr(logistic, "COMPILED", compiled and logistic.COMPILED)
    rows, values, _, size = design(5)
    rng = np.random.default_rng(1)
    curves, vector = rng.random(len(rows)), rng.normal(size=size)
    x = dense(rows, values, size)
    np.testing.assert_allclose(logistic.logits(rows, values, vector, 0.3), x @ vector + 0.3)
    moved, total = logistic.curvature(rows, values, curves, vector, 0.3)
    want = curves * (x @ vector + 0.3)
    np.testing.assert_allclose(moved, x.T @ want, atol=1e-12)
    np.testing.assert_allclose(total, want.sum())


def test_bad_penalties_and_shapes_are_told():
    rows, values, labels, size = design(1)
    with pytest.raises(ValueError, match="`penalties`"):
        list(logistic.logistic_path(rows, values, labels, size, [0.0]))
    with pytest.raises(ValueError, match="`rows` and `values`"):
        list(logistic.logistic_path(rows, values[:, :1], labels, size, [1.0]))


def test_the_linear_part_is_the_best_of_what_was_tried(dataset):
    linear, tried = choose_linear(dataset)
    best = min(row["logloss"] for row in tried)
    assert linear.row["logloss"] <= best + linear_start.GAIN
    assert linear.row["hashed"] or linear.row["logloss"] == best
    assert {row["hashed"] for row in tried} == {False, True}
    one, rows = choose_linear(dataset, (True,), linear_l2=0.01)
    assert one.linear_l2 == 0.01 and len(rows) == 1
    assert len(one.weights) > dataset.num_ids == len(choose_linear(dataset, (False,))[0].weights)


def test_only_the_newest_rows_are_fitted(dataset):
    train = linear_start._newest(dataset, 100)
    every = linear_start._newest(dataset, 10**9)
    assert len(train["label"]) == 100
    np.testing.assert_array_equal(train["feature_ids"], every["feature_ids"][-100:])


@pytest.mark.parametrize(
    ("losses", "epochs", "kept"),
    [
        ([0.5, 0.5, 0.5, 0.4, 0.41, 0.41, 0.41, 0.1], 6, 3),  # a plateau, then patience
        ([0.5, 0.4, 0.43, 0.1], 2, 1),  # lost
        ([0.5, 0.6], 1, 0),  # the linear part is best
        ([0.5, math.inf], 1, 0),
        ([0.5, 0.4, math.nan], 2, 1),
    ],
)
def test_early_stopping(losses, epochs, kept):
    trial = Curve(losses)
    history, cut = stopped_early(trial, scores, 0.7)
    assert (trial.done, trial.model.at, cut) == (epochs, kept, False)
    assert history["loss"][0] == 0.7 and len(history["val_auc"]) == epochs + 1


@pytest.mark.parametrize("seed", range(3))
def test_the_level_is_taken_out(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=500), rng.integers(0, 2, 500)
    near, far = (1 / (1 + np.exp(-(x + c))) for c in (0.0, -3.0))
    shifts = np.linspace(-2, 2, 4001)
    every = [logloss(y, 1 / (1 + np.exp(-(x + c)))) for c in shifts]
    for p in (near, far):
        np.testing.assert_allclose(early_stopping.leveled_logloss(y, p), min(every), atol=1e-6)
    # both labels alike, or a prediction of 0: no error and no endless loop
    assert early_stopping.leveled_logloss(np.ones(5), np.full(5, 0.5)) < 1e-6
    assert np.isfinite(early_stopping.leveled_logloss(y, np.r_[0.0, near[1:]]))


def test_a_training_that_never_is_finite_is_told():
    with pytest.raises(ValueError, match="finite"):
        stopped_early(Curve([math.nan]), scores, 0.7)


def test_a_training_is_cut_at_its_end():
    trial = Curve([0.5, 0.4, 0.3, 0.2])
    _, cut = stopped_early(trial, scores, 0.7, end=-math.inf)
    assert cut and trial.done == trial.model.at == 1


def searched(dataset, monkeypatch, loss_of, seconds=1e9, fixed=None, axes=AXES):
    """Search where the best log loss of a training is a function of its options."""
    monkeypatch.setattr(base_search, "ValidationScores", lambda dataset: scores)
    search, made = BaseSearch(seconds, axes, progress=False), []

    def start(options, linear):
        made.append(options)
        return Curve([0.69, loss_of(options), 0.69])

    model, history = search.train(dataset, fixed or {}, start, 30, 3)
    return search, made, model, history, start


def test_the_search_climbs_each_axis(dataset, monkeypatch):
    n = dataset.meta["periods"]["train"]["rows"]

    def loss(options):
        return 0.5 + abs(options["embedding_l2"] * n - 1.0) / 100 + options["dropout"] / 10

    search, made, _, history, start = searched(dataset, monkeypatch, loss)
    assert [round(o["embedding_l2"] * n, 1) for o in made] == [4, 2, 1, 1]
    assert search.picked["dropout"] == 0 and search.picked == made[-1]
    report = search.report
    assert report["complete"] and report["picked"] == search.picked and len(report["tried"]) == 4
    best = min(row["score"] for row in report["tried"])
    assert min(history["val_score"]) == best
    # the next seed trains what was picked, and nothing else
    search.train(dataset, {}, start, 30, 3)
    assert made[4:] == [search.picked]


def test_fixed_options_are_not_chosen(dataset, monkeypatch):
    fixed = {"embedding_l2": 0.25, "dropout": None, "hashed": False, "linear_l2": 0.01}
    fixed["embedding_dim"] = 4  # no axis of this search
    search, made, *_ = searched(dataset, monkeypatch, lambda o: 0.5 + o["dropout"], fixed=fixed)
    assert [o["dropout"] for o in made] == [0.5, 0.0]
    assert {o["embedding_dim"] for o in made} == {4}
    assert {o["learning_rate"] for o in made} == {1e-3}  # no axis and not fixed: the default
    assert {o["embedding_l2"] for o in made} == {0.25} and {o["linear_l2"] for o in made} == {0.01}
    assert {row["hashed"] for row in search.report["linear"]} == {False}


def test_a_gain_that_is_noise_moves_nothing(dataset, monkeypatch):
    search, made, *_ = searched(dataset, monkeypatch, lambda o: 0.5 + o["dropout"] * 1e-5)
    assert search.picked == made[0]


def test_without_time_there_is_one_training(dataset, monkeypatch):
    search, made, *_ = searched(dataset, monkeypatch, lambda o: 0.5, seconds=0)
    assert len(made) == 1 and not search.report["complete"]


def test_wrong_arguments_of_a_search_are_told(dataset, monkeypatch):
    with pytest.raises(ValueError, match="`seconds`"):
        BaseSearch(-1)
    with pytest.raises(ValueError, match="`axes`"):
        BaseSearch(axes={"dropout": ((0.1,), 0.2)})
    search, _, _, _, start = searched(dataset, monkeypatch, lambda o: 0.5)
    with pytest.raises(ValueError, match="`search`"):
        search.train(types.SimpleNamespace(folder="elsewhere"), {}, start)


def test_a_comparison_searches_once_and_says_so():
    options, info = with_search(None, {"max_epochs": 2}, progress=False)
    assert options["search"].report is info["search"] and info["base"] == {"max_epochs": 2}
    assert with_search(None, {"search": None}, False)[1]["search"] is None
    assert with_search("model", None, False) == (None, {"base": {}})
    assert early_stopping.LOST > base_search.GAIN

"""A step of training really moves the weights; workers, padding, scales and rows add up."""

import numpy as np
import oracle
import pytest
from ms_support import CARDINALITIES, batch, ms, tensors, weights_of

from mindspore_port import DeepFM, PreparedDataset
from mindspore_port.models import TrainStep, adam, train_base
from mindspore_port.models.row_sparse_step import RowSparseStep


def deepfm(**kwargs):
    options = {"embedding_dim": 4, "hidden_units": (8, 6), "initializer_stddev": 0.5, "seed": 3}
    return DeepFM(CARDINALITIES, **{**options, **kwargs})


def arguments(n=64, pad=0):
    x = batch(n)
    weight = np.full(n, 1 / n, "float32")
    columns = [x["feature_ids"], x["feature_values"], x["label"].astype("float32"), weight]
    if pad:
        columns = [np.concatenate([c, np.zeros((pad, *c.shape[1:]), c.dtype)]) for c in columns]
    return [ms.Tensor(c) for c in columns]


def state(model):
    return [p.asnumpy().copy() for p in model.trainable_params()]


def log_loss(model, x):
    p = model(*tensors(x)).asnumpy()[:, 0].astype("float64")
    y = x["label"]
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def test_a_step_moves_every_weight_by_adams_first_step(mode):
    model = deepfm(embedding_l2=0.1)
    before, x = state(model), batch()
    want = log_loss(model, x) + float(model.penalty().asnumpy())
    loss = TrainStep(model, adam(model, 0.01))(*arguments())
    np.testing.assert_allclose(float(loss.asnumpy()), want, rtol=1e-5)
    moves = [np.abs(a - b) for a, b in zip(state(model), before, strict=True)]
    assert all(0.0099 < move.max() < 0.0101 for move in moves)
    # L2 of the WHOLE table: every row moves, by the learning rate, as Adam's first step does
    np.testing.assert_allclose(moves[0], 0.01, rtol=0.02)


def test_gradients_equal_finite_differences(mode):
    model, x = deepfm(), batch()
    step = TrainStep(model, adam(model))
    _, gradients = step.gradients(*arguments())
    weight = model.hidden_layers[0].weight
    index = [p.name for p in model.trainable_params()].index(weight.name)
    w = weights_of(model)

    def loss(kernel):
        w["hidden"][0] = (kernel, w["hidden"][0][1])
        p = oracle.deepfm(w, x["feature_ids"], x["feature_values"])[0]
        return -np.mean(x["label"] * np.log(p) + (1 - x["label"]) * np.log(1 - p))

    kernel = w["hidden"][0][0]
    for place in ((1, 0), (11, 5)):  # Keras' layout (in, out)
        nudge = np.zeros_like(kernel)
        nudge[place] = 1e-5
        want = (loss(kernel + nudge) - loss(kernel - nudge)) / 2e-5
        np.testing.assert_allclose(gradients[index].asnumpy()[place[::-1]], want, atol=1e-5)


def test_padding_weighs_nothing(mode):
    one, two = deepfm(), deepfm()
    TrainStep(one, adam(one))(*arguments())
    TrainStep(two, adam(two))(*arguments(pad=36))
    for a, b in zip(state(one), state(two), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_loss_scale_changes_nothing_but_skips_overflow(mode):
    plain, scaled = deepfm(), deepfm()
    TrainStep(plain, adam(plain))(*arguments())
    step = TrainStep(scaled, adam(scaled), loss_scale=1024.0)
    step(*arguments())
    for a, b in zip(state(plain), state(scaled), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    before = state(scaled)
    bad = arguments()
    bad[3] = ms.Tensor(np.full(64, np.inf, "float32"))
    step(*bad)
    for a, b in zip(state(scaled), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert float(step.scaler.scale_value.asnumpy()) == 512.0


def test_row_sparse_equals_adam_at_first_and_leaves_other_rows(mode):
    sparse, dense = deepfm(), deepfm()
    lazy, full = RowSparseStep(sparse, 0.01), TrainStep(dense, adam(dense, 0.01))
    x = [a.asnumpy() for a in arguments(12)]
    for _ in range(3):  # the same rows again: Adam's moments of these rows agree
        loss = lazy(*lazy.prepare(*x))
        want = full(*(ms.Tensor(a) for a in x))
        np.testing.assert_allclose(loss.asnumpy(), want.asnumpy(), rtol=1e-5)
    for a, b in zip(state(sparse), state(dense), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    unnamed = np.setdiff1d(np.arange(31), x[0])
    fresh = deepfm().field_embedding.embeddings.asnumpy()
    assert len(unnamed) > 3
    got = sparse.field_embedding.embeddings.asnumpy()
    np.testing.assert_array_equal(got[unnamed], fresh[unnamed])


def test_row_sparse_l2_counts_a_row_once(mode):
    model = deepfm(embedding_l2=0.4)
    step = RowSparseStep(model)
    x = [a.asnumpy() for a in arguments()]
    want = log_loss(model, batch())
    rows = np.unique(x[0])
    tables = (model.field_embedding.embeddings, model.linear_embedding.embeddings)
    want += 0.2 * sum((t.asnumpy()[rows] ** 2).sum() for t in tables)
    np.testing.assert_allclose(step(*step.prepare(*x)).asnumpy(), want, rtol=1e-5)


def test_train_base_learns_and_repeats(folder):
    dataset = PreparedDataset(folder)
    ms.set_context(mode=ms.GRAPH_MODE)
    options = {"embedding_dim": 4, "hidden_units": (8,), "batch_size": 256, "max_epochs": 4}
    base, history = train_base(dataset, seed=5, learning_rate=0.01, search=None, **options)
    again, repeated = train_base(dataset, seed=5, learning_rate=0.01, search=None, **options)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    assert history["loss"][-1] < history["loss"][0] and max(history["val_auc"]) > 0.53
    np.testing.assert_allclose(history["loss"], repeated["loss"], rtol=1e-5)
    for a, b in zip(state(base), state(again), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_optimizers_of_mint_would_change_nothing():
    """The trap that `TrainStep` warns of; when this fails, the warning can go."""
    if not hasattr(ms.mint, "optim"):
        pytest.skip("this MindSpore has no mint.optim")
    layer = ms.nn.Dense(2, 1)
    optimizer = ms.mint.optim.SGD(layer.trainable_params(), lr=0.1)
    before = layer.weight.asnumpy().copy()
    optimizer(tuple(ms.ops.ones_like(p) for p in layer.trainable_params()))
    if (layer.weight.asnumpy() != before).any():
        pytest.fail("mint.optim works here now: update the docstring of TrainStep")

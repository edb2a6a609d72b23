"""DeepFM and its layers: by hand, against the float64 oracle, in both modes."""

import numpy as np
import oracle
import pytest
from ms_support import CARDINALITIES, batch, ms, tensors, weights_of

from mindspore_port import DeepFM, FactorizationMachine, FieldEmbedding
from mindspore_port.layers.seeded_dropout import SeededDropout
from mindspore_port.models import Serving
from mindspore_port.models.serving import in_batches


def deepfm(**kwargs):
    options = {"embedding_dim": 4, "hidden_units": (8, 6), "initializer_stddev": 0.5}
    return DeepFM(CARDINALITIES, **{**options, **kwargs})


def test_deepfm_equals_the_float64_oracle(mode):
    model, x = deepfm(), batch()
    p = model(*tensors(x)).asnumpy()
    assert p.shape == (64, 1) and p.std() > 0.05
    want, hidden, flat = oracle.deepfm(weights_of(model), x["feature_ids"], x["feature_values"])
    np.testing.assert_allclose(p[:, 0], want, atol=1e-5)
    served = Serving(model, ("hidden", "embedding"), batch_size=50)(x)
    np.testing.assert_allclose(served["probability"], want, atol=1e-5)
    np.testing.assert_allclose(served["logit"], np.log(want / (1 - want)), atol=1e-4)
    np.testing.assert_allclose(served["hidden"], hidden, atol=1e-4)
    np.testing.assert_allclose(served["embedding"], flat, atol=1e-5)
    assert {k: served[k].shape[1] for k in ("hidden", "embedding")} == model.key_dims


def test_layers_by_hand(mode):
    v = ms.Tensor([[[1.0, 2.0], [3.0, 4.0], [0.5, 0.0]]], ms.float32)
    np.testing.assert_allclose(FactorizationMachine()(v).asnumpy(), [[13.0]], atol=1e-5)
    layer = FieldEmbedding(10, 4)
    got = layer(ms.Tensor([[0, 7]], ms.int32), ms.Tensor([[1.0, 0.5]], ms.float32)).asnumpy()
    table = layer.embeddings.asnumpy()
    np.testing.assert_allclose(got[0], [table[0], 0.5 * table[7]])


def test_penalty_is_half_l2_times_the_squared_norm_of_both_tables():
    model = deepfm(embedding_l2=0.3)
    w = weights_of(model)
    want = 0.5 * 0.3 * ((w["V"] ** 2).sum() + (w["w"] ** 2).sum())
    np.testing.assert_allclose(float(model.penalty().asnumpy()), want, rtol=1e-5)


def test_the_seed_alone_makes_the_weights():
    one, two, other = deepfm(seed=3), deepfm(seed=3), deepfm(seed=4)
    for a, b in zip(one.get_parameters(), two.get_parameters(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
    table = "embeddings"
    assert (getattr(one.field_embedding, table) != getattr(other.field_embedding, table)).any()


def test_half_precision_is_near_and_gives_float32(mode):
    x = tensors(batch())
    half = deepfm(compute_dtype="float16", seed=2)(*x)
    assert half.dtype == ms.float32
    np.testing.assert_allclose(half.asnumpy(), deepfm(seed=2)(*x).asnumpy(), atol=0.02)


def test_dropout_acts_in_training_only_and_repeats_by_step(mode):
    layer = SeededDropout(0.25, seed=5)
    x = ms.ops.ones((400, 50))
    step = ms.Tensor(3, ms.int32)
    np.testing.assert_array_equal(layer(x, step).asnumpy(), 1)
    layer.set_train(True)
    first = layer(x, step).asnumpy()
    np.testing.assert_array_equal(first, layer(x, step).asnumpy())
    assert (first != layer(x, ms.Tensor(4, ms.int32)).asnumpy()).mean() > 0.3
    assert set(np.unique(first)) == {0, np.float32(4 / 3)}
    assert abs(first.mean() - 1) < 0.02  # 20,000 draws: sd .004
    assert np.abs((first > 0).mean(0) - 0.75).max() < 0.11
    with pytest.raises(ValueError, match="`rate`"):
        SeededDropout(1.5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"fields": []}, "`fields`"),
        ({"fields": [3, 0]}, "`fields`"),
        ({"fields": [3], "hidden_units": ()}, "`hidden_units`"),
        ({"fields": [3], "dropout": 1.0}, "`dropout`"),
        ({"fields": [3], "embedding_l2": -1}, "`embedding_l2`"),
        ({"fields": [3], "compute_dtype": "int8"}, "`compute_dtype`"),
        ({"fields": [3], "embedding_dim": 0}, "`embedding_dim`"),
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


def test_graph_mode_sees_few_numbers_of_rows(mode):
    sizes = []

    def step(inputs):
        sizes.append(len(inputs["x"]))
        return {"y": 2 * inputs["x"], "first": inputs["x"][:, 0]}

    x = np.random.default_rng(0).standard_normal((1100, 3)).astype("float32")
    asked = (1, 5, 256, 257, 300, 1100)
    for rows in asked:
        got = in_batches(step, {"x": x[:rows]}, 1000)
        np.testing.assert_array_equal(got["y"], 2 * x[:rows])
        np.testing.assert_array_equal(got["first"], x[:rows, 0])
    graph = [256, 256, 256, 512, 512, 1000, 256]
    assert sizes == (graph if mode == "graph" else [1, 5, 256, 257, 300, 1000, 100])
    small = in_batches(step, {"x": x[:7]}, 5)  # never above the batch size
    assert len(small["y"]) == 7 and max(sizes[-2:]) == 5
    with pytest.raises(ValueError, match="at least one row"):
        in_batches(step, {"x": x[:0]}, 5)

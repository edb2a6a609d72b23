"""`DeepFM(hashed=...)` on MindSpore: the same rows, files and logits as Keras, learnt apart."""

import importlib.util

import mindspore as ms
import numpy as np
import pytest
from ms_support import CARDINALITIES, batch, run_keras

from mindspore_port.convert import convert
from mindspore_port.data import PreparedDataset
from mindspore_port.export import export
from mindspore_port.layers import SketchErrorMemory
from mindspore_port.models.checkpoint_file import load_model, save_model
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.early_stopping import train_base
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.models.row_sparse_step import RowSparseStep
from mindspore_port.models.serving import Serving
from mindspore_port.models.train_step import TrainStep, adam
from mindspore_port.streaming.arms import FrozenBase, IncrementalBase
from mindspore_port.tensors import assign
from reloop2_keras.core.serving import OnnxBase

NAMES = ("feature_ids", "feature_values", "feature_hashes")
KERAS = """
import sys, numpy as np, keras
from reloop2_keras.models import neutral
model = neutral.load(sys.argv[1])
np.savez(sys.argv[3], **neutral.outputs(model, dict(np.load(sys.argv[2]))))
"""


def rows_of(n=64, seed=0):
    """A batch of which a third of the values is new."""
    x = batch(n, seed)
    new = np.random.default_rng(seed).random((n, 3)) < 1 / 3
    x["feature_ids"] = np.where(new, [0, 20, 30], x["feature_ids"]).astype("int32")
    return x


def deepfm(hashed=6, filled=True, **kwargs):
    kwargs = {"embedding_dim": 4, "hidden_units": (8, 6), "initializer_stddev": 0.3, **kwargs}
    made, rng = DeepFM(CARDINALITIES, hashed=hashed, **kwargs), np.random.default_rng(0)
    for layer in (made.field_embedding, made.linear_embedding) if filled else ():
        table = rng.normal(0, 0.3, layer.embeddings.shape)
        assign(layer.embeddings, table.astype("float32"))
    return made


def tensors(x):
    return [ms.Tensor(x[name]) for name in NAMES]


def arguments(x):
    label = x["label"].astype("float32")
    weight = np.full(len(label), 1 / len(label), "float32")
    columns = (x["feature_ids"], x["feature_values"], label, weight, x["feature_hashes"])
    return [ms.Tensor(column) for column in columns]


def state(model):
    return [parameter.asnumpy() for parameter in model.get_parameters()]


def test_rows_are_those_that_core_says(mode):
    made, x = deepfm(), rows_of()
    rows = made.hashed_rows.rows(x["feature_ids"], x["feature_hashes"])
    want = made.field_embedding.embeddings.asnumpy()[rows] * x["feature_values"][..., None]
    served = Serving(made, ("embedding",))(x)
    np.testing.assert_allclose(served["embedding"], want.reshape(64, -1), rtol=1e-6)
    np.testing.assert_allclose(made(*tensors(x)).asnumpy()[:, 0], served["probability"], atol=1e-6)
    assert 0.15 < (rows >= 31).mean() < 0.5


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs Keras beside it")
@pytest.mark.parametrize("backend", ["torch", "jax", "tensorflow"])
def test_logits_are_those_of_each_keras_backend(tmp_path, backend, forks):
    made, x = deepfm(), rows_of(256)
    save_model(made, tmp_path / "m.ckpt")
    convert("mindspore-to-keras", tmp_path / "m.ckpt", tmp_path / "m.npz")
    np.savez(tmp_path / "batch.npz", **{name: x[name] for name in NAMES})
    (tmp_path / "run.py").write_text(KERAS)
    files = [tmp_path / name for name in ("m.npz", "batch.npz", "out.npz")]
    run_keras(forks, backend, tmp_path / "run.py", *files)
    mine = Serving(made, ("hidden", "embedding"))(x)
    with np.load(tmp_path / "out.npz") as theirs:
        for name in ("logit", "hidden", "embedding"):
            want = theirs[name].reshape(mine[name].shape)
            np.testing.assert_allclose(mine[name], want, atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="needs Keras beside it")
def test_conversion_both_ways(tmp_path, monkeypatch, keras_forks):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    model = ReLoop2(deepfm(), SketchErrorMemory(8, 4, key_normalization="none"))
    x = rows_of()
    model.observe(x, x["label"])
    save_model(model, tmp_path / "m.ckpt")
    gaps = convert("mindspore-to-keras", tmp_path / "m.ckpt", tmp_path / "m.keras")
    again = convert("keras-to-mindspore", tmp_path / "m.keras", tmp_path / "n.ckpt")
    assert max(*gaps.values(), *again.values()) < 1e-5
    loaded = load_model(tmp_path / "n.ckpt")
    assert loaded.base.hashed == [6, 6, 0]
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


@pytest.mark.parametrize("row_sparse", [False, True])
def test_two_new_values_are_learnt_apart(mode, row_sparse):
    made, x = deepfm(filled=False), rows_of()
    x["feature_ids"][:, 0] = 0
    x["feature_hashes"][:, 0] = np.where(np.arange(64) % 2, 1000, -7)
    y = (np.arange(64) % 2).astype("uint8")
    slow = IncrementalBase(made, 0.05, batch_size=48, epochs=15, row_sparse=row_sparse)
    before = slow.serve(x)["probability"]
    slow.observe({**x, "label": y})
    after = slow.serve(x)["probability"]
    assert after[y == 1].min() > 0.5 > after[y == 0].max()
    np.testing.assert_array_equal(FrozenBase(made).serve(x)["probability"], before)
    tables = [base.field_embedding.embeddings.asnumpy() for base in (made, slow.base)]
    moved = set(np.flatnonzero((tables[0] != tables[1]).any(1)))
    assert moved == set(made.hashed_rows.rows(x["feature_ids"], x["feature_hashes"]).ravel())


def test_row_sparse_equals_adam_where_each_batch_has_the_same_rows(mode):
    sparse, dense, x = deepfm(), deepfm(), rows_of()
    lazy = RowSparseStep(sparse, 0.01, beta_1=0.5)
    full = TrainStep(dense, adam(dense, 0.01, beta_1=0.5))
    for _ in range(3):
        loss = lazy(*lazy.prepare(*arguments(x)))
        want = full(*full.prepare(*arguments(x)))
        np.testing.assert_allclose(loss.asnumpy(), want.asnumpy(), rtol=1e-5)
    for a, b in zip(state(sparse), state(dense), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_trained_model_gets_hashed_rows_and_predicts_the_same(mode):
    plain, x = deepfm(None), rows_of()
    grown = plain.with_hashed(5)
    one, two = (Serving(base, ())(x)["logit"] for base in (plain, grown))
    np.testing.assert_allclose(one, two, atol=1e-6)
    with pytest.raises(ValueError, match="no hashed rows"):
        grown.with_hashed()


def test_training_reads_hashes(folder):
    dataset = PreparedDataset(folder)
    ms.set_context(mode=ms.GRAPH_MODE)
    options = {"embedding_dim": 4, "hidden_units": (8,), "batch_size": 512, "max_epochs": 2}
    made = [
        train_base(dataset, 1, row_sparse=row_sparse, hashed=True, search=None, **options)[0]
        for row_sparse in (False, True)
    ]
    x = dataset.slots()[0].load()
    found = [Serving(base, ())(x)["probability"] for base in made]
    ms.set_context(mode=ms.PYNATIVE_MODE)
    assert all(base.takes_hashes for base in made) and np.isfinite(found).all()


def test_exported_files_give_the_same_logits(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    made, x = deepfm(), rows_of(77)
    save_model(made, tmp_path / "m.ckpt")
    for ending in ("onnx", "mindir"):
        export(tmp_path / "m.ckpt", tmp_path / f"m.{ending}")
    found = OnnxBase(tmp_path / "m.onnx").serve(x)["probability"]
    net = ms.nn.GraphCell(ms.load(str(tmp_path / "m.mindir")))
    want, logits = Serving(made, ())(x), net(*tensors(x)).asnumpy()
    np.testing.assert_allclose(logits[:, 0], want["logit"], atol=1e-5)
    np.testing.assert_allclose(found, want["probability"], atol=1e-5)


def test_inputs_without_hashes_are_one_error():
    made, x = deepfm(), rows_of()
    less = {name: x[name] for name in NAMES[:2]}
    for call in (lambda: made(*tensors(x)[:2]), lambda: Serving(made, ())(less)):
        with pytest.raises(ValueError, match="feature_hashes"):
            call()

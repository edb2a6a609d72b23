"""Keras models as ONNX files: what `OnnxBase` serves is what Keras predicts."""

import importlib.util

import keras
import numpy as np
import onnx_case
import pytest

from reloop2_keras import DeepFM, ReLoop2, SketchErrorMemory
from reloop2_keras.core.arms import Memory
from reloop2_keras.core.memories import ExactMemory
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.fast_part import OnlinePart
from reloop2_keras.core.serving import OnnxBase
from reloop2_keras.models.onnx_export import export_onnx, main
from reloop2_keras.models.serving import Serving
from reloop2_keras.streaming.arms import FrozenBase

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.backend
EXPORTER = {"torch": "onnx", "tensorflow": "tf2onnx", "jax": "jax2onnx"}  # what Keras calls
TRACES = importlib.util.find_spec(EXPORTER[keras.backend.backend()]) is not None


def inputs(rows=77, seed=1):
    x = onnx_case.batch(rows, seed=seed)
    return {name: x[name] for name in ("feature_ids", "feature_values")}


def trained(**options):
    keras.utils.set_random_seed(2)
    model = DeepFM(onnx_case.FIELDS, 4, (8, 6), initializer_stddev=0.5, **options)
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    model.fit(inputs(256), np.arange(256) % 2, batch_size=64, epochs=2, verbose=0)
    return model


def functional():
    keras.utils.set_random_seed(2)
    ids = keras.Input((3,), dtype="int32", name="feature_ids")
    values = keras.Input((3,), name="feature_values")
    vectors = keras.layers.Embedding(31, 4, embeddings_initializer="normal")(ids)
    x = keras.layers.Concatenate()([keras.layers.Flatten()(vectors), values])
    x = keras.layers.Dense(6, activation="relu", name="last")(x)
    out = keras.layers.Dense(1, activation="sigmoid")(keras.layers.Dropout(0.5)(x))
    return keras.Model({"feature_ids": ids, "feature_values": values}, out)


@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}, {"row_sparse": True}])
@pytest.mark.parametrize("rows", [1, 2, 77])
def test_a_trained_deepfm_serves_alike(options, rows, tmp_path):
    model, x = trained(**options), inputs(rows, seed=3)
    checksum = export_onnx(model, tmp_path / "base.onnx")
    base = OnnxBase(tmp_path / "base.onnx")
    want, found = FrozenBase(model).serve(x), base.serve(x)
    assert base.checksum == checksum and set(want) == set(found)
    for name, array in want.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)
    predicted = model.predict(x, verbose=0)[:, 0]
    np.testing.assert_allclose(found["probability"], predicted, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 77])
def test_a_hashed_deepfm_serves_alike(rows, tmp_path):
    keras.utils.set_random_seed(2)
    model = DeepFM(onnx_case.FIELDS, 4, (8, 6), initializer_stddev=0.5, hashed=[5, 3, 0])
    model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
    x = onnx_case.batch(256)
    x["feature_ids"][::2] = [0, 20, 30]
    model.fit(x, np.arange(256) % 2, batch_size=64, epochs=2, verbose=0)
    export_onnx(model, tmp_path / "base.onnx")
    part = {name: array[:rows] for name, array in x.items()}
    want, found = FrozenBase(model).serve(part), OnnxBase(tmp_path / "base.onnx").serve(part)
    for name, array in want.items():
        np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)


def test_arms_learn_the_same_over_either_base(tmp_path):
    model, fast = trained(), []
    export_onnx(model, tmp_path / "base.onnx")
    for base in (FrozenBase(model), OnnxBase(tmp_path / "base.onnx")):
        exact = ExactMemory(200, 5, key_normalization="none")
        exact.build(6)
        online = Online(3, ["deep"], block_rows=100)
        parts = [Memory(exact, "hidden", 0.5), OnlinePart(online)]
        shown = []
        for seed in range(4):
            x = onnx_case.batch(90, seed=seed)
            x["feature_hashes"] %= 9
            labels = np.random.default_rng(seed).integers(0, 2, 90)
            served = base.serve(x)
            kept = [part.predict(served) for part in parts]
            for part, (corrected, needed) in zip(parts, kept, strict=True):
                shown.append(corrected)
                part.observe(served, labels, needed)
        fast.append(({**exact.state(), **online.state()}, shown))
    (one, corrected), (other, mine) = fast
    np.testing.assert_allclose(mine, corrected, atol=1e-5)
    assert len(one) > 5 and set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_allclose(other[name], array, rtol=1e-4, atol=1e-4, err_msg=name)


def test_half_precision_is_served_in_whole_precision(tmp_path):
    model = trained(dtype="mixed_bfloat16")
    export_onnx(model, tmp_path / "base.onnx")
    whole = DeepFM.from_config({**model.get_config(), "dtype": "float32"})
    whole.build()
    whole.set_weights(model.get_weights())
    served = OnnxBase(tmp_path / "base.onnx").serve(inputs())
    want = whole.predict(inputs(), verbose=0)[:, 0]
    np.testing.assert_allclose(served["probability"], want, atol=1e-5)


def test_of_a_reloop2_the_base_is_written(tmp_path):
    base = trained()
    around = ReLoop2(base, SketchErrorMemory(5, 4, key_normalization="none"))
    around.observe(inputs(), np.arange(77) % 2)
    export_onnx(around, tmp_path / "around.onnx")
    export_onnx(base, tmp_path / "base.onnx")
    assert (tmp_path / "around.onnx").read_bytes() == (tmp_path / "base.onnx").read_bytes()


def test_keras_own_method_writes_the_same_file(tmp_path):
    base = trained()
    export_onnx(base, tmp_path / "one.onnx")
    base.export(tmp_path / "two.onnx", format="onnx", verbose=False)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    with pytest.raises(ValueError, match="opset_version"):
        base.export(tmp_path / "two.onnx", format="onnx", opset_version=11)


def test_the_command_line(tmp_path, capsys):
    trained().save(tmp_path / "base.keras")
    assert main([str(tmp_path / "base.keras"), str(tmp_path / "base.onnx")]) == 0
    assert "written" in capsys.readouterr().out
    assert OnnxBase(tmp_path / "base.onnx").key_dims == {"hidden": 6, "embedding": 12}
    assert main([str(tmp_path / "none.keras"), str(tmp_path / "none.onnx")]) == 2
    assert "none.keras: not found" in capsys.readouterr().err


def test_a_model_without_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match="built"):
        export_onnx(DeepFM([3]), tmp_path / "base.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not TRACES, reason="what Keras would call is not installed")
def test_a_functional_model_serves_alike(tmp_path):
    model, x = functional(), inputs()
    export_onnx(model, tmp_path / "base.onnx", ["last"], x, onnx_case.FIELDS)
    base = OnnxBase(tmp_path / "base.onnx")
    for rows in (1, 40, 77):
        part = {name: array[:rows] for name, array in x.items()}
        want, found = Serving(model, ("last",))(part), base.serve(part)
        for name, array in want.items():
            np.testing.assert_allclose(found[name], array, atol=1e-5, err_msg=name)
    x["feature_ids"][3, 0] = 20
    with pytest.raises(ValueError, match=r"row 3, field 0 \(user\)"):
        base.serve(x)


@pytest.mark.skipif(not TRACES, reason="as above")
def test_what_a_trace_loses_is_refused(tmp_path):
    x, number = keras.Input((3,), name="feature_values"), []

    class Counting(keras.layers.Layer):
        def call(self, inputs):  # a trace keeps the number of the call that it followed
            number.append(1)
            return inputs * len(number)

    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(Counting()(x)))
    with pytest.raises(ValueError, match="must give Keras' 'probability'.*Serve it by Keras"):
        export_onnx(model, tmp_path / "base.onnx", example=inputs()["feature_values"])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(TRACES, reason="of backends whose exporters are not installed")
def test_a_backend_without_an_exporter_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="cannot export.*Serve it by Keras"):
        export_onnx(functional(), tmp_path / "base.onnx", example=inputs())
    assert not list(tmp_path.iterdir())


def test_a_functional_model_needs_an_example(tmp_path):
    with pytest.raises(ValueError, match="`example` must"):
        export_onnx(functional(), tmp_path / "base.onnx")
    with pytest.raises(ValueError, match="at least two rows"):
        export_onnx(functional(), tmp_path / "base.onnx", example=inputs(1))
    with pytest.raises(ValueError, match=r"`key` must be one of \['embedding', 'hidden'\]"):
        export_onnx(trained(), tmp_path / "base.onnx", ["none"])
    with pytest.raises(ValueError, match="`key` must name a layer"):
        export_onnx(functional(), tmp_path / "base.onnx", ["none"], inputs())

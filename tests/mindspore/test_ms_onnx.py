"""MindSpore's base in an ONNX file: Keras' file to the byte, and MindSpore's predictions."""

import numpy as np
import onnx_case
import pytest
from ms_support import CARDINALITIES, batch

from mindspore_port import DeepFM, export, neutral
from mindspore_port.layers import SketchErrorMemory
from mindspore_port.models import ReLoop2, Serving, save_model
from reloop2_keras.core import neutral as core_neutral
from reloop2_keras.core.serving import OnnxBase
from reloop2_keras.core.serving.onnx_file import export_neutral

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("rows", [1, 2, 77])
def test_predictions_are_mindspores(rows, mode, tmp_path):
    model = DeepFM(CARDINALITIES, 4, (8, 6), dropout=0.3, initializer_stddev=0.5)
    save_model(model, tmp_path / "base.ckpt")
    assert export.main([str(tmp_path / "base.ckpt"), str(tmp_path / "base.onnx")]) == 0
    x = batch(rows)
    want = Serving(model, ("hidden", "embedding"))(x)
    found = OnnxBase(tmp_path / "base.onnx").serve(x)
    for name in ("probability", "hidden", "embedding"):
        np.testing.assert_allclose(found[name], want[name], atol=1e-5, err_msg=name)


def test_the_file_is_the_one_that_core_writes(tmp_path):
    description, arrays = onnx_case.deepfm()
    core_neutral.write(tmp_path / "base.npz", description, arrays)
    export_neutral(description, arrays, tmp_path / "core.onnx")
    base = neutral.load(tmp_path / "base.npz")
    around = ReLoop2(base, SketchErrorMemory(5, 4, key_normalization="none"))
    for number, model in enumerate((base, around)):
        save_model(model, tmp_path / f"{number}.ckpt")
        export.export(tmp_path / f"{number}.ckpt", tmp_path / f"{number}.onnx")
        written = (tmp_path / f"{number}.onnx").read_bytes()
        assert written == (tmp_path / "core.onnx").read_bytes()

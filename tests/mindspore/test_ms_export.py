"""MINDIR and ONNX of the base model give the logits of the model."""

import importlib.util

import numpy as np
import pytest
from ms_support import CARDINALITIES, batch, ms, tensors

from mindspore_port import DeepFM
from mindspore_port import export as export_cli
from mindspore_port.models import Serving, save_model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    model = DeepFM(CARDINALITIES, 4, (8, 6), dropout=0.3, initializer_stddev=0.5)
    path = tmp_path_factory.mktemp("export") / "base.ckpt"
    save_model(model, path)
    return path, model


def test_onnx_runs_in_onnxruntime_with_equal_logits(checkpoint, tmp_path):
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("needs onnxruntime")
    import onnxruntime

    path, model = checkpoint
    assert export_cli.main([str(path), str(tmp_path / "base.onnx")]) == 0
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns that the batch differs from the example's
    session = onnxruntime.InferenceSession(tmp_path / "base.onnx", options)
    for rows in (1, 2, 77):
        x = batch(rows)
        inputs = {name: x[name] for name in ("feature_ids", "feature_values")}
        (logits,) = session.run(["logit"], inputs)
        np.testing.assert_allclose(logits[:, 0], Serving(model, ())(x)["logit"], atol=1e-5)


def test_mindir_loads_with_equal_logits(checkpoint, tmp_path):
    path, model = checkpoint
    assert export_cli.main([str(path), str(tmp_path / "base.mindir")]) == 0
    net = ms.nn.GraphCell(ms.load(str(tmp_path / "base.mindir")))
    for rows in (2, 31):
        x = batch(rows)
        logits = net(*tensors(x)).asnumpy()[:, 0]
        np.testing.assert_allclose(logits, Serving(model, ())(x)["logit"], atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.mindir"]


def test_what_cannot_be_written_is_named(checkpoint, tmp_path, capsys):
    path, _ = checkpoint
    assert export_cli.main([str(path), str(tmp_path / "base.pb")]) == 2
    assert "expected OUT to end in .mindir, .onnx, .air" in capsys.readouterr().err
    if ms.get_context("device_target") != "Ascend":
        assert export_cli.main([str(path), str(tmp_path / "base.air")]) == 2
        assert "AIR cannot be written here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

"""MINDIR and ONNX of the base model give the logits of the model."""

import importlib.util

import numpy as np
import pytest
from damage import tried
from ms_support import CARDINALITIES, batch, ms, tensors

from mindspore_port import DeepFM
from mindspore_port import export as export_cli
from mindspore_port.models import Serving, save_model
from reloop2_keras.core.files import file_checksum
from reloop2_keras.core.side_file import check_side_file
from reloop2_keras.core.side_file import main as side_main


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
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.mindir", "base.mindir.json"]


@pytest.mark.parametrize("flips", [10, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", ["", ".json"])
def test_no_damage_of_a_mindir_file_passes_its_check(checkpoint, tmp_path, suffix, flips, capsys):
    whole = tmp_path / "base.mindir"
    assert export_cli.main([str(checkpoint[0]), str(whole)]) == 0
    digest = file_checksum(whole)
    assert f"saved: {whole}, sha256 {digest}\n" in capsys.readouterr().out
    damaged = whole.with_name(whole.name + suffix)
    foreign = {"text": b"x", "json": b"{}", "a list": b"[1]", "mindir": damaged.read_bytes() * 2}
    found = tried(damaged, lambda: check_side_file(whole), foreign, flips)
    assert not found.faults, found.faults[:5]
    assert found.refused > flips // 2


def test_a_mindir_file_of_another_export_is_refused(checkpoint, tmp_path, capsys):
    one, two = tmp_path / "one.mindir", tmp_path / "two.mindir"
    export_cli.export(checkpoint[0], one)
    save_model(DeepFM(CARDINALITIES, 4, (8, 6), seed=5), tmp_path / "two.ckpt")
    export_cli.export(tmp_path / "two.ckpt", two)
    assert side_main([str(one)]) == 0
    assert capsys.readouterr().out == f"{file_checksum(one)}  {one}\n"
    one.write_bytes(two.read_bytes())
    assert side_main([str(one)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"side_file: {one}: ") and f"as {one}.json says" in said
    (tmp_path / "one.mindir.json").write_bytes((tmp_path / "two.mindir.json").read_bytes())
    with pytest.raises(ValueError, match=r"one.mindir: file: expected 'two.mindir', as "):
        check_side_file(one)  # both were swapped: the name tells
    (tmp_path / "one.mindir.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"one.mindir.json: not found"):
        check_side_file(one)


def test_what_cannot_be_written_is_named(checkpoint, tmp_path, capsys):
    path, _ = checkpoint
    assert export_cli.main([str(path), str(tmp_path / "base.pb")]) == 2
    assert "expected OUT to end in .mindir, .onnx, .air" in capsys.readouterr().err
    if ms.get_context("device_target") != "Ascend":
        assert export_cli.main([str(path), str(tmp_path / "base.air")]) == 2
        assert "AIR cannot be written here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

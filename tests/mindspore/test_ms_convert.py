"""Conversion: bijective names, bits kept both ways, outputs equal on every Keras backend."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from ms_support import run_keras

from mindspore_port import convert as convert_cli
from mindspore_port import neutral
from mindspore_port.convert import convert
from mindspore_port.weight_names import TABLE, to_mindspore, to_neutral

HERE = Path(__file__).parent
KINDS = ("base", "sketch", "exact", "gated")
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("keras") is None, reason="needs Keras beside MindSpore"
)


def test_the_name_map_is_bijective():
    names = [[row[side].replace("{i}", "7") for row in TABLE] for side in (0, 1)]
    assert all(len(set(side)) == len(TABLE) for side in names)
    for theirs, name, transposed in zip(*names, [row[2] for row in TABLE], strict=True):
        assert to_mindspore(theirs) == (name, transposed)
        assert to_neutral(name) == (theirs, transposed)
    with pytest.raises(ValueError, match="hiden_0"):
        to_mindspore("hiden_0/kernel")


def content(path):
    """Arrays and description of a neutral file."""
    with np.load(path) as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("description").tobytes())


def assert_same_content(one, other):
    """Equal models, in the precision that both sides have: cells hold float32 and int32."""
    (first, description), (second, described) = content(one), content(other)
    assert description["model"] == described["model"] and first.keys() == second.keys()
    for name in first:
        dtype = min(first[name].dtype, second[name].dtype, key=lambda d: d.itemsize)
        np.testing.assert_array_equal(
            first[name].astype(dtype), second[name].astype(dtype), err_msg=name
        )


def test_both_ways_with_outputs_compared(models, keras_end, tmp_path, monkeypatch, capsys):
    """The way back starts the processes that `convert` starts by itself."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    ours, back = tmp_path / "m.ckpt", tmp_path / "k.keras"
    arguments = ["keras-to-mindspore", str(models / "gated.keras"), str(ours)]
    with monkeypatch.context() as there:
        there.setattr(convert_cli, "_keras", keras_end)
        assert convert_cli.main(arguments) == 0
    assert "largest difference to Keras on torch, 256 rows: logit " in capsys.readouterr().out
    differences = convert("mindspore-to-keras", ours, back)
    assert set(differences) == {"logit", "hidden", "embedding", "corrected"}
    assert max(differences.values()) < 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.keras", "m.ckpt"]


IN_USE = """
import subprocess, sys

def refuse(*_, **__):
    raise AssertionError("a process was started")

subprocess.run = refuse
import keras
from mindspore_port.convert import convert
from reloop2_keras.models import neutral

parts = {"logit", "hidden", "embedding", "corrected"}
model, ours, bad, none, back, mixed = sys.argv[1:]
assert set(convert("keras-to-mindspore", model, ours, keras=neutral)) == parts
try:
    convert("keras-to-mindspore", bad, none, keras=neutral)
except ValueError as error:
    assert bad in str(error) and "\\n" not in str(error), error
else:
    raise AssertionError("a file of nothing was taken")
keras.config.set_dtype_policy("mixed_bfloat16")
assert set(convert("mindspore-to-keras", ours, back, keras=neutral)) == parts
assert keras.config.dtype_policy().name == "mixed_bfloat16"
assert neutral.load_model(back).base.compute_dtype == "float32"
# a load elsewhere takes the policy in use: so the line above can fail
assert neutral.load(mixed).base.compute_dtype == "bfloat16"
"""


def test_a_keras_end_that_is_handed_in_needs_no_other_process(models, forks, tmp_path):
    bad, ours, back = tmp_path / "bad.keras", tmp_path / "m.ckpt", tmp_path / "k.keras"
    bad.write_bytes(b"nothing")
    files = [models / "gated.keras", ours, bad, tmp_path / "n.ckpt", back, models / "gated.npz"]
    forks("torch").check(IN_USE, *files)
    assert {path.name for path in tmp_path.iterdir()} == {"bad.keras", "m.ckpt", "k.keras"}


def test_what_other_threads_print_meanwhile_is_printed(models, tmp_path, capfd):
    """A process of its own has streams of its own: this one's are left alone."""
    said = []

    class End:
        def dump_file(self, model, output):
            print("of another thread")
            output.write_bytes((models / "gated.npz").read_bytes())
            return "torch"

        def outputs_file(self, model, batch, output):
            raise ValueError("enough")

    with pytest.raises(ValueError, match="^enough$"):
        convert(
            "keras-to-mindspore", models / "gated.keras", tmp_path / "m.ckpt", said.append, End()
        )
    assert capfd.readouterr().out == "of another thread\n" and len(said) == 1


def test_round_trips_keep_every_bit(models, forks, tmp_path):
    # Keras -> neutral -> MindSpore checkpoint -> neutral -> Keras -> neutral
    (tmp_path / "again").mkdir()
    for kind in KINDS:
        ours = tmp_path / f"{kind}.ckpt"
        assert convert("keras-to-mindspore", models / f"{kind}.npz", ours) is None
        convert("mindspore-to-keras", ours, tmp_path / f"{kind}.npz")
        assert_same_content(models / f"{kind}.npz", tmp_path / f"{kind}.npz")
    run_keras(forks, "torch", HERE / "keras_models.py", tmp_path, tmp_path / "again")
    for kind in KINDS:
        assert_same_content(tmp_path / f"{kind}.npz", tmp_path / "again" / f"{kind}.npz")


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_outputs_agree_on_the_other_backends(backend, models, tmp_path, monkeypatch, keras_forks):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    model, said = neutral.load(models / "gated.npz"), []
    found = convert_cli.compare(model, models / "gated.keras", tmp_path, said.append)
    assert backend in said[0] and max(found.values()) < 1e-5, said


def test_hash_bits_are_those_of_keras(models):
    found = np.load(models / "buckets.npz")
    feature, sketch = list(neutral.load(models / "gated.npz").memories)[:2]
    got = feature.places(Tensor(found["h"])).asnumpy()
    np.testing.assert_array_equal(got, found["feature"])
    keys = sketch.normalize(Tensor(found["k"])).asnumpy().astype("float64")
    projected = (keys @ sketch.projections.astype("float64")).reshape(300, 9, 6)
    sure = (np.abs(projected) > 1e-5).all(axis=2)
    got = sketch.places(Tensor(found["k"])).asnumpy()
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(got[sure], found["sketch"][sure])


def test_bad_files_are_named(models, tmp_path, capsys):
    def fails(*arguments):
        assert convert_cli.main([str(a) for a in arguments]) == 2
        return capsys.readouterr().err

    target = tmp_path / "m.ckpt"
    assert "expected IN to end in .keras or .npz" in fails("keras-to-mindspore", target, target)
    assert "not found" in fails("keras-to-mindspore", tmp_path / "no.keras", target)
    bad = tmp_path / "bad.npz"
    bad.write_bytes(b"nothing")
    assert "bad.npz: expected a neutral" in fails("mindspore-to-keras", bad, tmp_path / "x.npz")
    with np.load(models / "base.npz") as file:
        arrays = dict(file)
    arrays["deep_logit/bias"] = arrays["deep_logit/bias"] + 1
    np.savez(tmp_path / "n.npz", **arrays)
    assert "deep_logit/bias: expected sha256" in fails(
        "keras-to-mindspore", tmp_path / "n.npz", target
    )
    assert not target.exists()

"""Model files of Keras: damaged or short in any way, and on a disk that is full."""

import contextlib
import os
import zipfile

import keras
import numpy as np
import pytest
from damage import tried
from disk_case import small_disk, writers

from reloop2_keras import DeepFM, FeatureErrorMemory, ReLoop2
from reloop2_keras.models.neutral import load_model
from reloop2_keras.service.bases import load_base

pytestmark = pytest.mark.backend
only_torch = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the same code on each backend: PyTorch alone"
)


def gated():
    keras.utils.set_random_seed(1)
    base = DeepFM([10, 10, 10], 4, (8, 6), initializer_stddev=0.5)
    model = ReLoop2(base, FeatureErrorMemory(6), gate=True)
    model.build()
    return model


@only_torch
@pytest.mark.parametrize("flips", [12, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("read", [load_model, load_base], ids=["convert", "serve"])
def test_a_damaged_keras_file_is_refused_in_one_line(tmp_path, read, flips):
    path = tmp_path / "m.keras"
    base = DeepFM([10, 10, 10], 4, (8, 6), initializer_stddev=0.5)
    base.build()
    base.save(path)

    def load():
        found = read(path)
        held = [found, *vars(found).values()]
        model = next(one for one in held if isinstance(one, keras.Model))
        return [np.asarray(w) for w in model.get_weights()]

    foreign = {"text": b"x", "json": b"{}", "zip": _zip(tmp_path), "state": b"reloop2 state\n" * 9}
    found = tried(path, load, foreign, flips)
    print(f"{path.stat().st_size} bytes, {found.refused} refused, {found.equal} equal")
    assert not found.faults, found.faults[:5]
    assert found.refused > flips // 2


def _zip(folder):
    with zipfile.ZipFile(folder / "some.zip", "w") as file:
        file.writestr("a", "b")
    return (folder / "some.zip").read_bytes()


@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_file_that_is_written_short_in_silence_leaves_the_old_one(tmp_path, monkeypatch, ending):
    model, path = gated(), tmp_path / f"m{ending}"
    save = model.save if ending == ".keras" else model.save_weights
    save(path)
    before = path.read_bytes()
    target = keras.Model.save if ending == ".keras" else keras.Model.save_weights

    def short(self, filepath, *args, **kwargs):
        target(self, filepath, *args, **kwargs)
        os.truncate(filepath, os.path.getsize(filepath) - 400)

    monkeypatch.setattr(keras.Model, target.__name__, short)
    with pytest.raises(OSError, match="cannot be written: what was written does not verify"):
        save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


@only_torch
@pytest.mark.parametrize("how", ["limit", pytest.param("full", marks=pytest.mark.slow)])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, how):
    disk = small_disk(tmp_path / "disk", 16) if how == "full" else contextlib.nullcontext(tmp_path)
    with disk as folder:
        writers(folder, how, "keras", 12)

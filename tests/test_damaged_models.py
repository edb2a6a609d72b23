"""Model files of Keras: damaged or short in any way, and on a disk that is full."""

import contextlib
import os
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from damage import same, tried
from disk_case import small_disk, writers

from reloop2_keras import DeepFM, FeatureErrorMemory, ReLoop2
from reloop2_keras.core.keras_seal import check_keras_seal
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


def saved(folder, read):
    """Save a base; returns the file's path, and a function that reads all of its weights."""
    base = DeepFM([10, 10, 10], 4, (8, 6), initializer_stddev=0.5)
    base.build()
    if read == "weights":
        path, twin = folder / "m.weights.h5", DeepFM.from_config(base.get_config())
        twin.build()
        base.save_weights(path)

        def load():
            twin.load_weights(path)
            return [np.asarray(w) for w in twin.get_weights()]

        return path, load
    path = folder / "m.keras"
    base.save(path)

    def load():
        found = load_base(path) if read == "serve" else load_model(path)
        held = [found, *vars(found).values()]
        model = next(one for one in held if isinstance(one, keras.Model))
        return [np.asarray(w) for w in model.get_weights()]

    return path, load


@pytest.mark.parametrize("flips", [12, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("read", ["convert", "serve", "weights"])
def test_a_damaged_model_file_is_refused_in_one_line(tmp_path, read, flips):
    if flips == 12 and keras.backend.backend() != "torch":
        pytest.skip("the same code on each backend: PyTorch alone")
    path, load = saved(tmp_path, read)
    foreign = {"text": b"x", "json": b"{}", "zip": _zip(tmp_path), "state": b"reloop2 state\n" * 9}
    found = tried(path, load, foreign, flips)
    print(f"{read}: {path.stat().st_size} bytes, {found.refused} refused, {found.equal} equal")
    assert not found.faults, found.faults[:5]
    assert found.refused > flips // 2


def test_plain_keras_reads_what_our_models_wrote(tmp_path):
    for read in ("convert", "weights"):
        path, load = saved(tmp_path, read)
        want = load()
        if read == "convert":
            plain = keras.saving.load_model(path)
        else:
            plain = DeepFM([10, 10, 10], 4, (8, 6))
            plain.build()
            keras.Model.load_weights(plain, path)
        assert check_keras_seal(path) and same([np.asarray(w) for w in plain.get_weights()], want)


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

    def short_file(self, filepath, *args, **kwargs):
        whole(self, filepath, *args, **kwargs)
        os.truncate(filepath, os.path.getsize(filepath) - 400)

    def short_bytes(self, data):
        return write(self, data[:-400])

    whole, write = keras.Model.save, Path.write_bytes
    if ending == ".keras":
        monkeypatch.setattr(keras.Model, "save", short_file)
    else:
        monkeypatch.setattr(Path, "write_bytes", short_bytes)
    with pytest.raises(OSError, match="cannot be written: what was written does not verify"):
        save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


@only_torch
@pytest.mark.parametrize("how", ["limit", pytest.param("full", marks=pytest.mark.slow)])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, how):
    disk = small_disk(tmp_path / "disk", 16) if how == "full" else contextlib.nullcontext(tmp_path)
    with disk as folder:
        writers(folder, how, "keras", 12)

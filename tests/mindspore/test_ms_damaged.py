"""Files of MindSpore: damaged in any way, of another schema, short, and on a full disk."""

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from damage import tried
from disk_case import small_disk, writers
from ms_support import CARDINALITIES, ms
from payload import never_run, refused

from data_scripts import prepare, synthetic
from mindspore_port import DeepFM, PreparedDataset
from mindspore_port.mindrecord import to_mindrecord
from mindspore_port.models import checkpoint_file
from mindspore_port.models.checkpoint_file import load_arrays, load_model, save_arrays, save_model


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = tmp_path_factory.mktemp("record")
    prepare(synthetic(rows=300, users=9, items=5), folder / "from", slots=2, progress=False)
    to_mindrecord(folder / "from", folder / "out")
    return folder / "out"


@pytest.mark.parametrize("flips", [15, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", ["", ".db"])
def test_no_damage_of_a_mindrecord_file_changes_a_number_in_silence(record, suffix, flips):
    path = next((record / "slots").glob("000-*.mindrecord"))
    path = path.with_name(path.name + suffix)

    def load():
        return PreparedDataset(record).slots()[0].load()

    foreign = {"text": b"x", "parquet": (record / "vocabulary.parquet").read_bytes()}
    found = tried(path, load, foreign, flips)
    print(f"{path.name}: {found.refused} refused, {found.equal} equal")
    assert not found.faults, found.faults[:5]


@pytest.mark.parametrize("flips", [15, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["model", "arrays"])
def test_no_damage_of_a_checkpoint_changes_a_number_in_silence(tmp_path, record, kind, flips):
    path = tmp_path / "m.ckpt"
    save_model(DeepFM(CARDINALITIES, embedding_dim=4, hidden_units=(8, 6)), path)

    def load():
        if kind == "arrays":
            return load_arrays(path)
        return {p.name: p.asnumpy() for p in load_model(path).get_parameters()}

    foreign = {
        "text": b"x",
        "parquet": (record / "vocabulary.parquet").read_bytes(),
        "state": b"reloop2 state\n" * 9,
        "zip": b"PK\x03\x04" + bytes(99),
    }
    found = tried(path, load, foreign, flips)
    print(f"{kind}: {path.stat().st_size} bytes, {found.refused} refused, {found.equal} equal")
    assert not found.faults, found.faults[:5]


def test_a_pickle_is_no_file_of_mindspore(tmp_path, record):
    path = tmp_path / "m.ckpt"
    save_model(DeepFM(CARDINALITIES, embedding_dim=4, hidden_units=(8, 6)), path)
    slot = next((record / "slots").glob("000-*.mindrecord"))
    index = slot.with_name(f"{slot.name}.db")

    def read_slot():
        return PreparedDataset(record).slots()[0].load()

    for read, place in (
        (lambda: load_model(path), path),
        (lambda: load_arrays(path), path),
        (read_slot, slot),
        (read_slot, index),
    ):
        with never_run(tmp_path) as raw:
            assert refused(read, place, raw)


def test_a_checkpoint_of_a_later_schema_or_of_another_kind_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.ckpt"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_file, "SCHEMA", np.array([2], "int32"))
        save_arrays({"x": np.ones(3)}, path)
    with pytest.raises(ValueError, match=r"m\.ckpt: expected schema \[1\], found \[2\]"):
        load_arrays(path)
    for data in (b"", b"text", b"reloop2 state\n" + bytes(99), b"PK\x03\x04" + bytes(99)):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=rf"{path}: "):
            load_model(path)


@pytest.mark.parametrize("how", ["short", "another number"])
def test_a_checkpoint_that_is_not_written_whole_leaves_the_old_one(tmp_path, monkeypatch, how):
    path, real = tmp_path / "m.ckpt", ms.save_checkpoint
    save_model(DeepFM(CARDINALITIES, embedding_dim=4, hidden_units=(8, 6)), path)
    before = path.read_bytes()

    def wrong(listed, place, *args, **kwargs):
        real(listed, place, *args, **kwargs)
        os.chmod(place, 0o600)
        data = bytearray(Path(place).read_bytes())
        if how == "short":
            del data[-50:]
        else:
            data[len(data) // 3] ^= 1
        Path(place).write_bytes(data)

    monkeypatch.setattr(ms, "save_checkpoint", wrong)
    with pytest.raises(OSError, match=r"m\.ckpt: cannot be written: what was written does not"):
        save_model(DeepFM(CARDINALITIES, embedding_dim=4, hidden_units=(8, 6), seed=2), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["m.ckpt"]


def test_a_mindrecord_file_that_is_not_what_was_meant_is_not_kept(tmp_path, record, monkeypatch):
    source = record.parent / "from"

    def wrong(path, *args, **kwargs):
        arrays = real(path, *args, **kwargs)
        arrays["label"] = 1 - arrays["label"]
        return arrays

    real = to_mindrecord.__globals__["read_mindrecord"]
    monkeypatch.setitem(to_mindrecord.__globals__, "read_mindrecord", wrong)
    with pytest.raises(OSError, match="what was written does not verify"):
        to_mindrecord(source, tmp_path / "out")
    assert os.listdir(tmp_path) == []
    shutil.rmtree(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["limit", "full"])
def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, how):
    disk = small_disk(tmp_path / "disk", 64) if how == "full" else contextlib.nullcontext(tmp_path)
    with disk as folder:
        writers(folder, how, "mindspore", 15)

"""Files of every kind of core: damaged in any way they give what was written, or one clear line."""

import importlib.util
import os

import pytest
from damage import tried
from file_kinds import KINDS
from payload import never_run, refused

from reloop2_keras.core import files
from reloop2_keras.core.files import file_checksum

FLIPS = int(os.environ.get("RELOOP2_FLIPS", "200"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Kind -> bytes of a whole file of that kind."""
    kinds = {}
    for kind in ("state", "neutral", "encoder", "event log", "shipped model.json"):
        path, _, _ = KINDS[kind](tmp_path_factory.mktemp("foreign"))
        kinds[kind] = path.read_bytes()
    return {**kinds, "text": b"something else\n", "json": b"{}", "list": b"[1]"}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_what_was_written_or_one_clear_line(kind, tmp_path, foreign):
    path, load, options = KINDS[kind](tmp_path)
    without = (kind, *options.pop("without", ()))
    others = {name: data for name, data in foreign.items() if name not in without}
    others |= options.pop("more", {})
    found = tried(path, load, others, FLIPS, **options)
    print(f"{kind}: {path.stat().st_size} bytes, {found.refused} refused, {found.equal} equal")
    assert not found.faults, found.faults[:10]
    assert found.refused > len(others)


def test_a_pickle_in_any_file_is_refused_and_not_run(tmp_path):
    for number, (kind, made) in enumerate(KINDS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        if kind == "onnx" and not importlib.util.find_spec("onnxruntime"):
            continue
        path, load, options = made(folder)
        with never_run(tmp_path) as raw:
            assert refused(load, path, raw, options.get("names")), kind


def test_a_file_is_hashed_once_while_it_stays_as_it_is(tmp_path, monkeypatch):
    path, hashed = tmp_path / "x", []
    path.write_bytes(b"one")
    digest = file_checksum(path)
    monkeypatch.setattr(files, "file_checksum", lambda p: hashed.append(p) or file_checksum(p))
    files.compare_checksum_once(path, digest)
    files.compare_checksum_once(path, digest)
    assert len(hashed) == 2  # too new: another write of this moment could leave its times alike
    monkeypatch.setattr(files, "_TICK", -1 << 62)
    for _ in range(3):
        files.compare_checksum_once(path, digest)
    assert len(hashed) == 3
    about = path.stat()
    path.write_bytes(b"two")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    for _ in range(2):
        with pytest.raises(ValueError, match=f"{path}: expected sha256"):
            files.compare_checksum_once(path, digest)

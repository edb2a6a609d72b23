"""Folders and files that are replaced: killed at every step, raced, and without swaps of names."""

import errno
import os
from pathlib import Path

import pytest
from killed_steps import killed_at
from served_model import encoder
from service_case import ship_tables

from reloop2_keras.core import beside as hidden
from reloop2_keras.core import files, folders
from reloop2_keras.core.files import put_file, replaced
from reloop2_keras.core.folders import exchanged, recover_folder, replaced_folder
from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import load_shipped, ship


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def swaps_here(folder):
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    return exchanged(folder / "a", folder / "b")


def write_two(folder, text):
    with replaced_folder(folder) as new:
        put_file(new / "one.txt", text)
        (new / "two.txt").write_text(text)


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_killed_at_every_step_is_the_old_or_the_new_one(tmp_path, swaps):
    if swaps and not swaps_here(tmp_path / "tried"):
        pytest.skip("this file system cannot let two names change places")
    kills, seen, recovered = 0, set(), 0
    for step in range(200):
        place = tmp_path / str(step)
        write_two(place / "model", "old")
        if not killed_at(step, lambda p=place: write_two(p / "model", "new"), swaps):
            break
        kills += 1
        if not (place / "model").exists():
            assert not swaps, "a reader would find nothing"
            recovered += recover_folder(place / "model")
        texts = set(content(place / "model").values())
        assert len(content(place / "model")) == 2 and len(texts) == 1
        seen |= texts
        write_two(place / "model", "third")  # what was left beside goes, too
        assert os.listdir(place) == ["model"]
        assert set(content(place / "model").values()) == {b"third"}
    print(f"{kills} kills, {recovered} put back")
    assert kills > 15 and seen == {b"old", b"new"} and bool(recovered) != swaps


def test_a_file_killed_at_every_step_is_the_old_or_the_new_one(tmp_path):
    kills, seen = 0, set()
    for step in range(100):
        path = tmp_path / str(step) / "a.txt"
        put_file(path, "old")
        if not killed_at(step, lambda p=path: put_file(p, "new"), True):
            break
        kills += 1
        seen.add(path.read_text())
        put_file(path, "third")
        assert os.listdir(path.parent) == ["a.txt"]
    print(f"{kills} kills")
    assert kills > 5 and seen == {"old", "new"}


def test_a_shipped_model_that_was_being_replaced_is_found_by_who_starts(tmp_path, monkeypatch):
    ship_tables(tmp_path / "model")
    name = load_shipped(tmp_path / "model").name

    def again():
        ship(tmp_path / "model", Online(2, [], bits=5), encoder())

    for step in range(400):
        if not killed_at(step, again, False):
            pytest.fail("no kill between the two renames")
        if not (tmp_path / "model").exists():
            break
    assert load_shipped(tmp_path / "model").name == name
    again()
    assert load_shipped(tmp_path / "model").name != name and os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize("swaps", [True, False])
def test_a_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch, swaps):
    write_two(tmp_path / "model", "old")
    real, calls = os.rename, []

    def broken(one, two):
        calls.append(one)
        if Path(one).name == "new" and (swaps or len(calls) > 2):
            raise OSError(errno.EIO, "Input/output error", str(one))
        real(one, two)

    monkeypatch.setattr(os, "rename", broken)
    monkeypatch.setattr(folders, "exchanged", lambda *_: False)
    with pytest.raises(OSError, match=r"model: cannot be written: Input/output error") as caught:
        write_two(tmp_path / "model", "new")
    assert caught.value.errno == errno.EIO
    assert set(content(tmp_path / "model").values()) == {b"old"}
    assert os.listdir(tmp_path) == ["model"]


def test_one_that_came_meanwhile_stays_where_it_may_not_be_replaced(tmp_path):
    with pytest.raises(FileExistsError, match="came to be meanwhile"):
        with replaced_folder(tmp_path / "out", replace=False) as new:
            (new / "a").touch()
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "mine").touch()
    assert os.listdir(tmp_path) == ["out"] and os.listdir(tmp_path / "out") == ["mine"]


def test_a_writer_that_lives_is_left_alone_and_what_a_dead_one_left_goes(tmp_path):
    path = tmp_path / "a.txt"
    dead = tmp_path / ".a.txt.abcd1234"
    dead.mkdir()
    (dead / "a.txt").write_text("half")
    foreign = [tmp_path / ".a.txt.other", tmp_path / ".b.txt.abcd1234"]
    for folder in foreign:
        folder.mkdir()
    with replaced(path) as one:
        assert not dead.exists()
        put_file(path, "second")
        assert one.parent.is_dir()
        one.write_text("first")
    assert path.read_text() == "first" and all(folder.is_dir() for folder in foreign)


def test_what_was_removed_on_purpose_does_not_come_back(tmp_path):
    left = tmp_path / ".model.abcd1234"
    (left / hidden.OLD).mkdir(parents=True)
    assert not recover_folder(tmp_path / "model")  # without `new` the new one took its place
    write_two(tmp_path / "model", "a")
    assert os.listdir(tmp_path) == ["model"]


class Short:
    """Writes less than it was asked for, and says nothing."""

    def __init__(self, monkeypatch, flips=False):
        real = Path.write_bytes

        def write(path, data):
            if flips:
                data = bytes([data[0] ^ 1]) + bytes(data[1:])
            real(path, data if flips else data[:-1])
            return len(data)

        monkeypatch.setattr(Path, "write_bytes", write)


@pytest.mark.parametrize("flips", [False, True])
def test_a_writer_that_writes_short_in_silence_leaves_the_old_file(tmp_path, monkeypatch, flips):
    path = tmp_path / "a.txt"
    put_file(path, b"old content")
    with monkeypatch.context() as patch:
        Short(patch, flips)
        with pytest.raises(OSError, match=r"a\.txt: cannot be written: what was written does not"):
            put_file(path, b"new content")
    assert path.read_bytes() == b"old content" and os.listdir(tmp_path) == ["a.txt"]


def test_an_error_names_what_is_written_and_what_is_read_keeps_its_own_name(tmp_path):
    path = tmp_path / "a.txt"
    for number in (errno.ENOSPC, errno.EACCES, errno.EDQUOT, errno.EFBIG):
        with pytest.raises(OSError, match=r"a\.txt: cannot be written: ") as caught:
            with replaced(path):
                raise OSError(number, os.strerror(number))
        assert caught.value.errno == number and str(caught.value).startswith(f"{path}: ")
    assert isinstance(caught.value, OSError)
    with pytest.raises(FileNotFoundError, match="source") as caught:
        with replaced(path):
            (tmp_path / "source").read_bytes()
    assert "a.txt" not in str(caught.value)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="deep: cannot be written: "):
        files.put_file(tmp_path / "file" / "deep", "x")
    assert sorted(os.listdir(tmp_path)) == ["file"]

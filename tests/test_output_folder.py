"""What is at OUT: replaced only if it is a dataset of ours."""

import errno
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from data_scripts import criteo, movietweetings, prepare, synthetic, table
from data_scripts.__main__ import main
from data_scripts.atomic_folder import atomic_folder, recover
from data_scripts.output import named_files

MAKE = {"slots": 3, "progress": False}


def source(seed=1):
    return synthetic(rows=600, seed=seed, users=20, items=10)


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def log(folder):
    folder.mkdir(exist_ok=True)
    line = "\t".join(["1", *["5"] * 13, *["ab"] * 26])
    (folder / "train.txt").write_text((line + "\n") * 40)
    return folder / "train.txt"


def foreign(case, folder):
    """Put something at folder/out that no run may replace; returns the source and the path."""
    out = folder / "out"
    if case == "the input":
        log(folder).rename(out)
        return criteo(out), out
    if case == "the input's folder":
        return criteo(log(out)), out
    if case == "a folder above the input":
        out.mkdir()
        return criteo(log(out / "below")), out
    if case == "the folder of two inputs":
        out.mkdir()
        (out / "ratings.dat").write_text("1::2::9::4\n" * 40)
        (out / "movies.dat").write_text("2::A (2000)::B\n")
        return movietweetings(out), out
    if case == "a dataset that is the input":
        prepare(source(), out, **MAKE)
        return table(out / "train" / "000.parquet", "label", categorical=["group"]), out
    if case == "a file":
        out.write_text("mine")
    elif case == "a folder":
        out.mkdir()
        (out / "notes.txt").write_text("mine")
    elif case == "another dataset.json":
        out.mkdir()
        (out / "dataset.json").write_text('{"schema_version": 1}')
    elif case == "a link":
        prepare(source(), folder / "target", **MAKE)
        out.symlink_to(folder / "target")
    else:
        prepare(source(), out, **MAKE)
        if case == "a dataset and a file":
            (out / "slots" / "notes.txt").write_text("mine")
        elif case == "a dataset and a folder":
            (out / "figures").mkdir()
        elif case == "a dataset with a link in it":
            shutil.move(out / "slots", folder / "slots")
            (out / "slots").symlink_to(folder / "slots")
    return source(2), out


CASES = {
    "the input": "the input itself",
    "the input's folder": "a folder that holds the input",
    "a folder above the input": "a folder that holds the input",
    "the folder of two inputs": "a folder that holds the input",
    "a dataset that is the input": "a folder that holds the input",
    "a file": "found a file",
    "a folder": "found a folder without a dataset.json of ours",
    "another dataset.json": "found a folder without a dataset.json of ours",
    "a link": "found a link",
    "a dataset and a file": "found slots/notes.txt",
    "a dataset and a folder": "found figures",
    "a dataset with a link in it": "found slots",
}


@pytest.mark.parametrize("case", CASES)
def test_overwrite_replaces_nothing_but_a_dataset(case, tmp_path):
    log_of, out = foreign(case, tmp_path)
    before = files(tmp_path)
    with pytest.raises((ValueError, FileExistsError), match=CASES[case]) as caught:
        prepare(log_of, out, overwrite=True, **MAKE)
    assert str(caught.value).startswith(f"{out}: ") and "\n" not in str(caught.value)
    assert files(tmp_path) == before


def test_overwrite_replaces_a_dataset_and_an_empty_folder(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    prepare(source(1), out, overwrite=True, **MAKE)
    old = files(out)
    prepare(source(2), out, overwrite=True, **MAKE)
    prepare(source(2), tmp_path / "new", **MAKE)
    assert files(out) == files(tmp_path / "new") != old
    assert named_files(out) >= set(files(out))
    assert sorted(os.listdir(tmp_path)) == ["new", "out"]


@pytest.mark.parametrize("name", [".", "..", "/", "deep/..", "{cwd}", "{cwd}/.."])
def test_out_must_be_a_name_of_its_own(name, tmp_path, monkeypatch, capsys):
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["synthetic", name.format(cwd=tmp_path), "--rows", "600", "--overwrite"]) == 2
    assert "expected the path of a folder to make" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["deep"]


@pytest.mark.parametrize("name", ["note.txt/out", "note.txt/deep/out", "x" * 250])
def test_out_that_cannot_be_is_told_by_its_name(name, tmp_path, capsys):
    (tmp_path / "note.txt").write_text("mine")
    out = tmp_path / name
    assert main(["synthetic", str(out), "--rows", "600", "--overwrite"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"data_scripts: {out}: ") and error.count("\n") == 1
    assert os.listdir(tmp_path) == ["note.txt"]


def test_what_came_to_be_meanwhile_stays(tmp_path):
    out = tmp_path / "out"
    for overwrite, message in ((False, "came to be while"), (True, "found notes.txt")):
        with pytest.raises(FileExistsError, match=message), atomic_folder(out, overwrite) as folder:
            (folder / "dataset.json").write_text("{}")
            prepare(source(), out, **MAKE)
            if overwrite:
                (out / "notes.txt").write_text("mine")
            before = files(out)
        assert files(out) == before
        assert os.listdir(tmp_path) == ["out"]
        shutil.rmtree(out)


def test_a_failed_swap_puts_the_old_one_back(tmp_path, monkeypatch):
    # where the system cannot let two names change places
    monkeypatch.setattr("data_scripts.atomic_folder.exchanged", lambda *_: False)
    out = tmp_path / "out"
    prepare(source(), out, **MAKE)
    before, rename = files(out), os.rename

    def broken(old, new):
        if Path(old).name == "new" and not os.path.lexists(out):
            raise OSError(errno.EIO, "Input/output error", str(new))
        rename(old, new)

    monkeypatch.setattr(os, "rename", broken)
    with pytest.raises(OSError, match="Input/output error"):
        prepare(source(2), out, overwrite=True, **MAKE)
    assert files(out) == before and os.listdir(tmp_path) == ["out"]


def test_live_runs_are_left_alone_and_dead_ones_removed(tmp_path):
    out = tmp_path / "out"
    (tmp_path / ".out.other").mkdir()  # of somebody else
    (tmp_path / ".out.longer.abcd1234.lock").touch()
    with atomic_folder(out) as folder:
        (folder / "dataset.json").touch()
        (tmp_path / ".out.dead_123").mkdir()
        (tmp_path / ".out.dead_123.lock").touch()
        (tmp_path / ".out.bare_123.lock").touch()  # killed before it made its folder
        recover(out)
        work = folder.parent
        assert folder.is_dir()
        assert {work.name, f"{work.name}.lock"} == {
            name for name in os.listdir(tmp_path) if "other" not in name and "longer" not in name
        }
    assert sorted(os.listdir(tmp_path)) == [".out.longer.abcd1234.lock", ".out.other", "out"]


def test_what_runs_without_locks_left_is_put_back_if_it_is_whole(tmp_path):
    out, old = tmp_path / "out", tmp_path / ".out.old.abcd_123" / "old"
    old.parent.mkdir()
    prepare(source(), old, **MAKE)
    kept = files(old)
    (old / "vocabulary.parquet").rename(tmp_path / "taken")
    recover(out)
    assert not out.exists()
    (tmp_path / "taken").rename(old / "vocabulary.parquet")
    with pytest.raises(FileExistsError):  # it is there again before anything else is looked at
        prepare(source(2), out, **MAKE)
    assert files(out) == kept and os.listdir(tmp_path) == ["out"]


def test_raw_logs_are_not_written_over_other_files(tmp_path, capsys):
    (tmp_path / "log.tsv").write_text("mine")
    words = ["synthetic", str(tmp_path / "out"), "--rows", "600", "--users", "20", "--raw-tsv"]
    for more in ([], ["--overwrite"]):
        assert main([*words, str(tmp_path / "log.tsv"), *more]) == 2
        assert "log.tsv: exists already" in capsys.readouterr().err
        assert main([*words, str(tmp_path / "out" / "log.tsv"), *more]) == 2
        assert "outside of the output" in capsys.readouterr().err
    assert files(tmp_path) == {"log.tsv": b"mine"}
    for more in ([], ["--overwrite"]):
        assert main([*words, str(tmp_path / "made.tsv"), *more]) == 0
    assert len(pl.read_csv(tmp_path / "made.tsv", separator="\t", has_header=False)) == 600

"""Skipped rows are told with their reasons, and too many of them are an error."""

import logging

import pytest
from batch_case import labelled, learn, predict, text

from data_scripts import InputError, prepare, table
from data_scripts.__main__ import main

WARNED = "data_scripts.passes"


def write(folder, bad, rows=200):
    """A log of which rows have a column too many, but the last bad one, whose price is a word."""
    lines = ["label,u,p"]
    for i in range(rows):
        wrong = f"{i % 2},u{i % 5},old" if i == bad - 1 else f"{i % 2},u{i % 5},1,more"
        lines.append(wrong if i < bad else f"{i % 2},u{i % 5},{i}")
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    return folder / "log.csv"


def made(path, out="out", **options):
    source = table(path, "label", None, ["u"], ["p"])
    return prepare(
        source, path.parent / out, **{"slots": 3, "on_error": "skip", "progress": False, **options}
    )


@pytest.mark.parametrize("chunk_rows", [7, 65_536])
def test_reasons_are_told_with_counts_and_the_first_example(tmp_path, caplog, chunk_rows):
    path = write(tmp_path, 20)  # a tenth is not more than a tenth
    with caplog.at_level(logging.WARNING, WARNED):
        made(path, chunk_rows=chunk_rows)
    (told,) = caplog.messages
    assert told.splitlines() == [
        f"{path}: 20 of 200 rows are bad and skipped:",
        "  19: expected 3 columns; the first: log.csv:2, found '4'",
        "  1: expected a number in column p; the first: log.csv:21, found 'old'",
    ]
    caplog.clear()
    made(write(tmp_path, 0), "none")
    assert not caplog.messages


def test_more_than_a_tenth_is_an_error_of_one_line(tmp_path, capsys):
    path, out = write(tmp_path, 190), tmp_path / "out"
    words = ["table", str(path), str(out), "--label", "label", "--categorical", "u"]
    words += ["--numeric", "p", "--slots", "3", "--on-error", "skip"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        f"data_scripts: {path}: expected at most 10 % bad rows, found 95 %, 190 of 200 (189: "
        "expected 3 columns; the first: log.csv:2, found '4', and 1 more reason); --max-bad takes "
        "a greater share\n"
    )
    assert not out.exists()
    assert main([*words, "--max-bad", ".95"]) == 0
    assert "10 prepared + 190 bad ones skipped" in capsys.readouterr().out
    with pytest.raises(InputError, match="at most 94 % bad rows"):
        made(path, "less", max_bad=0.94)
    with pytest.raises(InputError, match="at most 0 % bad rows, found 0.5 %"):
        made(write(tmp_path, 1), "none", max_bad=0)


def test_later_errors_tell_what_was_skipped(tmp_path):
    path = write(tmp_path, 198)
    with pytest.raises(InputError, match=r"found 2 rows .*; 198 bad rows were skipped \(197: exp"):
        made(path, max_bad=1)
    source = table(path, "label", None, ["u"], ["p"], positive="clik")
    with pytest.raises(InputError, match=r"found none; 198 bad rows were skipped \(197: expected"):
        prepare(source, tmp_path / "out", on_error="skip", max_bad=1, progress=False)
    path.write_text("label,u,p\n" + "1,2\n" * 9)
    with pytest.raises(InputError, match=r"found 9 bad ones alone \(9: expected 3 columns; the f"):
        made(path, max_bad=1)


def test_times_of_two_forms_are_told(tmp_path):
    """The first time decides the form; all of the other form were silently left out."""
    path = tmp_path / "log.csv"
    times = [f"{1400000000 + i}" if i < 20 else "2014-05-13T16:53:20" for i in range(200)]
    path.write_text("label,u,t\n" + "".join(f"{i % 2},u,{t}\n" for i, t in enumerate(times)))
    with pytest.raises(InputError, match=r"found 90 %, 180 of 200 \(180: expected a time in col"):
        prepare(table(path, "label", "t", ["u"]), tmp_path / "out", on_error="skip")


@pytest.mark.parametrize("times", [None, 2])
def test_too_many_bad_rows_are_an_error_and_nothing_of_them_is_learnt(tmp_path, times):
    """A ragged file in which few rows can be read is most likely read in a wrong way."""
    lines = text(labelled(700)).splitlines()
    lines[1:601] = [line + ",more" for line in lines[1:601]]
    lines[650] = lines[650].replace(",", ",old,", 1).rpartition(",")[0]
    path, out = tmp_path / "log.csv", tmp_path / "out.csv"
    path.write_text("\n".join(lines) + "\n")
    message = (
        rf"^{path}: expected at most 10 % bad rows, found 85.86 %, 601 of 700 \(600: expected 4 "
        rf"columns; the first: {path}:2, found '5', and 1 more reason\); --max-bad takes"
    )
    options = {"on_error": "skip", "chunk_rows": 256}
    with pytest.raises(ValueError, match=message):
        learn(tmp_path, path, **options)
    predicting = {"part_rows": 256, **options}
    if times:
        assert not predict(tmp_path, path, out, times, **predicting).whole
    with pytest.raises(ValueError, match=message):
        predict(tmp_path, path, out, **predicting)
    assert not out.exists()
    done = predict(tmp_path, path, out, max_bad=0.9, **predicting)
    assert (done.first, done.rows, done.bad) == (700, 700, 601)
    assert [line.partition(":")[0] for line in done.why] == ["600", "1"]
    assert done.why[1].endswith(f"a number; the first: {path}:651, found 'old'")
    model, done = learn(tmp_path, path, times=times, max_bad=0.9, **options)
    model, done = learn(tmp_path, path, max_bad=0.9, **options) if times else (model, done)
    assert (done.first, done.rows, model.counts["learnt"], done.bad) == (0, 700, 99, 601)
    for wrong in (-1, 2, float("nan")):
        with pytest.raises(ValueError, match="`max_bad` must be in .0, 1."):
            learn(tmp_path, path, max_bad=wrong)

"""Wrong arguments are one line before anything is read; a log that moves is refused."""

import dataclasses
import json
import os
import re

import numpy as np
import pytest

from data_scripts import InputError, criteo, prepare, synthetic
from data_scripts.__main__ import main

LINE = "\t".join(["1", *["5"] * 13, *["ab"] * 26])
NO_INTEGERS = [0, -1, 1.5, "3", True, float("nan"), float("inf"), 10**30, [3]]
NO_FRACTIONS = [0, 1, -0.1, 1.5, "0.5", True, float("nan"), float("inf"), None]
WRONG = {
    "threshold": [-1, 0.5, "1", None, False, float("nan"), 10**30],
    "train_fraction": NO_FRACTIONS,
    "validation_fraction": NO_FRACTIONS,
    "slots": [*NO_INTEGERS, None],
    "train_rows": NO_INTEGERS,
    "limit": NO_INTEGERS,
    "on_error": ["ignore", None, 0],
    "max_bad": [-0.1, 1.5, "0.5", True, None, float("nan")],
    "chunk_rows": [*NO_INTEGERS, None, 10**12],
    "overwrite": ["no", 0, 1, None],
    "progress": ["no", 0, 1],
}


def made(folder, rows=40):
    path = folder / "log.tsv"
    path.write_text((LINE + "\n") * rows)
    return path


@pytest.mark.parametrize("name", WRONG)
def test_prepare_names_an_argument_out_of_range(name, tmp_path):
    for value in WRONG[name]:
        with pytest.raises(ValueError, match=f"^`{name}` must be .*Received: ") as caught:
            prepare(criteo(made(tmp_path)), tmp_path / "out", **{name: value})
        assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["log.tsv"]


def test_the_source_must_be_one_with_fields(tmp_path):
    for source in ("train.txt", None, criteo(made(tmp_path), 0, 0)):
        with pytest.raises(ValueError, match="^`source` must "):
            prepare(source, tmp_path / "out")


@pytest.mark.parametrize("name", ["rows", "users", "items", "seed", "dense_dim", "slot_dim"])
def test_sources_name_an_argument_out_of_range(name):
    for value in (-1, 1.5, "3", None, True, float("nan"), 10**30):
        with pytest.raises(ValueError, match=f"^`{name}` must be an integer .*Received: "):
            criteo("log", **{name: value}) if "dim" in name else synthetic(**{name: value})


def test_whole_numbers_of_other_types_are_fine_and_recorded_as_integers(tmp_path):
    numbers = {"slots": np.int64(2), "threshold": 0.0, "train_rows": 20.0, "limit": np.int8(36)}
    meta = prepare(criteo(made(tmp_path), np.int32(13)), tmp_path / "out", **numbers)
    assert json.loads((tmp_path / "out" / "dataset.json").read_text()) == meta
    assert meta["periods"]["train"]["rows"] == 20 and meta["options"]["limit"] == 36


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--chunk-rows", "-5"], "`chunk_rows` must be an integer from 1 to"),
        (["--chunk-rows=0"], "`chunk_rows` must be"),
        (["--chunk_rows", "1000000000000"], "`chunk_rows` must be"),
        (["--slots", "0"], "`slots` must be"),
        (["--slots", "1e400"], "argument --slots: invalid int value: '1e400'"),
        (["--limit", "0"], "`limit` must be"),
        (["--train-rows", "-3"], "`train_rows` must be"),
        (["--train-rows", "40"], "change `train_rows`, `validation_fraction` or `slots`"),
        (["--train-fraction", "nan"], "`train_fraction` must be"),
        (["--validation-fraction", "inf"], "`validation_fraction` must be"),
        (["--threshold=-1"], "`threshold` must be"),
        (["--dense-dim", "0", "--slot-dim", "0"], "at least one field"),
        (["--slot-dim", "-2"], "`slot_dim` must be"),
        (["--on-error", "ignore"], "argument --on-error: invalid choice: 'ignore'"),
        (["--thresold", "3"], "unknown option --thresold; did you mean --threshold?"),
        (["--thresh", "3"], "unknown option --thresh; did you mean --threshold?"),
        (["--frobnicate"], "unknown option --frobnicate (see --help)"),
        (["more"], "unexpected argument more (see --help)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_line_says_it_in_one_line(words, message, tmp_path, capsys):
    made(tmp_path)
    try:
        status = main(["criteo", str(tmp_path / "log.tsv"), str(tmp_path / "out"), *words])
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2 and message in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == ["log.tsv"]


def test_help_shows_defaults_and_an_example(capsys):
    for source in ("criteo", "movietweetings", "synthetic", "table"):
        with pytest.raises(SystemExit):
            main([source, "--help"])
        text = capsys.readouterr().out
        assert "(default: 20)" in text and f"\n  python -m data_scripts {source} " in text
        assert "None" not in text


def shrink(path):
    path.write_bytes(path.read_bytes()[: 30 * (len(LINE) + 1)])


def grow(path):
    with path.open("a") as file:
        file.write(LINE + "\n")


def half_a_line(path):
    with path.open("a") as file:
        file.write(LINE[:20])


def reverse(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[::-1]))


def go(path):
    path.unlink()


# where every bad row ends the run, lines are counted without a pass
@pytest.mark.parametrize(
    ("on_error", "moment"), [("fail", 1), ("fail", 2), ("skip", 1), ("skip", 2), ("skip", 3)]
)
@pytest.mark.parametrize("change", [shrink, grow, half_a_line, reverse, go])
def test_a_log_that_moves_between_the_passes_is_refused(moment, change, on_error, tmp_path):
    path, passes = made(tmp_path), []
    plain = criteo(path)

    def chunks(chunk_rows, errors):
        passes.append(1)
        if len(passes) == moment:
            change(path)
            if path.exists():  # also where the clock is coarse
                os.utime(path, ns=(1, 1))
        yield from plain.chunks(chunk_rows, errors)

    moving = dataclasses.replace(plain, chunks=chunks)
    with pytest.raises(InputError, match=r"log.tsv: changed while it was read: expected .*found"):
        prepare(moving, tmp_path / "out", slots=2, on_error=on_error, chunk_rows=7)
    assert set(os.listdir(tmp_path)) <= {"log.tsv"}


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("rows", [-1, 1])
def test_rows_that_a_reader_loses_or_invents_are_found(rows, on_error, tmp_path):
    plain = criteo(made(tmp_path))

    def chunks(chunk_rows, errors):
        for frame in plain.chunks(chunk_rows, errors):
            yield frame[:-1] if rows < 0 else frame.vstack(frame[-1:])

    wrong = dataclasses.replace(plain, chunks=chunks)
    with pytest.raises(InputError, match="expected 40 rows, as many as"):
        prepare(wrong, tmp_path / "out", slots=2, on_error=on_error)
    # where the lines cannot be counted, passes are compared
    late = []

    def differ(chunk_rows, errors):
        late.append(1)
        yield from (chunks if len(late) == 3 else plain.chunks)(chunk_rows, errors)

    wrong = dataclasses.replace(plain, chunks=differ, count=None)
    with pytest.raises(InputError, match="expected 40 rows, as many as"):
        prepare(wrong, tmp_path / "out", slots=2, on_error=on_error)
    assert os.listdir(tmp_path) == ["log.tsv"]


def test_rows_read_are_rows_prepared_and_bad_ones(tmp_path, capsys):
    lines = [LINE] * 60
    for at, bad in ((3, "1\t2"), (30, ""), (31, "7" + LINE[1:]), (59, LINE + "\t")):
        lines[at] = bad
    (tmp_path / "log.tsv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "o u t"
    words = ["criteo", str(tmp_path / "log.tsv"), str(out), "--slots", "2", "--on-error", "skip"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "rows read: 60 = 56 prepared + 4 bad ones skipped" in told
    assert re.search(r"^next: .*make demo DATASET='.*o u t'$", told, re.MULTILINE)


def test_a_limit_gives_the_same_bytes_whatever_the_chunks(tmp_path):
    lines = [LINE] * 300
    for at in (3, 50, 120, 250):
        lines[at] = "1\t2"
    (tmp_path / "log.tsv").write_text("\n".join(lines) + "\n")
    texts = set()
    for chunk_rows in (1, 7, 64, 65_536):
        out = tmp_path / str(chunk_rows)
        prepare(
            criteo(tmp_path / "log.tsv"),
            out,
            slots=2,
            limit=100,
            on_error="skip",
            chunk_rows=chunk_rows,
        )
        texts.add((out / "dataset.json").read_text())
    assert len(texts) == 1

"""Rows in = rows out + rows listed + rows beyond a limit, for sources that read all to sort it."""

import json

import pytest

from data_scripts import InputError, criteo, movietweetings, prepare, synthetic, table
from data_scripts.__main__ import main
from data_scripts.sources.chunk import Chunk

BAD = {7, 300, 390}


def write_table(folder, rows=400):
    lines = ["label\tu\tt"]
    for i in range(rows):
        lines.append(f"{2 if i in BAD else i % 2}\tu{i % 5}\t{(rows - i) * 10}")
    (folder / "log.tsv").write_text("\n".join(lines) + "\n")
    return folder / "log.tsv"


@pytest.mark.parametrize("chunk_rows", [1, 64, 65_536])
@pytest.mark.parametrize(
    ("limit", "beyond"), [(None, 0), (100, 297), (396, 1), (397, 0), (398, 0), (10_000, 0)]
)
def test_sorted_rows_beyond_the_limit_are_counted_as_read(tmp_path, limit, beyond, chunk_rows):
    source = table(write_table(tmp_path), "label", "t", ["u"], sort=True)
    options = {"limit": limit, "chunk_rows": chunk_rows, "slots": 3, "on_error": "skip"}
    meta = prepare(source, tmp_path / "out", progress=False, **options)
    prepared = 397 - beyond
    assert meta["rows"] == {"read": 400, "prepared": prepared, "bad": 3, "beyond_limit": beyond}
    periods = [meta["periods"]["train"], meta["periods"]["validation"], *meta["periods"]["slots"]]
    assert sum(period["rows"] for period in periods) == prepared
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["rows"] == meta["rows"]


@pytest.mark.parametrize("limit", [100, 299, 300])
def test_unsorted_rows_behind_the_limit_are_not_read(tmp_path, limit):
    """The rows that are wanted, and the bad ones among them, are all that is looked at."""
    source = table(write_table(tmp_path), "label", None, ["u"])
    meta = prepare(source, tmp_path / "out", limit=limit, slots=3, on_error="skip", progress=False)
    bad = 1 if limit < 300 else 2
    want = {"read": limit + bad, "prepared": limit, "bad": bad, "beyond_limit": 0}
    assert meta["rows"] == want


def test_ratings_beyond_the_limit_are_counted_as_read(tmp_path):
    ratings = [f"{i % 7}::{i % 3}::{i % 11}::{2000 - i}" for i in range(200)]
    ratings[5] = ratings[50] = "a bad line"
    (tmp_path / "ratings.dat").write_text("\n".join(ratings) + "\n")
    (tmp_path / "movies.dat").write_text("0::A (2001)::Drama\n1::B (2002)::Drama\n")
    options = {"limit": 120, "slots": 3, "on_error": "skip", "progress": False}
    meta = prepare(movietweetings(tmp_path), tmp_path / "out", **options)
    assert meta["rows"] == {"read": 200, "prepared": 120, "bad": 2, "beyond_limit": 78}


def test_a_made_up_log_has_no_more_rows_than_the_limit(tmp_path):
    source = synthetic(rows=600, users=20, items=10)
    meta = prepare(source, tmp_path / "out", limit=100, slots=3, progress=False)
    assert meta["rows"] == {"read": 100, "prepared": 100, "bad": 0, "beyond_limit": 0}


def test_the_command_line_tells_all_three_counts(tmp_path, capsys):
    words = ["table", str(write_table(tmp_path)), str(tmp_path / "out"), "--label", "label"]
    words += ["--categorical", "u", "--time", "t", "--sort", "--slots", "3"]
    assert main([*words, "--on-error", "skip", "--limit", "100"]) == 0
    told = capsys.readouterr().out
    assert "rows read: 400 = 100 prepared + 3 bad ones skipped + 297 beyond --limit\n" in told


@pytest.mark.parametrize("limit", [None, 3000])
def test_a_reader_that_loses_rows_is_told_of_with_a_limit_too(tmp_path, limit, monkeypatch):
    """Only sorting reads rows beyond the limit; others that lack rows have lost them."""
    (tmp_path / "log.tsv").write_bytes(b"1\t5\tab\n" * 4000)
    original = Chunk.__init__

    def counts_one_more(self, path, frame, lines, rows_in=None, name=None):
        original(self, path, frame, lines, len(frame) + 1 if rows_in is None else rows_in + 1, name)

    monkeypatch.setattr(Chunk, "__init__", counts_one_more)
    with pytest.raises(InputError, match="as many as were found in the files"):
        prepare(
            criteo(tmp_path / "log.tsv", 1, 1),
            tmp_path / "out",
            limit=limit,
            slots=3,
            chunk_rows=1,
            on_error="skip",
            progress=False,
        )

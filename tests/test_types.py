"""Labels, numbers and tokens of all types; the same log from CSV and Parquet."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reading import same

from data_scripts import prepare, table
from data_scripts.__main__ import main
from reloop2_keras.core.labels import LabelRule

ROWS = 60
CUT = {"train_fraction": 0.5, "validation_fraction": 0.2, "slots": 2, "threshold": 0}


def parquet(path, **columns):
    columns = {"label": pa.array([0, 1] * (ROWS // 2)), "u": pa.array(["a"] * ROWS), **columns}
    pq.write_table(pa.table(columns), path)
    return path


def text(path, **columns):
    columns = {"label": ["0", "1"] * (ROWS // 2), "u": ["a"] * ROWS, **columns}
    pl.DataFrame(columns).write_csv(path, separator="\t", quote_style="never")
    return path


def column(source, at=1):
    got = same(source)
    return got if isinstance(got, str) else [row[at] for row in got[0]]


@pytest.mark.parametrize(
    ("labels", "positive", "want"),
    [
        (["True", "False"], None, [1, 0]),
        (["true", "false"], None, [1, 0]),
        (["TRUE", "FALSE"], ">=1", [1, 0]),
        (["1.0", "0.0"], None, [1, 0]),
        (["True", "False"], "true", [1, 0]),
        (["yes", "no"], "yes", [1, 0]),
        (["yes", "Yes"], "yes", [1, 0]),
        ([" yes ", "no"], "==yes", [1, 0]),
        (["view", "click", "buy"], "click, buy", [0, 1, 1]),
        (["view", "click", "buy"], "!=view", [0, 1, 1]),
        (["1", "7.0", "4"], ">4", [0, 1, 0]),
        (["1e-3", "0"], ">=1e-3", [1, 0]),
        (["-1", "1"], "1", [0, 1]),
    ],
)
def test_labels(tmp_path, labels, positive, want):
    labels = (labels * ROWS)[:ROWS]
    source = table(
        text(tmp_path / "log.tsv", label=labels), "label", None, ["u"], positive=positive
    )
    assert column(source, 0) == (want * ROWS)[:ROWS]
    path = parquet(tmp_path / "log.parquet", label=pa.array(labels).dictionary_encode())
    assert column(table(path, "label", None, ["u"], positive=positive), 0) == (want * ROWS)[:ROWS]


def test_labels_of_words_are_told_with_the_option_for_them(tmp_path):
    path = text(tmp_path / "log.tsv", label=["yes", "no"] * (ROWS // 2))
    for positive in (None, ">=1"):
        message = same(table(path, "label", None, ["u"], positive=positive))
        assert "found 'yes'; " in message and "--positive " in message
        assert "a missing one" not in message  # a label cannot be missing


@pytest.mark.parametrize("labels", [["2", "1"], ["yes", "no"], ["", "1"], ["nan", "1"]])
def test_other_labels_are_told_with_what_helps(tmp_path, labels):
    path = text(tmp_path / "log.tsv", label=labels * (ROWS // 2))
    message = same(table(path, "label", None, ["u"]))
    assert f"{path}:2: expected " in message and f"found {labels[0]!r}" in message


def test_a_word_that_no_label_has_is_an_error(tmp_path):
    path = text(tmp_path / "log.tsv", label=["yes", "no"] * (ROWS // 2))
    message = same(table(path, "label", None, ["u"], positive="Yes"))
    assert "that --positive 'Yes' takes for a click, found none" in message
    message = same(table(path, "label", None, ["u"], positive="!=No"))
    assert "that --positive '!=No' takes for no click, found none" in message


@pytest.mark.parametrize("positive", ["Yes", "!=No"])
@pytest.mark.parametrize("limit", [40, ROWS])
def test_a_word_that_no_label_has_is_an_error_of_the_first_rows_too(tmp_path, positive, limit):
    path = text(tmp_path / "log.tsv", label=["yes", "no"] * (ROWS // 2))
    for rows in (7, 65_536):
        source = table(path, "label", None, ["u"], positive=positive)
        with pytest.raises(ValueError, match=f"--positive '{positive}' takes for .* found none"):
            prepare(source, tmp_path / "out", limit=limit, chunk_rows=rows, slots=2)
    source = table(path, "label", None, ["u"], positive="yes")
    assert prepare(source, tmp_path / "out", limit=limit, slots=2)["errors"]["total"] == 0


@pytest.mark.parametrize("rule", ["", ">=abc", ">", "=> 4", "==", ", ,", ">=1.2.3"])
def test_rules_that_cannot_be(rule):
    with pytest.raises(ValueError, match="`positive` must be a comparison"):
        LabelRule.parse(rule)


@pytest.mark.parametrize("kind", [pa.bool_(), pa.int8(), pa.float32(), pa.decimal128(30, 2)])
def test_typed_labels(tmp_path, kind):
    labels = pa.array([0, 1] * (ROWS // 2)).cast(kind)
    path = parquet(tmp_path / "log.parquet", label=labels)
    assert column(table(path, "label", None, ["u"]), 0) == [0, 1] * (ROWS // 2)
    nulls = pa.array([None, 1] * (ROWS // 2), pa.int64()).cast(kind)
    message = same(table(parquet(path, label=nulls), "label", None, ["u"]))
    assert f"{path}:1: expected a label in column label, found ''" in message


@pytest.mark.parametrize(
    ("values", "want"),
    [
        (["True", "False"], [1.0, 0.0]),
        (["true", ""], [1.0, None]),
        ([" 7", "-1e20"], [7.0, -1e20]),
        (["NaN", "3.4e38"], [None, 3.4e38]),
    ],
)
def test_numbers_in_text(tmp_path, values, want):
    path = text(tmp_path / "log.tsv", x=values * (ROWS // 2))
    assert column(table(path, "label", numeric=["x"])) == want * (ROWS // 2)


@pytest.mark.parametrize("value", ["1e300", "-1e300", "1e999", "inf"])
def test_numbers_beyond_float32_are_bad_rows(tmp_path, value):
    path = text(tmp_path / "log.tsv", x=["5"] * 50 + [value] * (ROWS - 50))
    message = same(table(path, "label", numeric=["x"]))
    assert f":52: expected a number within 3.4e38 (float32) in column x, found {value!r}" in message
    rows, bad, _ = same(table(path, "label", numeric=["x"]), "skip")
    assert (len(rows), bad) == (50, ROWS - 50)


@pytest.mark.parametrize("value", ["1,5", "NA", "0x1", "many", "1_0", "1 2"])
def test_what_is_no_number_is_told(tmp_path, value):
    path = text(tmp_path / "log.tsv", x=[value] * ROWS)
    message = same(table(path, "label", numeric=["x"]))
    assert f":2: expected a number in column x, found {value!r}; a missing one" in message


@pytest.mark.parametrize(
    ("array", "want"),
    [
        (pa.array([True, None]), [1.0, None]),
        (pa.array([7, None], pa.uint64()), [7.0, None]),
        (pa.array([7.5, float("nan")]), [7.5, None]),
        (pa.array(np.array([7.5, 0], "f2")), [7.5, 0.0]),
        (pa.array([decimal.Decimal("7.50"), None]), [7.5, None]),
        (pa.array([decimal.Decimal("7.50"), None], pa.decimal256(60, 2)), [7.5, None]),
        (pa.array([None, None]), [None, None]),
        (pa.array([" 7.5", "TRUE"], pa.string_view()), [7.5, 1.0]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_typed_numbers(tmp_path, array, want):
    path = parquet(tmp_path / "log.parquet", x=pa.concat_arrays([array] * (ROWS // 2)))
    assert column(table(path, "label", numeric=["x"])) == want * (ROWS // 2)


@pytest.mark.parametrize(
    ("array", "want"),
    [
        (pa.array([True, None]), ["True", None]),
        (pa.array([7, None], pa.int8()), ["7", None]),
        (pa.array([7.0, None]), ["7", None]),
        (pa.array([0.1, float("nan")], pa.float32()), ["0.1", None]),
        (pa.array([decimal.Decimal("7.50"), None]), ["7.5", None]),
        (pa.array([decimal.Decimal("7.50"), None], pa.decimal256(60, 2)), ["7.5", None]),
        (pa.array(["7.0", ""], pa.large_string()), ["7", None]),
        (pa.array(["é", None], pa.string_view()), ["é", None]),
        (pa.array([b"ab", "é".encode()]), ["ab", "é"]),
        (pa.array([b"ab", b"cd"], pa.binary(2)), ["ab", "cd"]),
        (pa.array(["x", None]).dictionary_encode(), ["x", None]),
        (pa.array([7, 8]).dictionary_encode(), ["7", "8"]),
        (pa.array([None, None]), [None, None]),
        (pa.array([0, 86_400], pa.timestamp("s")), ["1970-01-01 00:00:00", "1970-01-02 00:00:00"]),
        (
            pa.array([0, None], pa.timestamp("ms", "Asia/Kolkata")),
            ["1970-01-01 00:00:00+00:00", None],
        ),
        (pa.array([0, None], pa.date32()), ["1970-01-01", None]),
        (pa.array([0, None], pa.date64()), ["1970-01-01", None]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_typed_tokens(tmp_path, array, want):
    path = parquet(tmp_path / "log.parquet", x=pa.concat_arrays([array] * (ROWS // 2)))
    assert column(table(path, "label", None, ["x"])) == want * (ROWS // 2)


@pytest.mark.parametrize("role", ["categorical", "numeric", "time", "group", "label"])
@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(pa.int64()),
        pa.struct([("a", pa.int64())]),
        pa.map_(pa.string(), pa.int64()),
        pa.duration("s"),
        pa.time64("us"),
    ],
    ids=str,
)
def test_types_of_no_use_are_refused_by_column(tmp_path, role, kind):
    path = parquet(tmp_path / "log.parquet", x=pa.nulls(ROWS, kind))
    words = {"label": "label", "categorical": ["u"], role: "x"}
    if role in ("categorical", "numeric"):
        words[role] = ["u"] * (role == "categorical") + ["x"]
    message = same(table(path, **words), "skip")
    assert f"{path}: column x (" in message and f"found {kind}".split("<")[0] in message


@pytest.mark.parametrize("kind", [pa.binary(), pa.string(), pa.large_string()], ids=str)
def test_bytes_that_are_no_text_are_bad_rows(tmp_path, kind):
    raw = pa.array(
        [b"a", b"\xff"] * (ROWS // 2), pa.large_binary() if "large" in str(kind) else None
    )
    path = parquet(tmp_path / "log.parquet", x=raw.view(kind))
    assert f"{path}:2: expected UTF-8 in column x" in same(table(path, "label", None, ["x"]))
    rows, bad, first = same(table(path, "label", None, ["x"]), "skip")
    assert ({row[1] for row in rows}, bad, first[0]["line"]) == ({"a"}, ROWS // 2, 2)


def test_parquet_files_that_are_none(tmp_path):
    whole = parquet(tmp_path / "log.parquet").read_bytes()
    path = tmp_path / "bad.parquet"
    for content in (
        b"",
        b"hello",
        whole[: len(whole) // 2],
        whole[:100] + b"x" * 100 + whole[200:],
    ):
        path.write_bytes(content)
        assert f"{path}: expected a whole Parquet file" in same(table(path, "label", None, ["u"]))
    # where the writer made checksums of pages
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(pa.table({"label": [0, 1] * ROWS, "u": ["token"] * 2 * ROWS}), path, **options)
    content = bytearray(path.read_bytes())
    content[content.index(b"token" + bytes([5, 0, 0, 0]))] ^= 1  # in the page, not in its header
    path.write_bytes(content)
    assert f"{path}: expected a whole Parquet file" in same(table(path, "label", None, ["u"]))
    arrays = [pa.array([1]), pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(arrays, names=["label", "u", "u"]), path)
    assert "several called 'u'" in same(table(path, "label", None, ["u"]))
    pq.write_table(
        pa.table({"label": pa.array([], pa.int64()), "u": pa.array([], pa.string())}), path
    )
    assert same(table(path, "label", None, ["u"])) == ([], 0, [])


def test_one_log_in_five_kinds_of_files_gives_the_same_bytes(tmp_path):
    """pandas writes True and 7.0, Polars true; an integer with a gap is a float to pandas."""
    frame = pd.DataFrame(
        {
            "label": [i % 2 == 0 for i in range(ROWS)],
            "b": [i % 3 == 0 for i in range(ROWS)],
            "i": [i % 7 if i % 5 else None for i in range(ROWS)],
            "g": [float(i % 9) for i in range(ROWS)],
            "f": [i % 11 / 8 for i in range(ROWS)],
            "s": [f"s{i % 4}" for i in range(ROWS)],
        }
    )
    frame.to_csv(tmp_path / "pandas.csv", index=False)
    frame.to_parquet(tmp_path / "pandas.parquet")
    exact = frame.astype({"i": "Int64", "g": "int8", "f": "float32"})
    exact.to_parquet(tmp_path / "exact.parquet")
    exact.to_csv(tmp_path / "exact.csv", index=False)
    pl.from_pandas(frame).write_csv(tmp_path / "polars.csv")
    got = {}
    for path in [path for path in tmp_path.iterdir() if path.is_file()]:
        source = table(path, "label", None, ["b", "i", "g", "s"], ["f"], group="i")
        prepare(source, tmp_path / "out" / path.name, **CUT)
        files = sorted((tmp_path / "out" / path.name).rglob("*.parquet"))
        got[path.name] = [file.read_bytes() for file in files]
    assert len(got) == 5
    assert all(files == got["pandas.csv"] for files in got.values())


def test_the_command_line_of_tables(tmp_path, capsys):
    for i in range(2):
        text(tmp_path / f"day_{i}.csv", t=["14102100"] * ROWS, label=["buy", "view"] * (ROWS // 2))
    words = ["--label", "label", "--positive", "buy", "--categorical", "u", "--slots", "2"]
    words += ["--separator", "\\t", "--time", "t", "--time-format", "%y%m%d%H", "--quote", ""]
    for number, inputs in enumerate(
        ([f"{tmp_path}/day_*.csv"], sorted(map(str, tmp_path.iterdir())))
    ):
        assert main(["table", *inputs, str(tmp_path / f"out{number}"), *words]) == 0
    one, two = (tmp_path / f"out{number}" / "dataset.json" for number in range(2))
    assert one.read_bytes() == two.read_bytes() and b'"files"' in one.read_bytes()
    capsys.readouterr()
    assert main(["table", f"{tmp_path}/day_0.csv", str(tmp_path / "out3"), *words[:-4]]) == 2
    assert "--time-format %y%m%d%H" in capsys.readouterr().err

"""Any value that preparation accepts gives the same arrays through the encoder; others, neither."""

import datetime
import decimal
import io
import json
import math
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoder_rows import assert_equal, prepared
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data_scripts import InputError, prepare, table
from data_scripts.bins import bin_texts
from data_scripts.derived_columns import derived_column
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.parquet import _column
from data_scripts.sources.values import labels, numbers
from data_scripts.text import canonical
from reloop2_keras.core import field_codes
from reloop2_keras.core.derived import STEPS, Derived
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.labels import LabelRule
from reloop2_keras.core.numeric_field import bin_numbers, bin_text
from reloop2_keras.core.raw_numbers import number_of
from reloop2_keras.core.raw_tables import RawTable
from reloop2_keras.core.text import canonical_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
digits = st.from_regex(r"\A-?[0-9]{1,6}(\.[0-9]{1,3})?\Z")
odd = st.sampled_from(["", "7", "7.0", "07", "-0.0", "true", "TRUE", "False", "NaN", "None", " 7"])
wholes = st.integers(-(10**20), 10**20)
floats = st.floats(-3e38, 3e38) | st.just(math.nan)
tokens = st.one_of(texts, odd, st.integers(-3, 3), wholes, floats, st.booleans(), st.none())
plain = st.one_of(
    digits, odd.filter(lambda x: x != "None"), wholes, floats, st.booleans(), st.none()
)
rows = st.fixed_dictionaries({"y": st.integers(0, 1)}, optional={"c": tokens, "x": plain})


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rows, min_size=10, max_size=40), st.sampled_from([0, 4]))
@example([*[{"y": 0}] * 9, {"y": 0, "c": math.nan, "x": -0.0}], 0)
def test_whatever_stands_in_json_lines(given_rows, bins):
    given_rows = [{"y": 0, "c": 1, "x": 2.0}, *given_rows]  # each key must be there once
    with tempfile.TemporaryDirectory() as name:
        path, out = Path(name) / "log.jsonl", Path(name) / "out"
        path.write_text("".join(json.dumps(row) + "\n" for row in given_rows), encoding="utf-8")
        source = table(path, "y", categorical=["c"], numeric=["x"])
        prepare(source, out, slots=2, bins=bins, threshold=0, progress=False)
        want, encoder = prepared(out), Encoder.load(out)
    assert_equal(encoder.encode(given_rows), want)
    for place, row in enumerate(given_rows[:10]):
        assert_equal(encoder.encode(row), want, slice(place, place + 1))
    # a column of objects of several types, as pandas has them
    names = ("y", "c", "x")
    columns = {
        n: pd.Series([row.get(n) for row in given_rows], dtype=object if n != "y" else "int64")
        for n in names
    }
    assert_equal(encoder.encode(pd.DataFrame(columns)), want)


def one_by_one(function, values):
    """What a function makes of each value; the reason where it refuses."""
    found = []
    for value in values:
        try:
            found.append(function(value))
        except ValueError as error:
            found.append(str(error))
    return found


def by_chunk(read, values):
    """What preparation makes of a column; the reason where it refuses."""
    frame = pl.DataFrame({"x": values}) if isinstance(values, pl.Series) else None
    frame = pl.DataFrame({"x": pl.Series(values, dtype=pl.String)}) if frame is None else frame
    chunk = Chunk(Path("log"), frame, np.arange(len(frame)))
    found = read(chunk).to_list()
    for line, reason, _, _ in chunk.found:
        found[line] = reason.removesuffix(" in column x")
    return found


number_like = st.text(st.sampled_from("0123456789.+-eE"), max_size=6) | st.text(
    st.sampled_from("infatyINFATYtrueTRUE+-"), max_size=8
)
spaced = st.builds(
    lambda *parts: "".join(parts),
    *3 * [st.sampled_from(["", " ", "\t", "\x1c", "\u00a0", "\u3000", "\u200b"])],
)
number_texts = st.one_of(
    number_like, texts, odd, digits, wholes.map(str), st.floats().map(repr),
    st.sampled_from(["inf", "-Infinity", "nan", "+NAN", "1_0", "٣", "１", "1e400", "9" * 400]),
    st.integers(2**63 - 2, 2**63 + 2).map(str),
)  # fmt: skip


@given(st.lists(st.tuples(spaced, number_texts, spaced).map("".join), min_size=1), st.booleans())
def test_the_same_texts_are_numbers(values, integer):
    want = by_chunk(lambda chunk: numbers(chunk, "x", integer), values)
    got = one_by_one(lambda value: number_of(value, integer), values)
    got = [None if isinstance(x, float) and math.isnan(x) else x for x in got]
    assert repr(got) == repr(want)  # which tells -0.0 from 0.0


@given(st.lists(st.decimals(-1e15, 1e15, places=3) | st.none(), min_size=1))
def test_decimals_are_the_same_numbers(values):
    series = pl.Series(values, dtype=pl.Decimal(20, 3))
    want = by_chunk(lambda chunk: numbers(chunk, "x"), series)
    assert [None if math.isnan(x) else x for x in map(number_of, values)] == want


@given(st.lists(number_texts, min_size=1), st.sampled_from([None, ">=4", "7,true", "!=7", "<1e3"]))
def test_the_same_texts_are_labels(values, positive):
    rule = LabelRule.parse(positive)
    want = by_chunk(lambda chunk: labels(chunk, "x", rule), values)
    assert one_by_one(rule.read, values) == want


moments = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1))
COLUMNS = [
    (pl.String, texts | odd),
    (pl.Categorical, texts | odd),
    (pl.Boolean, st.booleans()),
    (pl.Int8, st.integers(-128, 127)),
    (pl.UInt64, st.integers(0, 2**64 - 1)),
    (pl.Float32, st.floats(width=32)),
    (pl.Float64, st.floats()),
    (pl.Decimal(20, 3), st.decimals(-1e15, 1e15, places=3)),
    (pl.Date, st.dates()),
    (pl.Datetime("ms"), moments),
    (pl.Datetime("us"), moments),
    (pl.Datetime("ns"), moments),
    (pl.Datetime("us", "Asia/Kolkata"), moments.map(lambda x: x.replace(tzinfo=datetime.UTC))),
]


@pytest.mark.parametrize(("kind", "values"), COLUMNS, ids=lambda x: str(x) if x in COLUMNS else "")
@settings(max_examples=50)
@given(st.data())
def test_the_same_texts_of_typed_columns(kind, values, data):
    series = pl.Series("x", data.draw(st.lists(values | st.none(), min_size=1)), dtype=kind)
    codes, distinct = RawTable(series.to_frame()).distinct("x")
    found = [canonical_text(value) for value in distinct]
    assert [found[code] for code in codes] == canonical(series).to_list()


wide = st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**50))


@given(st.lists(wide.filter(lambda x: abs(x) < 10**50) | st.none(), min_size=1))
def test_every_digit_of_a_long_decimal_counts(values):
    path = io.BytesIO()
    column = pa.array(values, pa.decimal256(70, 9))
    pq.write_table(pa.table({"x": column}), path)
    series, _ = _column(pq.read_table(path)["x"].combine_chunks())
    codes, distinct = RawTable(pa.table({"x": column})).distinct("x")
    found = [canonical_text(value) for value in distinct]
    assert [found[code] for code in codes] == canonical(series).to_list()
    for value, text in zip(values, canonical(series).to_list(), strict=True):
        assert text is None or decimal.Decimal(text) == value


@given(st.lists(st.floats(allow_nan=False), max_size=9), st.lists(st.floats(allow_nan=False)))
def test_the_same_bins(edges, values):
    edges = sorted(edges)
    found = [bin_text(number) for number in bin_numbers(np.array(values), edges)]
    assert found == bin_texts(pl.Series(values, dtype=pl.Float64), edges).to_list()


@pytest.mark.parametrize("step", STEPS)
@given(values=st.lists(texts | digits | st.sampled_from(["Up (2009)", "NULL"]) | st.none()))
def test_the_same_derived_columns(step, values):
    made = Derived("x", step)
    want = [x if isinstance(x, str | None) and "expected" not in (x or "") else None
            for x in one_by_one(made.of, values)]  # fmt: skip
    if not any("expected" in (value or "") for value in values):
        assert derived_column(pl.Series("x", values, dtype=pl.String), made).to_list() == want


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"c": [1]}, "row 0: field c: expected a text, number, Boolean, date or time"),
        ({"c": b"\xff"}, "row 0: field c: .*can't decode"),
        ({"x": "cheap"}, "row 0: field x: expected a number, found 'cheap'"),
        ({"x": datetime.date(2024, 1, 1)}, "row 0: field x: expected a number, found '2024-01-01'"),
        (
            {"x": 1e39},
            r"row 0: field x: expected a number within 3.4e38 \(float32\), found '1e\+39'",
        ),
        ({"x": 10**400}, "row 0: field x: expected a number within 3.4e38"),
        ({"x": decimal.Decimal("Infinity")}, "row 0: field x: expected a number within 3.4e38"),
        ({"y": "2"}, "row 0: field y: expected label 0 or 1, found '2'"),
        ({"y": None}, "row 0: field y: expected a label, found 'None'"),
        ({"z": 1}, "row 0: expected fields among 'c', 'x', 'y', found 'z'"),
        ({1: 1}, "row 0: expected fields among 'c', 'x', 'y', found 1"),
    ],
)
def test_what_is_refused_is_refused_with_row_and_field(small, row, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        small.encode(row)
    with pytest.raises(ValueError, match=f"^{message.replace('row 0', 'row 1', 1)}"):
        small.encode([{"c": "a", "x": 1, **dict.fromkeys(row.keys() & {"y"}, 1)}, row])


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    path = folder / "log.csv"
    path.write_text("y,c,x\n" + "".join(f"{n % 2},{n % 3},{n}\n" for n in range(40)))
    prepare(table(path, "y", categorical=["c"], numeric=["x"]), folder / "out", slots=2)
    return Encoder.load(folder / "out")


@pytest.mark.parametrize("x", [["cheap"], [1e39], ["1", "cheap"]])
def test_tables_are_refused_with_row_and_field(small, x):
    columns = {"c": ["a"] * len(x), "x": x}
    for frame in (pd.DataFrame(columns), pl.DataFrame(columns)):
        with pytest.raises(ValueError, match=f"^row {len(x) - 1}: field x: expected a number"):
            small.encode(frame)


@pytest.mark.parametrize(
    "values", [[[1]], [{"a": 1}], [datetime.timedelta(1)], [datetime.time(1)]], ids=str
)
@pytest.mark.parametrize("name", ["c", "x"])
def test_columns_of_types_that_no_log_has_are_refused(small, values, name):
    frame = pl.DataFrame({"c": ["a"], "x": [1.0]}).with_columns(pl.Series(name, values))
    message = f"^row 0: field {name}: expected a "
    for form in (frame, frame.to_arrow(), frame.to_pandas(), frame.row(0, named=True)):
        with pytest.raises(ValueError, match=message):
            small.encode(form)


def test_columns_without_a_value(small):
    want = small.encode([{}, {}])
    nothing = pl.DataFrame({"c": [None, None], "x": [None, None]})
    for form in (nothing, nothing.to_arrow(), nothing.to_pandas()):
        assert_equal(small.encode(form), want)


def test_rows_and_tables_that_are_none(small):
    for rows, found in ((7, "int"), ("ab", "str"), (np.zeros(3), "ndarray")):
        with pytest.raises(ValueError, match=f"^`rows` must be a dict, .* Received: {found}"):
            small.encode(rows)
    with pytest.raises(ValueError, match="Received in row 1: int"):
        small.encode([{"c": 1}, 7])
    with pytest.raises(ValueError, match="must all have a label .*Received: 1 of 2"):
        small.encode([{"c": 1, "y": 1}, {"c": 1}])
    twice = pd.DataFrame([[1, 2]], columns=["c", "c"])
    with pytest.raises(ValueError, match=r"one column of each name. Received twice: \['c'\]"):
        small.encode(twice)
    with pytest.raises(ValueError, match="^field x: expected 'x'; None if it is missing"):
        small.encode(pl.DataFrame({"c": ["a"]}))
    for empty in ([], pl.DataFrame(schema={"c": pl.String, "x": pl.Float64})):
        assert small.encode(empty)["feature_ids"].shape == (0, 2)


def test_objects_of_several_types_in_one_column_of_pandas(small):
    values = [7, 7.5, True, "7.0", datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1), None]
    for some in (values, values[:2], values[4:6], [2**60 + 1, 0.5]):
        rows = [{"c": value, "x": 1} for value in some]
        frame = pd.DataFrame({"c": pd.Series(some, dtype=object), "x": 1})
        assert_equal(small.encode(frame), small.encode(rows))


def test_an_index_of_pandas_is_no_column(small):
    frame = pd.DataFrame({"c": ["1", "2"], "x": [1.0, 2.0]}, index=pd.Index([5, 3], name="z"))
    assert_equal(small.encode(frame), small.encode(frame.to_dict("records")))


def test_threads_share_one_encoder(small, monkeypatch):
    monkeypatch.setattr(field_codes, "KEPT", 64)  # what is remembered is let go again and again
    lenient = Encoder(small.description, small.vocabulary, strict=False)
    rows = [{"c": f"new {n}", "x": n, "z": 1} for n in range(300)]
    want = small.encode([{"c": row["c"], "x": row["x"]} for row in rows])

    def work(_):
        for place, row in enumerate(rows):
            assert_equal(lenient.encode(row), want, slice(place, place + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert lenient.ignored == {"z": 1200} and len(lenient._hashes._kept) <= 2 * 64


def test_lenient_rows_and_tables_are_counted(small):
    lenient = Encoder(small.description, small.vocabulary, strict=False)
    want = small.encode([{"c": 1, "x": None}] * 3)
    assert_equal(lenient.encode([{"c": 1, "z": 1}] * 3), want)
    assert_equal(lenient.encode(pl.DataFrame({"c": [1, 1, 1], "z": [1, 2, 3]})), want)
    assert dict(lenient.ignored) == {"z": 6} and dict(lenient.lacking) == {"x": 3}
    with pytest.raises(ValueError, match="expected a number"):
        lenient.encode({"x": "cheap"})


def test_preparation_refuses_what_the_encoder_refuses(tmp_path):
    for bad in ('{"y": 1, "c": [1], "x": 1}', '{"y": 1, "c": 1, "x": "cheap"}'):
        (tmp_path / "log.jsonl").write_text('{"y": 1, "c": 1, "x": 1}\n' * 9 + bad)
        source = table(tmp_path / "log.jsonl", "y", categorical=["c"], numeric=["x"])
        with pytest.raises(InputError, match=":10: expected"):
            prepare(source, tmp_path / "out", slots=2)

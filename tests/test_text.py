"""One text a value, and one hash a text, whatever kind of file or request it comes from."""

import datetime
import decimal
import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.util import hash_array

from data_scripts import vocabulary
from data_scripts.text import canonical
from reloop2_keras.core import hashing
from reloop2_keras.core.text import bucket_text, canonical_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@settings(deadline=None)  # the first call compiles
@given(st.lists(texts, max_size=50))
def test_hashes_are_those_of_pandas(values):
    wide = hash_array(np.array([*values, "", "\0"], object), categorize=False)
    given = [value.encode() for value in [*values, "", "\0"]]
    assert hashing.hash_bytes(given).tolist() == wide.tolist()
    assert hashing.hash_bytes_numpy(given).tolist() == wide.tolist()
    mine = hashing.hash_text([*values, None])
    assert mine.dtype == np.int32
    series = pl.Series([*values, None], dtype=pl.String)
    assert mine.tolist() == vocabulary.hash_text(series).to_list()


@given(st.floats())
def test_a_float_has_the_text_of_its_own_writing(value):
    want = canonical_text(value)
    assert (want is None) == math.isnan(value)
    if want is not None:
        assert canonical_text(repr(value)) == canonical_text(want) == want
        assert float(want) == value
    series = pl.Series([value], dtype=pl.Float64)
    assert canonical(series).to_list() == [want]
    narrow = np.float32(np.clip(value, -3e38, 3e38))
    assert canonical(pl.Series([narrow], dtype=pl.Float32)).to_list() == [canonical_text(narrow)]


@given(st.integers(-(10**16) + 1, 10**16 - 1))
def test_an_integer_read_as_a_float_keeps_its_text(value):
    writings = [value, np.int64(value), str(value), decimal.Decimal(value)]
    if int(float(value)) == value:
        writings += [float(value), repr(float(value))]
    assert {canonical_text(writing) for writing in writings} == {str(value)}


strings = st.one_of(texts, st.from_regex(r"-?[0-9]{0,17}(\.0{0,2})?", fullmatch=True))
words = st.sampled_from(["true", "True", "TRUE", "tRUE", "FALSE", "-0.0", "0.0", "", "7.00"])


@given(st.lists(st.one_of(strings, words), min_size=1))
def test_text_of_strings_in_columns_equals_one_by_one(values):
    series = pl.Series([*values, None], dtype=pl.String)
    assert canonical(series).to_list() == [canonical_text(value) for value in [*values, None]]


def test_plain_strings_keep_their_text():
    for text in ("68fd1e64", "007", "7.", "7.00", "07.0", "1e3", "yes", "NaN", "None", " 7.0", "é"):
        assert canonical_text(text) == text
    assert canonical_text("12345678901234567.0") == "12345678901234567.0"


utc, other = datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30))
moment = datetime.datetime(2024, 1, 31, 10, 0, 0, 250_000)


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (None, None),
        (pd.NA, None),
        (pd.NaT, None),
        (np.datetime64("NaT", "s"), None),
        (decimal.Decimal("nan"), None),
        (np.bool_(False), "False"),
        (np.uint8(7), "7"),
        (b"7.0", "7"),
        (decimal.Decimal("7.50"), "7.5"),
        (decimal.Decimal("0.1234567890123456789012"), "0.1234567890123456789012"),
        (float("inf"), "inf"),
        (1e20, "1e+20"),
        (np.float32(0.1), "0.1"),
        (np.float16(0.1), "0.099975586"),  # as from Parquet, where it is read as a float32
        (datetime.date(2024, 1, 31), "2024-01-31"),
        (np.datetime64("2024-01-31"), "2024-01-31"),
        (moment, "2024-01-31 10:00:00.250000"),
        (np.datetime64(moment), "2024-01-31 10:00:00.250000"),
        (pd.Timestamp("2024-01-31 10:00:00.000000001"), "2024-01-31 10:00:00.000000001"),
        (np.datetime64("1969-12-31T23:59:59.5"), "1969-12-31 23:59:59.500000"),
        (moment.replace(tzinfo=other), "2024-01-31 04:30:00.250000+00:00"),
    ],
)
def test_text_of_typed_values(value, want):
    assert canonical_text(value) == want


@pytest.mark.parametrize(
    "value", [[1], {"a": 1}, (1,), datetime.timedelta(1), np.timedelta64(1, "s")]
)
def test_what_has_no_text_is_refused(value):
    with pytest.raises(TypeError, match="expected a text, number, Boolean"):
        canonical_text(value)
    with pytest.raises(ValueError, match="utf-8"):
        canonical_text(b"\xff")


@pytest.mark.parametrize(
    "series",
    [
        pl.Series([True, False, None]),
        pl.Series([7, None, -3], dtype=pl.Int8),
        pl.Series([2**64 - 1], dtype=pl.UInt64),
        pl.Series([datetime.date(2024, 1, 31), None]),
        pl.Series([moment, None], dtype=pl.Datetime("ms")),
        pl.Series([moment, None], dtype=pl.Datetime("ns")),
        pl.Series([moment.replace(tzinfo=other), None], dtype=pl.Datetime("us", "Asia/Kolkata")),
        pl.Series([decimal.Decimal("7.50"), None, decimal.Decimal("7.00")]),
        pl.Series([None], dtype=pl.Null),
        pl.Series(["a", None, "7.0"], dtype=pl.Categorical),
    ],
    ids=lambda series: str(series.dtype),
)
def test_text_of_typed_columns_equals_one_by_one(series):
    assert canonical(series).to_list() == [canonical_text(value) for value in series.to_list()]


@given(st.floats(-1e300, 1e300) | st.none())
def test_buckets_of_columns_equal_one_by_one(value):
    series = pl.Series([value], dtype=pl.Float64)
    assert vocabulary.bucket_numeric(series).to_list() == [bucket_text(value)]


def encoded(column, **kwargs):
    field = vocabulary.FieldVocabulary("f", **kwargs)
    field.count(column)
    field.assign_ids(0, 0)
    return field, field.encode(column)


def test_writings_of_one_value_share_its_id_and_count():
    column = pl.Series("f", ["7", "7.0", "True", "true", "TRUE", "8", None])
    field, (ids, _, hashes) = encoded(column, kind="categorical")
    assert dict(field.counts.select("value", "count").iter_rows()) == {"7": 2, "True": 3, "8": 1}
    assert ids.tolist() == [2, 2, 1, 1, 1, 3, 0]
    assert hashes.tolist() == hashing.hash_text(["7", "7", *["True"] * 3, "8", ""]).tolist()


def test_scaled_values_stay_finite_and_cuts_are_counted():
    field, _ = encoded(pl.Series("f", [19.0, 2.0]), kind="numeric")
    _, values, hashes = field.encode(pl.Series("f", [1e38, -1e38, -1e20, 38.0, None]))
    assert values.tolist() == [1e9, -1e9, -1e9, 2.0, 0.0] and field.clipped == 3
    assert hashes[2] == hashing.hash_text([bucket_text(-1e20)])[0]

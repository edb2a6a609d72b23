"""The fast ways of preparation against slow oracles: codes, look-ups, matrices, reading ahead."""

import collections

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from data_scripts import encoding
from data_scripts.factorize import Lookup, factorize_text
from data_scripts.prefetch import prefetched
from data_scripts.vocabulary import FieldVocabulary, bucket_numeric, hash_text
from data_scripts.writer import PeriodWriter

HASH = pl.Series.hash


@pytest.fixture(params=["64 bits", "3 values", "one value"])
def hashes(request, monkeypatch):
    """Polars' hash, and worse ones, under which different values clash."""
    few = {"64 bits": None, "3 values": 3, "one value": 1}[request.param]
    if few:
        monkeypatch.setattr(pl.Series, "hash", lambda self: HASH(self) % few)


def tokens(n=5000, kinds=700, seed=0):
    rng = np.random.default_rng(seed)
    values = [None, "", "é", "a longer value than Polars keeps in line", *map(str, range(kinds))]
    return pl.Series("field", [values[i] for i in rng.integers(0, len(values), n)])


def test_codes_of_equal_values_alone_are_equal(hashes):
    column = tokens()
    codes, distinct = factorize_text(column)
    assert [distinct[int(code)] for code in codes] == column.to_list()
    assert len(distinct) == column.n_unique()
    for few in (column[:1], column[:0]):
        codes, distinct = factorize_text(few)
        assert len(codes) == len(distinct) == len(few)


def test_lookup_equals_a_dictionary(hashes):
    column = tokens()
    kept = column.drop_nulls().unique().sort(descending=True)[::2]
    positions = {value: i for i, value in enumerate(kept.to_list())}
    want = [positions.get(value, -1) for value in column.to_list()]
    assert Lookup(kept).find(column).tolist() == want
    assert Lookup(kept[:0]).find(column).tolist() == [-1] * len(column)
    assert Lookup(kept).find(column[:0]).tolist() == []


def test_categorical_ids_and_hashes_value_by_value(hashes):
    train, later = tokens(3000, 500, seed=1), tokens(4000, 900, seed=2)
    field = FieldVocabulary("field", "categorical")
    field.count(train)
    assert field.assign_ids(7, 5) == 7 + field.cardinality
    known = {value: i + 8 for i, value in enumerate(field.counts["value"].to_list())}
    ids, values, hashed = field.encode(later)
    assert "" not in known  # as missing as None
    assert ids.tolist() == [known.get(value, 7) for value in later.to_list()]
    assert values.tolist() == [1.0]  # stands for all rows
    texts = [value or "" for value in later.to_list()]
    assert hashed.tolist() == [int(hash_text(pl.Series([text]))[0]) for text in texts]


@pytest.mark.parametrize("rows", [1, 7, 100, 5000])
def test_counts_of_pieces_equal_a_counter(rows):
    column = tokens()
    field = FieldVocabulary("field", "categorical")
    for start in range(0, len(column), rows):
        field.count(column[start : start + rows])
    field.assign_ids(0, 0)
    want = collections.Counter(value for value in column.to_list() if value)  # "" is missing
    assert dict(field.counts.select("value", "count").iter_rows()) == dict(want)


def test_numeric_values_and_hashes_value_by_value():
    numbers = [None, 0.0, -0.0, -3.5, 1.0, 2.0, 2.5, 3.0, 1e6, 1e15, *np.arange(50) / 7]
    column = pl.Series("x", numbers * 3)
    field = FieldVocabulary("x", "numeric")
    field.count(column)
    assert field.assign_ids(4, 1) == 5
    ids, values, hashed = field.encode(column)
    assert ids.tolist() == [4]
    want = [0.0 if x is None else x / 1e15 + 0.0 for x in numbers * 3]
    assert values.tobytes() == np.array(want, "f4").tobytes()  # no -0.0
    want = [hash_text(bucket_numeric(pl.Series([x], dtype=pl.Float64)))[0] for x in numbers * 3]
    assert hashed.tolist() == want


@pytest.mark.parametrize("rows", [0, 1, 4095, 4096, 10_000])
def test_matrix_equals_stacked_columns(rows):
    columns = [np.arange(rows) + i for i in range(5)]
    got = encoding._matrix([*columns, np.array([9])], rows)
    assert np.array_equal(got, np.stack([*columns, np.full(rows, 9)], axis=1))


def test_prefetched_keeps_order_and_raises_in_turn():
    closed = []

    def numbers():
        try:
            yield from range(5)
            raise KeyError("five")
        finally:
            closed.append(True)

    got = []
    with pytest.raises(KeyError, match="five"):
        for number in prefetched(numbers()):
            got.append(number)
    assert got == list(range(5)) and closed == [True]
    assert list(prefetched([])) == []
    for number in prefetched(iter(range(10**9))):
        if number == 3:
            break  # leaves no thread behind that goes on


def test_prepared_files_spare_the_marks_of_null(tmp_path):
    writer = PeriodWriter(tmp_path, [("train/000.parquet", 5)])
    for rows in (2, 3):
        writer.write({"label": np.ones(rows, "u1"), "feature_ids": np.full((rows, 3), 7, "i4")})
    schema = pq.read_schema(tmp_path / "train" / "000.parquet")
    assert not schema.field("label").nullable and not schema.field("feature_ids").nullable
    assert not schema.field("feature_ids").type.value_field.nullable
    got = pl.read_parquet(tmp_path / "train" / "000.parquet")
    assert got["feature_ids"].to_list() == [[7, 7, 7]] * 5

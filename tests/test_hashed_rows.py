"""Which row a value has: core's function against a loop, and what it must never do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.hashing import hash_text
from reloop2_keras.core.input_checks import check_inputs
from reloop2_keras.core.weight_shapes import weight_shapes

FIELDS = [{"cardinality": 5}, {"cardinality": 3}, {"cardinality": 1}]


def one_by_one(bits, ids, hashes):
    """Rows as the definition says, in Python's own integers."""
    out, first = [], [0, 5, 8]
    for row, row_hashes in zip(ids.tolist(), hashes.tolist(), strict=True):
        found = []
        for f, (value, h) in enumerate(zip(row, row_hashes, strict=True)):
            start = 9 + sum(2**k for k in bits[:f] if k)
            new = bits[f] and value == first[f]
            found.append(start + h % 2 ** bits[f] if new else value)
        out.append(found)
    return out


@given(st.lists(st.integers(0, 12), min_size=3, max_size=3), st.integers(0, 2**32))
def test_rows_are_those_of_the_definition(bits, seed):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, 5, 40), 5 + rng.integers(0, 3, 40), np.full(40, 8)], 1)
    hashes = rng.integers(-(2**31), 2**31, (40, 3)).astype("int32")
    hashed = HashedRows.of(FIELDS, bits)
    rows = hashed.rows(ids, hashes)
    assert rows.dtype == np.int32 and rows.tolist() == one_by_one(bits, ids, hashes)
    assert rows.min() >= 0 and rows.max() < hashed.num_rows
    # a known value keeps its row, and no two fields share one
    known = ids > [0, 5, 8]
    np.testing.assert_array_equal(rows[known], ids[known])
    columns = [set(column) for column in rows.T]
    assert not columns[0] & columns[1] and not columns[1] & columns[2]


def test_new_values_get_rows_of_their_own():
    hashed = HashedRows.of([{"cardinality": 5}], [16])
    hashes = hash_text([f"user {number}" for number in range(2000)])[:, None]
    rows = hashed.rows(np.zeros((2000, 1), "int32"), hashes)
    # of 2,000 values in 65,536 rows about 30 share one with another
    assert 1950 < len(np.unique(rows)) < 2000
    parts = np.histogram(rows, bins=16, range=(5, 5 + 65536))[0]
    assert parts.min() > 80 and parts.max() < 170


def test_grown_tables_say_the_same_of_new_values():
    hashed = HashedRows.of(FIELDS, [2, 0, 3])
    table = np.random.default_rng(0).normal(size=(9, 2))
    ids = np.array([[0, 5, 8], [3, 6, 8]])
    hashes = np.array([[7, 7, 7], [-1, -1, -1]])
    found = hashed.grown(table)
    assert found.shape == (9 + 4 + 8, 2)
    np.testing.assert_array_equal(found[hashed.rows(ids, hashes)], table[ids])


def test_bits_by_cardinality():
    fields = [{"cardinality": n} for n in (1, 2, 64, 65, 10_000, 10**8)]
    assert checked_bits(fields, True) == [0, 8, 8, 9, 16, 22]
    numeric = [{"cardinality": 7, "kind": "numeric"}, {"cardinality": 7, "kind": "categorical"}]
    assert checked_bits(numeric, 5) == [0, 5]
    assert checked_bits(fields, None) is checked_bits(fields, False) is None
    assert checked_bits(FIELDS, [0, 0, 2]) == [0, 0, 2]


@pytest.mark.parametrize("hashed", [31, -1, "many", [1, 2], [1.5, 0, 0], 2.5])
def test_bits_that_are_none(hashed):
    with pytest.raises(ValueError, match="`hashed` must be None, True"):
        checked_bits(FIELDS, hashed)


def test_a_table_of_too_many_rows():
    with pytest.raises(ValueError, match="less than 2\\^31 rows"):
        HashedRows.of(FIELDS, [30, 30, 0])


def test_shapes_of_a_described_model():
    config = {"fields": FIELDS, "embedding_dim": 2, "hidden_units": [3]}
    for hashed, rows in ((None, 9), ([2, 3, 0], 21)):
        described = {"class": "DeepFM", "config": {**config, "hashed": hashed}}
        assert weight_shapes(described)["field_embedding/embeddings"] == (rows, 2)
    assert (
        weight_shapes({"class": "DeepFM", "config": config})["linear_embedding/embeddings"][0] == 9
    )
    with pytest.raises(ValueError, match="`hashed`"):
        weight_shapes({"class": "DeepFM", "config": {**config, "hashed": [50, 0, 0]}})


def test_inputs_of_a_hashed_model():
    x = {"feature_ids": [[0, 5, 8]], "feature_values": [[1.0, 1.0, 1.0]]}
    check_inputs(x, FIELDS)
    for hashes, message in ((None, "must hold"), ([[0.5] * 3], "integers"), ([[1, 2]], "shape")):
        given_one = x if hashes is None else {**x, "feature_hashes": hashes}
        with pytest.raises(ValueError, match=message):
            check_inputs(given_one, FIELDS, hashed=True)
    check_inputs({**x, "feature_hashes": [[1, 2, 3]]}, FIELDS, hashed=True)

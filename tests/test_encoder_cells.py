"""What is remembered of a value changes nothing: equal values of several types have their own."""

import decimal
import math

import numpy as np
import pytest
from encoder_rows import assert_equal
from hypothesis import given
from hypothesis import strategies as st

from reloop2_keras.core import encoder_cells
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.hashing import hash_text
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.vocabulary import Vocabulary

TEXTS = ["7", "1", "0", "True", "10000000000000000", "1e+16", "0.1"]
FIELDS = [
    {"name": "c", "kind": "categorical", "cardinality": 1 + len(TEXTS), "offset": 0},
    {"name": "x", "kind": "numeric", "cardinality": 1, "offset": 8, "maximum": 3.0},
    {"name": "b", "kind": "numeric", "cardinality": 1, "offset": 9, "maximum": 0.5},
]
FIELDS[2]["edges"] = [0.0, 1.0, 7.0]
# equal to one another, or to what another of them is in float32
EQUAL = [0, 0.0, -0.0, False, 1, 1.0, True, np.float32(1), 10**16, 1e16, math.nan, None, ""]
EQUAL += [0.1, np.float32(0.1), float(np.float32(0.1)), decimal.Decimal("0.1"), np.int64(7), 7]
EQUAL += ["7", "7.0", b"7", np.str_("7"), "-0.0", "1e16", "true"]
NUMBERS = EQUAL


def encoder():
    description = {"source": "table", "num_ids": 10, "fields": FIELDS}
    description["raw"] = RawColumns("click").to_json()
    ids = np.arange(1, 1 + len(TEXTS), dtype="int32")
    return Encoder(description, Vocabulary(TEXTS, ids, hash_text(TEXTS)))


rows = st.fixed_dictionaries(
    {"c": st.sampled_from(EQUAL) | st.floats() | st.integers() | st.text(max_size=3)},
    optional={
        "x": st.sampled_from(NUMBERS) | st.floats(-1e30, 1e30) | st.integers(-(2**80), 2**80),
        "b": st.sampled_from(NUMBERS) | st.floats(-9, 9),
    },
)


@pytest.mark.parametrize("kept", [3, 1000])
def test_a_value_is_encoded_as_if_it_were_the_first(kept, monkeypatch):
    monkeypatch.setattr(encoder_cells, "KEPT", kept)  # 3: all are let go of again and again
    used = encoder()

    @given(st.lists(rows, min_size=1, max_size=12))
    def hold(some):
        want = encoder().encode(some)
        assert_equal(used.encode(some), want)
        assert_equal(used.encode(some), want)
        for place, row in enumerate(some):
            assert_equal(used.encode(row), want, slice(place, place + 1))
            assert_equal(encoder().encode(row), want, slice(place, place + 1))

    hold()


def test_what_is_kept_is_bounded_and_values_that_were_refused_are_none_of_it(monkeypatch):
    monkeypatch.setattr(encoder_cells, "KEPT", 30)
    one = encoder()
    for n in range(200):
        one.encode({"c": f"new{n}", "x": n + 0.5, "b": n})
        with pytest.raises(ValueError, match="row 0: field x: expected a number, found 'cheap'"):
            one.encode({"c": f"other{n}", "x": "cheap", "b": n})
    cells = one._rows._cells
    held = [*cells._plain, *cells._floats]
    assert all(len(kept) <= 10 for kept in held) and any(held)
    assert not any(str(key).startswith("other") for kept in held for key in kept)


@pytest.mark.parametrize("name", ["c", "x", "b"])
def test_one_value_is_never_taken_for_another_that_equals_it(name):
    values = EQUAL if name == "c" else NUMBERS
    fresh = [encoder().encode({"c": 1, "x": 1, "b": 1} | {name: value}) for value in values]
    for first in values:
        used = encoder()
        used.encode({"c": 1, "x": 1, "b": 1} | {name: first})
        for value, want in zip(values, fresh, strict=True):
            assert_equal(used.encode({"c": 1, "x": 1, "b": 1} | {name: value}), want)

"""Rows that lack fields, those that stand in another column included."""

import types

import pytest
from served_model import model

from reloop2_keras.core.derived import Derived
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.serving.whole_rows import WholeRows

RAW = RawColumns("rating", derived={"year": Derived("title", "year_of_title")})
LOG = types.SimpleNamespace(
    fields=[{"name": name} for name in ("user", "year", "item")],
    description={"raw": RAW.to_json()},
)


def test_a_row_needs_each_field_or_the_column_that_it_is_made_of():
    whole = WholeRows(LOG, strict=True)
    for row in (
        {"user": 1, "year": None, "item": 2},
        {"item": 2, "title": "Up (2009)", "user": None, "rating": 5},
    ):
        whole.check(row)
        whole.check([row, row])
    for row, said in (
        ({}, "'user', 'title' or 'year', 'item'$"),
        ({"user": 1, "item": 3}, "there: 'title' or 'year'$"),
        ({"title": "Up (2009)", "item": 3, "rating": 4}, "there: 'user'$"),
    ):
        with pytest.raises(ValueError, match="row 0: expected every field.*" + said):
            whole.check(row)
        with pytest.raises(ValueError, match="row 1: expected every field.*" + said):
            whole.check([{"user": 1, "year": 2, "item": 3}, row])
    assert not whole.lacking
    many = [{"name": f"c{n}"} for n in range(50)]
    many = types.SimpleNamespace(fields=many, description=LOG.description)
    with pytest.raises(ValueError, match="'c19' and 30 more$"):
        WholeRows(many, strict=True).check({})


def test_lenient_counts_and_what_is_no_row_is_left_to_the_encoder():
    whole = WholeRows(LOG, strict=False)
    whole.check([{"user": 1}, {"title": "x", "item": 1}, {}])
    assert dict(whole.lacking) == {"user": 2, "year": 2, "item": 2}
    WholeRows(LOG, strict=True).check(["nothing"])


def test_nothing_is_kept_of_a_request_that_is_refused():
    served = model(whole=True)
    before = served.state()[0]
    for call in (
        lambda: served.predict([{"user": "u1"}]),
        lambda: served.learn_rows([{"age": 3}], [1]),
        lambda: served.explain({}),
    ):
        with pytest.raises(ValueError, match="expected every field"):
            call()
    assert served.state()[0] == before
    assert served.predict([{"user": "u1", "age": None}]).scores.shape == (1,)

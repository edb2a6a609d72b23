"""Inputs are checked before a step: the rule itself, without a framework."""

import numpy as np
import pytest

from reloop2_keras.core.input_checks import check_inputs, check_shape

FIELDS = [{"cardinality": 20, "name": "user"}, {"cardinality": 10}, {"cardinality": 1}]


def batch(rows=1000, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.array([0, 20, 30]) + (rng.random((rows, 3)) * [20, 10, 1]).astype(int)
    return {"feature_ids": ids.astype("int32"), "feature_values": rng.random((rows, 3), "float32")}


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 1000, 70_000])
@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (0, -1, r"field 0 \(user\): expected an id in \[0, 20\), found -1"),
        (0, 20, r"field 0 \(user\): expected an id in \[0, 20\), found 20"),
        (1, 19, r"field 1: expected an id in \[20, 30\), found 19"),
        (2, 31, r"field 2: expected an id in \[30, 31\), found 31"),
    ],
)
def test_one_id_out_of_its_fields_range_is_named_wherever_it_is(rows, column, value, expected):
    x = batch(rows)
    check_inputs(x, FIELDS)
    for row in {0, rows // 2, rows - 1}:
        bad = {**x, "feature_ids": x["feature_ids"].copy()}
        bad["feature_ids"][row, column] = value
        with pytest.raises(ValueError, match=f"row {row}, {expected}"):
            check_inputs(bad, FIELDS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(dtype, value):
    x = batch(70_000)
    values = x["feature_values"].astype(dtype)
    check_inputs({**x, "feature_values": values}, FIELDS)
    values[69_999, 1] = value
    with pytest.raises(ValueError, match="`feature_values`, row 69999, field 1: expected a finite"):
        check_inputs({**x, "feature_values": values}, FIELDS)


def test_a_value_that_overflows_float32_is_refused():
    x = batch(3)
    values = x["feature_values"].astype("float64")
    values[2, 0] = 1e300
    with pytest.raises(ValueError, match="row 2, field 0 .user.: expected a finite float32"):
        check_inputs({**x, "feature_values": values}, FIELDS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_ids": None}, "must be a dict with 'feature_ids'"),
        ({"feature_ids": [0, 20, 30]}, r"`feature_ids` must have shape \(rows, 3\). .* \(3,\)"),
        ({"feature_ids": np.zeros((0, 3), "int32")}, "at least one row"),
        ({"feature_ids": np.zeros((4, 2), "int32")}, r"\(rows, 3\)"),
        ({"feature_ids": batch(4)["feature_ids"].astype("float32")}, "must be integers"),
        ({"feature_values": np.ones((4, 1))}, r"`feature_values` must have shape \(rows, 3\)"),
        ({"feature_values": np.ones((5, 3))}, "`feature_values` must have 4 rows"),
        ({"feature_values": np.ones((4, 3), "complex64")}, "must be numbers"),
        ({"feature_values": [["a"] * 3] * 4}, "must be numbers"),
        ({"feature_hashes": np.ones((3, 3), "int32")}, "`feature_hashes` must have 4 rows"),
        ({"feature_hashes": 7}, "`feature_hashes` must have 4 rows.*scalar"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    x = {name: array for name, array in {**batch(4), **change}.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        check_inputs(x, FIELDS)
    with pytest.raises(ValueError, match="^batch 3: "):
        check_inputs(x, FIELDS, "batch 3: ")
    check_inputs(batch(4), FIELDS)


def test_ids_of_every_integer_type_and_lists_are_taken():
    x = batch(4)
    for dtype in ("uint8", "int64", "uint64"):
        check_inputs({**x, "feature_ids": x["feature_ids"].astype(dtype)}, FIELDS)
    check_inputs({name: array.tolist() for name, array in x.items()}, FIELDS)
    check_inputs({**x, "feature_values": np.ones((4, 3), bool)}, FIELDS)


def test_sizes_that_a_traced_step_does_not_know_pass():
    check_shape("x", (None, 3), ("rows", 3))
    check_shape("x", (None, None), ("rows", 3))
    with pytest.raises(ValueError, match=r"`x` must have shape \(rows, 3\)"):
        check_shape("x", (None, 4), ("rows", 3))

"""Logits for probabilities, values of width 1, offsets of 1e30: refused on every backend."""

import keras
import numpy as np
import pytest
from test_serving import model, rows
from wrong_numbers import HASHES, KEYS, NO_OFFSETS, NO_PROBABILITIES

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    FieldEmbedding,
    OnlineGate,
    ReLoop2,
)
from reloop2_keras.layers import OnlineTables

pytestmark = pytest.mark.backend
NAN = float("nan")


def made():
    """Name -> function of two probabilities that no part may take."""
    gate, tables = OnlineGate(1), OnlineTables(2)
    exact, feature = ExactErrorMemory(10, 2, key_normalization="none"), FeatureErrorMemory(4)
    offsets = np.zeros((2, 1), "float32")
    return {
        "gate": lambda p: gate(p, offsets),
        "gate's update": lambda p: gate.update([0, 1], p, offsets),
        "tables": lambda p: tables(p, HASHES),
        "tables' predict": lambda p: tables.predict(HASHES, p),
        "exact's write": lambda p: exact.write(KEYS, [0, 1], p),
        "feature's write": lambda p: feature.write(HASHES, [0, 1], p),
    }


@pytest.mark.parametrize("part", made())
@pytest.mark.parametrize("p", NO_PROBABILITIES, ids=str)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_logits_are_no_probabilities(part, p, as_tensor):
    given = np.array(p, "float32")
    given = keras.ops.convert_to_tensor(given) if as_tensor else given
    with pytest.raises(ValueError, match=r"must be in \[0, 1\].*in row [01]"):
        made()[part](given)


@pytest.mark.parametrize("offsets", NO_OFFSETS, ids=str)
@pytest.mark.parametrize("way", ["call", "update"])
def test_offsets_that_no_memory_reads_are_refused(offsets, way):
    gate, p = OnlineGate(1), np.array([0.5, 0.25], "float32")
    given = np.array(offsets, "float32")
    with pytest.raises(ValueError, match="`offsets`"):
        gate(p, given) if way == "call" else gate.update([0, 1], p, given)
    found = keras.ops.convert_to_numpy(gate(p, np.zeros((2, 1), "float32")))
    np.testing.assert_allclose(found, p, rtol=1e-5)  # it has learnt nothing


def test_values_of_width_one_are_not_spread_over_the_fields():
    ids, values = np.array([[0, 5], [1, 6]], "int32"), np.ones((2, 1), "float32")
    with pytest.raises(ValueError, match=r"`feature_values` must have shape \(rows, 2\)"):
        FieldEmbedding(10, 4)(ids, values)
    base = DeepFM([5, 5], 4, (4,))
    for call in (base, lambda x: base.predict(x, verbose=0), ReLoop2(base, rule="online").serve):
        with pytest.raises(ValueError, match=r"`feature_values` must have shape \(rows, 2\)"):
            call({"feature_ids": ids, "feature_values": values, "feature_hashes": ids})


@pytest.mark.parametrize("fields", [[0.7], ["user"], [-1], [True], 0.7])
def test_fields_are_columns(fields):
    with pytest.raises(ValueError, match="`fields` must"):
        FeatureErrorMemory(4, fields=fields)


def linear_base(scale):
    """A functional model that ends in logits."""
    inputs = keras.Input((3,), name="x")
    dense = keras.layers.Dense(1, kernel_initializer=keras.initializers.Constant(scale))
    hidden = keras.layers.Dense(4, name="hidden", kernel_initializer="ones")(inputs)
    return keras.Model(inputs, dense(hidden))


@pytest.mark.parametrize("scale", [1e30, -3.0, NAN])
@pytest.mark.parametrize("gate", [None, True])
@pytest.mark.parametrize("way", ["serve", "predict", "observe"])
def test_a_base_that_ends_in_logits_is_named_and_not_clipped(scale, gate, way):
    memory = ExactErrorMemory(10, 2, key_normalization="none")
    whole = ReLoop2(linear_base(scale), memory, gate=gate)
    x, y = np.ones((4, 3), "float32"), np.array([0, 1, 0, 1])
    ways = {
        "serve": lambda: whole.serve(x),
        "predict": lambda: whole.predict(x, verbose=0),
        "observe": lambda: whole.observe(x, y),
    }
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]. Received: .* in row 0"):
        ways[way]()
    found = keras.ops.convert_to_numpy(whole(x))  # a plain call gives NaN, which no one shows
    assert np.isnan(found).all()


def test_what_fits_is_answered_as_before():
    whole, (x, y) = model(FeatureErrorMemory(4), gate=True), rows(20)
    whole.observe(x, y)
    found = whole.predict(x, verbose=0)[:, 0]
    np.testing.assert_allclose(found, whole.serve(x)["corrected"], atol=1e-5)

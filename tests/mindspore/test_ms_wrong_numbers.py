"""Logits for probabilities, values of width 1, offsets of 1e30: refused by name."""

import mindspore as ms
import numpy as np
import pytest
from wrong_numbers import HASHES, KEYS, NO_OFFSETS, NO_PROBABILITIES

from mindspore_port.layers import (
    ExactErrorMemory,
    FeatureErrorMemory,
    FieldEmbedding,
    OnlineGate,
    OnlineTables,
)
from mindspore_port.models.deepfm import DeepFM


def made():
    """Name -> function of two probabilities that no part may take."""
    gate, tables = OnlineGate(1), OnlineTables(2)
    exact, feature = ExactErrorMemory(10, 2, key_normalization="none"), FeatureErrorMemory(4)
    offsets = ms.Tensor(np.zeros((2, 1), "float32"))
    return {
        "gate": lambda p: gate(p, offsets),
        "gate's update": lambda p: gate.update([0, 1], p, offsets),
        "tables": lambda p: tables(p, HASHES),
        "exact's write": lambda p: exact.write(KEYS, [0, 1], p),
        "feature's write": lambda p: feature.write(HASHES, [0, 1], p),
    }


@pytest.mark.parametrize("p", NO_PROBABILITIES, ids=str)
def test_logits_are_no_probabilities(p, mode):
    for call in made().values():
        with pytest.raises(ValueError, match=r"must be in \[0, 1\].*in row [01]"):
            call(ms.Tensor(np.array(p, "float32")))


@pytest.mark.parametrize("offsets", NO_OFFSETS, ids=str)
def test_offsets_that_no_memory_reads_are_refused(offsets, mode):
    gate, p = OnlineGate(1), ms.Tensor(np.array([0.5, 0.25], "float32"))
    given = ms.Tensor(np.array(offsets, "float32"))
    for call in (lambda: gate(p, given), lambda: gate.update([0, 1], p, given)):
        with pytest.raises(ValueError, match="`offsets`"):
            call()
    found = gate(p, ms.Tensor(np.zeros((2, 1), "float32"))).asnumpy()
    np.testing.assert_allclose(found, [0.5, 0.25], rtol=1e-5)


def test_values_of_width_one_are_not_spread_over_the_fields(mode):
    ids = ms.Tensor(np.array([[0, 5], [1, 6]], "int32"))
    values = ms.Tensor(np.ones((2, 1), "float32"))
    for cell in (FieldEmbedding(10, 4), DeepFM([5, 5], 4, (4,))):
        with pytest.raises(ValueError, match=r"`feature_values` must have shape \(rows, 2\)"):
            cell(ids, values)

"""Wrong arguments of core are one line that names them, before memory is asked for.

The tables of wrong input stand by what they are given to; here they are counted.
"""

import tracemalloc

import neutral_edits
import numpy as np
import pytest
import tampered_files
import tampering
import test_arguments
import test_keras_file
import test_notebook_ranges
import test_run_py
import test_wrong_arguments
import wrong_flags
import wrong_model_uses
import wrong_uses

from reloop2_keras.core.base_arguments import checked_fields, checked_table, checked_units
from reloop2_keras.core.correction import Compensation
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.gate import Gate
from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory
from reloop2_keras.core.online import Online

NAN, INF = float("nan"), float("inf")
OTHERS = ("3", None, [3], True, NAN, INF, -INF)
WHOLE = (*OTHERS, -1, 1.5, 2**70)
# class, arguments that are right, argument -> (what is no good, what is told)
CASES = [
    (Gate, {}, "num_offsets", (*WHOLE, 10**6), "must be an integer from 0 to 4,096"),
    (Gate, {}, "forgetting", (*OTHERS, -0.1, 1), r"must be in \[0, 1\)"),
    (Compensation, {}, "compensation", (*OTHERS, -0.1, 1.1), r"must be in \[0, 1\]"),
    (Compensation, {}, "label_weight", (*OTHERS, -0.1, 1.1), r"must be in \[0, 1\]"),
    (FeatureMemory, {}, "num_bits", (*WHOLE, 0, 25), "must be an integer from 1 to 24"),
    (FeatureMemory, {}, "prior", (*OTHERS, 0, -1), "must be > 0 and finite"),
    (FeatureMemory, {}, "decay", (*OTHERS, 0, 1.5), r"must be in \(0, 1\]"),
    (FeatureMemory, {}, "sampling_rate", (*OTHERS, 0, 1.5), r"must be in \(0, 1\]"),
    (FeatureMemory, {}, "seed", WHOLE, "must be an integer >= 0"),
    (FeatureMemory, {}, "fields", ("3", 3, [0.7], [-1], ["a"], [True]), "must list columns"),
    (
        FeatureMemory,
        {},
        "crosses",
        ("3", 3, None, [[0]], [[1, 1]], [[0, 0.7]]),
        "must list|must be",
    ),
    (SketchMemory, {}, "num_arrays", (*WHOLE, 0), "must be an integer from 1 to"),
    (SketchMemory, {}, "num_bits", (*WHOLE, 0, 21), "must be an integer from 1 to 20"),
    (SketchMemory, {}, "temperature", (*OTHERS, 0, -1), "must be > 0 and finite"),
    (SketchMemory, {}, "error_threshold", ("3", [3], True, NAN, INF, 1), r"must be in \[0, 1\)"),
    (ExactMemory, {}, "capacity", (*WHOLE, 0, 10**12), "must be an integer from 1 to"),
    (ExactMemory, {}, "num_neighbors", (*WHOLE, 0, 10**12), "must be an integer from 1 to"),
    (Online, {}, "width", (*WHOLE, 0, 10**12), "must be an integer from 1 to 10,000"),
    (Online, {"width": 2}, "bases", ("ab", 3, None, [3], ["a", "a"]), "must be a list of distinct"),
    (Online, {"width": 2}, "crosses", ("ab", 3, [3], [[0, 0.7]], [[-1, 0]]), "must be"),
    (Online, {"width": 2}, "bits", (*WHOLE[:2], *WHOLE[4:], 2, 25), "must be an integer from 3"),
    (Online, {"width": 2}, "prior", (*OTHERS, 0, -1), "must be > 0 and finite"),
    (Online, {"width": 2}, "block_rows", (*WHOLE, 0, 10**12), "must be an integer from 1 to"),
    (Online, {"width": 2}, "rank_within", ("0", [0], NAN, INF, -1, 2, 0.5), "must be an integer"),
    (Online, {"width": 2}, "again", ("no", 0, 1, None), "must be True or False"),
    (Delay, {}, "delay", (NAN, INF, -1, 10**31), "must be a number of slots"),
    (checked_fields, {}, "fields", ("3", 3, None, [], [0], [2.7], [2**31]), "must "),
    (checked_fields, {}, "fields", ([{}], [{"cardinality": "3"}], [2**30] * 3), "must "),
    (checked_units, {}, "hidden_units", ("3", 3, None, [], [-1], [0.5], [10**9]), "must "),
    (checked_table, {"embedding_dim": 4}, "num_ids", (*WHOLE, 0, 2**31), "must be an integer from"),
    (checked_table, {"num_ids": 2**31 - 1}, "embedding_dim", (*WHOLE, 0, 64), "must "),
]
ROWS = [(made, right, name, value, told) for made, right, name, bad, told in CASES for value in bad]


@pytest.mark.parametrize(
    ("made", "right", "name", "value", "told"),
    ROWS,
    ids=[f"{made.__name__}-{name}-{str(value)[:12]}" for made, _, name, value, _ in ROWS],
)
def test_an_argument_out_of_range_is_named_before_memory_is_asked_for(
    made, right, name, value, told
):
    argument = "amount" if made is Delay else name
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=told) as caught:
            made(**{**right, argument: value})
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert f"`{name}`" in message and "Received" in message
    assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize(
    ("labels", "probabilities", "offsets", "told"),
    [
        ([0, 1], [0.5, 1.7], [[0], [0]], r"`probabilities` must be in \[0, 1\].*1.7 in row 1"),
        ([0, 1], [0.5, -3], [[0], [0]], r"`probabilities` must be in \[0, 1\].*-3.0 in row 1"),
        ([0, 1], [0.5, NAN], [[0], [0]], r"`probabilities` must be in \[0, 1\].*nan in row 1"),
        ([0, 1], [0.5, 0.7], [[0], [NAN]], "`offsets` must be finite.*in row 1, column 0"),
        ([0, 1], [0.5, 0.7], [[0], [1e30]], r"`offsets`, logits, must be within .*1e\+30"),
        ([0, 1], [0.5, 0.7], [[0], [-3e38]], r"`offsets`, logits, must be within .*3e\+38"),
        ([0, 1], [0.5, 0.7], [[0]], "must have equal numbers of rows"),
        ([0, 1], [0.5, 0.7], [0, 0], r"`offsets` must have shape \(batch, 1\)"),
        ([0, 1], [0.5, 0.7], None, r"`offsets` must have shape \(batch, 1\)"),
        ([0, 0.5], [0.5, 0.7], [[0], [0]], "`labels` must be 0 or 1. Received: 0.5 in row 1"),
        ([0], [0.5, 0.7], [[0], [0]], "`labels` must have 2 rows. Received: 1"),
    ],
)
def test_a_gate_refuses_what_it_cannot_learn_and_stays_as_it_was(
    labels, probabilities, offsets, told
):
    gate = Gate(1)
    gate.update([0, 1], [0.5, 0.5], [[0.5], [1.0]])
    before = gate.state()
    given = None if offsets is None else np.array(offsets, "float64")
    with pytest.raises(ValueError, match=told):
        gate.update(labels, probabilities, given)
    for name, array in gate.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_there_are_as_many_cases_as_are_told():
    tables = {
        "core": len(ROWS) + 11 + len(test_wrong_arguments.ROWS),
        "data_scripts": sum(map(len, test_arguments.WRONG.values())),
        "dataset.json": len(tampering.DESCRIPTIONS) + len(tampering.TEXTS),
        "files of a dataset": 2 * len(tampered_files.TABLES) + 3 * len(tampered_files.BYTES),
        "notebooks": 2 * len(test_run_py.WRONG) + len(test_notebook_ranges.ROWS),
        "command lines": sum(
            map(len, (wrong_uses.DATA, wrong_uses.STUDY, wrong_uses.SERVICE, wrong_uses.BATCH))
        ),
        "commands on model files": len(wrong_model_uses.NEUTRAL) + len(wrong_model_uses.EXPORT),
        "MindSpore flags": len(wrong_flags.FLAGS) + len(wrong_flags.FILES),
        ".keras files": len(test_keras_file.WRONG),
        "neutral files": len(neutral_edits.EDITS),
    }
    assert min(tables.values()) >= 14 and sum(tables.values()) >= 2500, tables

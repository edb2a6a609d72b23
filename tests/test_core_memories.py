"""What is peculiar to one kind of core memory; test_memory_protocol.py has what all promise."""

import numpy as np
import oracle
import pytest
from memory_checks import batch, make

from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory


def test_exact_keeps_the_last_capacity_rows_in_order():
    keys, y, p = batch("exact", 150)
    memory = make("exact", capacity=20, num_neighbors=3)
    for cut in (slice(0, 7), slice(7, 90), slice(90, 103), slice(103, 150)):
        memory.write(keys[cut], y[cut], p[cut])
    queries = batch("exact", 10, seed=2)[0]
    want = oracle.exact(list(zip(keys[-20:], y[-20:], p[-20:], strict=True)), queries, 3, 0.1)
    np.testing.assert_allclose(memory.read(queries)["mean_label"], want[:, 0], atol=1e-5)
    assert memory.cursor == 150 and memory.held == 20


def test_a_value_never_seen_reads_zero_and_extremes_are_bounded():
    memory = FeatureMemory(16)
    memory.write(np.full((5000, 1), 7, "int32"), np.ones(5000), np.full(5000, 1e-6))
    np.testing.assert_array_equal(memory.read([[7], [8]])["offsets"][:, 0], [8.0, 0.0])


@pytest.mark.parametrize("kind", ["exact", "sketch"])
def test_a_threshold_filters_rows(kind):
    keys, y, p = batch(kind, 60)
    memory = make(kind, error_threshold=0.4)
    assert memory.write(keys, y, p) == (np.abs(y - p) > 0.4).sum()


@pytest.mark.parametrize("kind", ["exact", "sketch"])
@pytest.mark.parametrize("large", [1e16, -3e38])
def test_keys_whose_squares_are_infinite_in_float32_are_refused(kind, large):
    with pytest.raises(ValueError, match=r"`keys` must be within \+-1e\+15"):
        make(kind).write(np.full((1, 6), large), [1], [0.5])


def test_merge_refuses_another_configuration_of_its_own():
    for kind, change in (("sketch", {"num_bits": 5}), ("feature", {"prior": 2.0})):
        one, other = make(kind, built=True), make(kind, built=True, **change)
        with pytest.raises(ValueError, match=f"same configuration.*{next(iter(change))}"):
            one.merge(other)


def test_bad_arguments_are_named():
    for cls, arguments, word in [
        (ExactMemory, {"capacity": 0}, "`capacity`"),
        (ExactMemory, {"capacity": 5, "num_neighbors": 6}, "`num_neighbors`"),
        (SketchMemory, {"num_bits": 21}, "`num_bits`"),
        (SketchMemory, {"num_arrays": 0}, "`num_arrays`"),
        (SketchMemory, {"temperature": 0}, "`temperature`"),
        (SketchMemory, {"temperature": np.nan}, "`temperature`"),
        (SketchMemory, {"decay": 1.5}, "`decay`"),
        (SketchMemory, {"sampling_rate": 0}, "`sampling_rate`"),
        (SketchMemory, {"error_threshold": 1}, "`error_threshold`"),
        (SketchMemory, {"key_normalization": "pca"}, "`mode`"),
        (SketchMemory, {"seed": -1}, "`seed`"),
        (FeatureMemory, {"num_bits": 0}, "`num_bits`"),
        (FeatureMemory, {"prior": 0.0}, "`prior`"),
        (FeatureMemory, {"prior": np.inf}, "`prior`"),
        (FeatureMemory, {"residual": "other"}, "`residual`"),
        (FeatureMemory, {"crosses": [(1, 1)]}, "`crosses`"),
        (FeatureMemory, {"crosses": [["user", "genres"]]}, "by number"),
        (FeatureMemory, {"fields": []}, "`fields`"),
    ]:
        with pytest.raises(ValueError, match=word):
            cls(**arguments)
    with pytest.raises(ValueError, match=r"columns in \[0, 3\)"):
        FeatureMemory(8, fields=[3]).build(3)
    with pytest.raises(ValueError, match="`offsets` must be given"):
        FeatureMemory(8, residual="corrected").write([[1]], [1], [0.5])
    with pytest.raises(ValueError, match="`offsets` must have shape"):
        FeatureMemory(8, residual="corrected").write([[1]], [1], [0.5], np.zeros((1, 2)))
    assert SketchMemory(num_arrays=7.0, num_bits=3.0).num_arrays == 7

"""Memories, rows and comparisons that several test modules use."""

import numpy as np

from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory

KINDS = ("exact", "sketch", "feature")
WIDTH = 6


def make(kind, built=False, **arguments):
    """A small core memory for keys of `WIDTH` columns."""
    if kind == "feature":
        memory = FeatureMemory(**{"num_bits": 5, **arguments})
    elif kind == "exact":
        common = {"capacity": 64, "num_neighbors": 5, "key_normalization": "none"}
        memory = ExactMemory(**{**common, **arguments})
    else:
        common = {"num_arrays": 7, "num_bits": 4, "key_normalization": "none"}
        memory = SketchMemory(**{**common, **arguments})
    if built:
        memory.build(WIDTH)
    return memory


def batch(kind, rows, seed=0):
    """(keys, labels, probabilities) of a kind of memory."""
    rng = np.random.default_rng(seed)
    if kind == "feature":
        table = np.random.default_rng(5).integers(-(2**31), 2**31, (6, WIDTH)).astype("int32")
        keys = table[rng.integers(0, 6, (rows, WIDTH)), np.arange(WIDTH)]
    else:
        keys = rng.standard_normal((rows, WIDTH)).astype("float32")
    return keys, rng.integers(0, 2, rows).astype("float32"), rng.random(rows).astype("float32")


def same_state(memory, state):
    """Assert that a memory's state is that one, to the bit."""
    mine = memory.state()
    assert mine.keys() == state.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)

"""Memories, rows and comparisons that several test modules use."""

import numpy as np
import oracle

from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory

KINDS = ("exact", "sketch", "feature")
WIDTH = 6
CORES = {"exact": ExactMemory, "sketch": SketchMemory, "feature": FeatureMemory}
SMALL = {
    "exact": {"capacity": 64, "num_neighbors": 5, "key_normalization": "none"},
    "sketch": {"num_arrays": 7, "num_bits": 4, "key_normalization": "none"},
    "feature": {"num_bits": 5},
}
FEW = {"num_bits": 14, "prior": 0.7, "fields": [0, 2], "crosses": [[0, 1], [2, 1, 0]]}
# what every kind of memory is put to by `run_memory_test`: (kind, arguments)
CASES = {
    "exact": ("exact", {}),
    "exact-center": ("exact", {"temperature": 1.0, "key_normalization": "center"}),
    "exact-whiten": ("exact", {"key_normalization": "whiten"}),
    "sketch": ("sketch", {"num_bits": 11}),
    "sketch-center": ("sketch", {"temperature": 0.01, "key_normalization": "center"}),
    "sketch-whiten": (
        "sketch",
        {"num_bits": 11, "temperature": 0.01, "key_normalization": "whiten"},
    ),
    "feature": ("feature", FEW),
    "feature-corrected": ("feature", {**FEW, "residual": "corrected"}),
}


def make(kind, built=False, **arguments):
    """A small core memory for keys of `WIDTH` columns."""
    memory = CORES[kind](**{**SMALL[kind], **arguments})
    if built:
        memory.build(WIDTH)
    return memory


def layer(package, kind, **arguments):
    """A small memory as a layer of `reloop2_keras`, or as a cell of `mindspore_port`."""
    return getattr(package, f"{kind.capitalize()}ErrorMemory")(**{**SMALL[kind], **arguments})


def batch(kind, rows, seed=0):
    """(keys, labels, probabilities) of a kind of memory."""
    rng = np.random.default_rng(seed)
    if kind == "feature":
        table = np.random.default_rng(5).integers(-(2**31), 2**31, (6, WIDTH)).astype("int32")
        keys = table[rng.integers(0, 6, (rows, WIDTH)), np.arange(WIDTH)]
    else:
        keys = rng.standard_normal((rows, WIDTH)).astype("float32")
    return keys, rng.integers(0, 2, rows).astype("float32"), rng.random(rows).astype("float32")


def case(name, make=make):
    """Return what `run_memory_test` takes of one of `CASES`, by name.

    Args:
        make: function of a kind and arguments that returns a fresh memory.
    """
    kind, arguments = CASES[name]
    rows, queries = batch(kind, 60), batch(kind, 80, seed=7)[0]
    queries[:20] = rows[0][:20]
    if kind == "feature":  # values that no row has
        queries[-10:] = np.random.default_rng(1).integers(0, 1000, (10, WIDTH))
    if arguments.get("residual") == "corrected":
        rows += (np.random.default_rng(1).standard_normal((60, 4)),)

    def made(**more):
        memory = make(kind, **{**arguments, **more})
        if arguments.get("key_normalization", "none") != "none":
            memory.adapt(batch(kind, 200, seed=3)[0] + np.float32(0.3))
        return memory

    return {
        "make": made,
        "rows": rows,
        "queries": queries,
        "oracle": ORACLES[kind],
        "ordered": kind == "exact",
        "atol": 1e-5 if kind == "exact" else 1e-6,
    }


def _similarity(means):
    missing = np.isnan(means[:, 0])
    means = np.where(missing[:, None], 0.0, means)
    return {"mean_label": means[:, 0], "mean_probability": means[:, 1], "found": 1.0 - missing}


def _exact(core, rows, weights, queries):
    keys, y, p = core.normalization(rows[0]).astype("float64"), *rows[1:]
    queries = core.normalization(queries).astype("float64")
    held = list(zip(keys, y, p, strict=True))
    return _similarity(oracle.exact(held, queries, core.num_neighbors, core.temperature, weights))


def _sketch(core, rows, weights, queries):
    keys, y, p = core.normalization(rows[0]).astype("float64"), *rows[1:]
    queries = core.normalization(queries).astype("float64")
    held, projections = list(zip(keys, y, p, strict=True)), core.projections.astype("float64")
    sizes = core.num_arrays, core.num_bits
    return _similarity(oracle.sketch(projections, *sizes, held, queries, core.temperature, weights))


def _feature(core, rows, weights, queries):
    tables, read = core.tables(WIDTH), rows[3] if len(rows) > 3 else None
    return {"offsets": oracle.feature(tables, rows[:3], queries, core.prior, read, weights)}


# kind -> function of (core memory, rows written, their weights, queries): the reading in float64
ORACLES = {"exact": _exact, "sketch": _sketch, "feature": _feature}


def same_state(memory, state):
    """Assert that a memory's state is that one, to the bit."""
    mine = memory.state()
    assert mine.keys() == state.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, state[name], err_msg=name)


def same_reading(reading, other, atol=0.0):
    """Assert that two readings have the same parts, and those the same numbers."""
    assert reading.keys() == other.keys()
    for name, part in reading.items():
        np.testing.assert_allclose(part, other[name], rtol=0, atol=atol, err_msg=name)

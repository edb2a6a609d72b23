"""Compiled loops against their twins in NumPy, and against the plainest form of each."""

import os
import subprocess
import sys

import numpy as np
import pytest

from reloop2_keras.core import compiled, kernels, neighbors

needs_numba = pytest.mark.skipif(not compiled.COMPILED, reason="Numba is not installed")


# small, and large enough for a thread a range
@pytest.mark.parametrize("rows", [0, 1, 77, 30_000])
@needs_numba
def test_compiled_and_numpy_give_the_same_numbers(rows):
    rng = np.random.default_rng(rows)
    keys = rng.integers(-(2**31), 2**31, (rows, 4)).astype("int32")
    columns, ends, bits = np.array([0, 1, 3, 2, 0, 1]), np.array([1, 2, 4, 6]), 7
    buckets = kernels.hash_rows(keys, columns, ends, bits)
    np.testing.assert_array_equal(buckets, kernels.hash_rows_numpy(keys, columns, ends, bits))
    assert buckets.dtype == np.int32 and (buckets >> bits == np.arange(4)).all()

    for width, each in ((2, True), (2, False), (3, False)):
        sums = rng.standard_normal((4 << bits, width))
        other = sums.copy()
        updates = rng.standard_normal((rows, 4 if each else 1, width))
        kernels.add_rows(sums, buckets, updates)
        kernels.add_rows_numpy(other, buckets, updates)
        np.testing.assert_array_equal(sums, other)  # in the same order: to the bit

    sums[:, 1] = np.abs(sums[:, 1])
    read = kernels.read_ratios(sums, buckets, 0.3, 8.0)
    np.testing.assert_array_equal(read, kernels.read_ratios_numpy(sums, buckets, 0.3, 8.0))

    sums[:, 0] = np.maximum(np.floor(sums[:, 0] * 3), 0.0)  # counts, many of them 0
    assert kernels.within_tables(buckets, bits) and kernels.within_tables_numpy(buckets, bits)
    for wrong in (-1, 1 << bits):
        if rows:
            moved = buckets.copy()
            moved[-1, 0] = wrong
            for moved_too in (moved, moved.astype("int64"), moved[:, :3]):
                assert not kernels.within_tables(moved_too, bits)
            assert not kernels.within_tables_numpy(moved, bits)

    projected = rng.standard_normal((rows, 4 * bits)).astype("float32")
    projected[:, 1] = 0.0  # no sign: counts as negative
    packed, other = np.empty((2, rows, 4), "int32")
    kernels.pack_signs(projected, bits, packed)
    kernels.pack_signs_numpy(projected, bits, other)
    np.testing.assert_array_equal(packed, other)
    assert (packed[:, 0] & 2 == 0).all()

    means, found = neighbors.read_means(sums, buckets, 0.7)
    want, there = neighbors.read_means_numpy(sums, buckets, 0.7)
    np.testing.assert_allclose(means, want, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found, there)


@needs_numba
@pytest.mark.parametrize("held", [1, 5, 400])
def test_top_rows_are_a_stable_sort(held):
    rng = np.random.default_rng(held)
    # few distinct values, so that there are ties; some rows are empty
    similarity = rng.integers(0, 9, (300, held)).astype("float32")
    weight = (rng.random(held) < 0.8).astype("float32")
    for k in {1, min(3, held), held}:
        got = neighbors.top_rows(similarity, weight, k)
        np.testing.assert_array_equal(got, neighbors.top_rows_numpy(similarity, weight, k))


@needs_numba
@pytest.mark.parametrize("held", [40, 700, 1500])
def test_nearest_rows_are_a_stable_sort_of_all_products(held):
    rng = np.random.default_rng(held)
    # small integers: products are exact, and there are ties within a block and across blocks
    queries = rng.integers(-2, 3, (2100, 6)).astype("float32")
    keys = rng.integers(-2, 3, (held, 6)).astype("float32")
    weight = (rng.random(held) < 0.8).astype("float32")
    # enough rows of a weight, and fewer than are asked for
    for few in (weight, np.where(np.arange(held) < 20, weight, 0).astype("float32")):
        products, index = neighbors.nearest_rows(queries, keys, few, 30)
        want, at = neighbors.nearest_rows_numpy(queries, keys, few, 30)
        np.testing.assert_array_equal(index, at)
        np.testing.assert_array_equal(products[index >= 0], want[index >= 0])
        whole = neighbors.top_rows_numpy(queries[-50:] @ keys.T, few, 30)
        np.testing.assert_array_equal(index[-50:], whole)


def test_hashing_is_the_documented_one():
    keys = np.random.default_rng(0).integers(-(2**31), 2**31, (500, 3)).astype("int32")
    got = kernels.hash_rows(keys, np.array([0, 1, 2, 0, 2]), np.array([1, 2, 3, 5]), 11)
    with np.errstate(over="ignore"):
        h = keys.view("uint32")
        for k, x in enumerate([*h.T, (h[:, 0] * np.uint32(16777619)) ^ h[:, 2]]):
            x = x ^ np.uint32((k * 0x9E3779B9) & 0xFFFFFFFF)
            x = x * np.uint32(0x85EBCA6B)
            x = x ^ (x >> np.uint32(13))
            x = x * np.uint32(0xC2B2AE35)
            x = x ^ (x >> np.uint32(16))
            want = (x & np.uint32(2047)).astype("int64") + (k << 11)
            np.testing.assert_array_equal(got[:, k], want)
    # and it spreads: 500 values into 2,048 buckets
    assert len(np.unique(got[:, 0])) > 0.85 * 500


MEMORY = """
import sys
if {refuse}:
    sys.modules["numba"] = None
import numpy as np
from reloop2_keras.core import compiled
from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory
assert compiled.COMPILED == (not {refuse})
rng = np.random.default_rng(0)
out = []
for memory in (ExactMemory(50, 3, key_normalization="none"), FeatureMemory(6, crosses=[[0, 1]]),
               SketchMemory(5, 3, key_normalization="none")):
    keys = rng.standard_normal((200, 4)).astype("float32")
    keys = (keys * 4).astype("int32") if isinstance(memory, FeatureMemory) else keys
    memory.write(keys, rng.integers(0, 2, 200), rng.random(200))
    out += [*memory.read(keys).values(), memory.write(keys, np.ones(200), np.ones(200))]
np.savez(sys.argv[1], *out)
"""


@needs_numba
def test_without_numba_all_memories_work_alike(tmp_path):
    results = []
    for refuse in (False, True):
        path = tmp_path / f"{refuse}.npz"
        code = MEMORY.format(refuse=refuse)
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=300)
        with np.load(path) as file:
            results.append(list(file.values()))
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@needs_numba
def test_a_damaged_kept_kernel_costs_a_compilation_and_nothing_else(tmp_path):
    code = """
import numpy as np
from reloop2_keras.core import kernels
print(kernels.hash_rows(np.zeros((1, 1), "int32"), np.arange(1), np.arange(1, 2), 4).tolist())
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    answers = set()
    for turn in range(3):
        run = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        answers.add(run.stdout)
        kept = [path for path in tmp_path.rglob("*.nb?") if path.is_file()]
        assert kept
        for path in kept:
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2] if turn == 0 else b"")
    assert len(answers) == 1

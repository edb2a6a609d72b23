"""A sketch that has counted more rows than float32 can: what it reads, and that it goes on."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras import SketchErrorMemory

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy
FULL = 2**20


def held(top, arrays=5, bits=4, seed=0):
    """A memory as if so many rows were in its fullest bucket; and the keys of all sorts of rows."""
    rng = np.random.default_rng(seed)
    memory = SketchErrorMemory(arrays, bits, key_normalization="none")
    memory.build((None, 6))
    counts = np.floor(2.0 ** rng.uniform(0, 8, (arrays, 1 << bits)))
    # every array holds the same rows
    counts[:, 0] += counts.sum(axis=1).max() - counts.sum(axis=1) + top
    means = rng.random((2, *counts.shape))
    sums = np.stack([counts, *(counts * means)], axis=-1).reshape(-1, 3)
    memory.sums.assign(sums.astype("float32"))
    memory.total.assign(counts[0].sum())
    return memory, rng.standard_normal((200, 6)).astype("float32")


def reading(memory, keys):
    return [numpy(value) for value in memory.read(keys).values()]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**24), st.integers(0, 2**16))
def test_halving_changes_no_reading(top, seed):
    memory, keys = held(top, seed=seed)
    before, sums, total = reading(memory, keys), numpy(memory.sums), float(numpy(memory.total))
    memory._halve_when_full(0)  # the first check after a load waits for no rows
    for a, b in zip(reading(memory, keys), before, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    factor = 0.5 if sums[:, 0].max() > FULL else 1.0
    np.testing.assert_array_equal(numpy(memory.sums), sums * factor)
    np.testing.assert_allclose(float(numpy(memory.total)), total * factor, rtol=1e-6)


def test_a_full_bucket_keeps_learning():
    memory, _ = held(0, arrays=2, bits=1)
    key = np.ones((1, 6), "float32")
    bucket = numpy(memory.buckets(key))[0]
    memory.sums.assign(np.tile(np.float32([2**24, 0, 2**22]), (4, 1)))
    memory.total.assign(2.0**25)
    before = reading(memory, key)[0][0]
    rows = 400_000
    buckets = np.repeat(bucket[None], rows, axis=0)
    for _ in range(8):
        memory.write_at(buckets, np.ones(rows), np.full(rows, 0.25))
    after, expected, found = (float(value[0]) for value in reading(memory, key))
    # halved at first and at each million: 3.2 million rows of label 1 on 2^23 or less
    assert before == 0.0 and 0.25 < after < 0.9 and found == 1.0
    np.testing.assert_allclose(expected, 0.25, rtol=1e-3)
    counts = numpy(memory.sums)[:, 0].reshape(2, 2)
    np.testing.assert_allclose(counts.sum(axis=1), float(numpy(memory.total)), rtol=1e-6)


def test_single_rows_reach_a_large_total_in_the_end():
    memory, keys = held(0, arrays=2, bits=5)
    memory.sums.assign(np.tile(np.float32([2**20, 2**19, 2**19]), (64, 1)))
    memory.total.assign(2.0**25)
    for key in keys[:30]:
        memory.write(key[None], [1], [0.5])
    memory._halve_when_full(FULL)
    counts = numpy(memory.sums)[:, 0].astype("float64").reshape(2, -1).sum(axis=1)
    # halved at the first row, to 2^24: to which no single row adds
    np.testing.assert_allclose(float(numpy(memory.total)), counts[0], rtol=1e-7)


def test_save_load_and_merge_go_on_with_full_buckets(tmp_path):
    memory, keys = held(2**22)
    inputs = keras.Input((6,))
    keras.Model(inputs, memory(inputs)).save(tmp_path / "full.keras")
    model = keras.saving.load_model(tmp_path / "full.keras")
    again = next(layer for layer in model.layers if isinstance(layer, SketchErrorMemory))
    before = reading(memory, keys)
    for a, b in zip(reading(again, keys), before, strict=True):
        np.testing.assert_array_equal(a, b)
    for each in (memory, again):  # both halve at the next write
        each.write(keys[:1], [1], [0.5])
        assert numpy(each.sums)[:, 0].max() < 2**21 + 2**10
    for a, b in zip(reading(again, keys), reading(memory, keys), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for _ in range(30):  # no write in between
        again.merge(again)
    assert numpy(again.sums)[:, 0].max() < 2**22
    for a, b in zip(reading(again, keys), reading(memory, keys), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)

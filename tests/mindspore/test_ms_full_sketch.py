"""A sketch that has counted more rows than float32 can: what it reads, and that it goes on."""

import numpy as np
import pytest
from ms_support import ms

from mindspore_port import DeepFM, ReLoop2, SketchErrorMemory
from mindspore_port.models import load_model, save_model

FULL = 2**20


def fill(memory, sums, total):
    memory.sums.set_data(ms.Tensor(np.asarray(sums, "float32")))
    memory.total.set_data(ms.Tensor(np.float32(total)))


def held(top, seed=0):
    """A memory as if so many rows were in its fullest bucket; and the keys of all sorts of rows."""
    rng = np.random.default_rng(seed)
    memory = SketchErrorMemory(5, 4, key_normalization="none")
    memory.build(6)
    counts = np.floor(2.0 ** rng.uniform(0, 8, (5, 16)))
    # every array holds the same rows
    counts[:, 0] += counts.sum(axis=1).max() - counts.sum(axis=1) + top
    sums = np.stack([counts, *(counts * rng.random((2, *counts.shape)))], axis=-1)
    fill(memory, sums.reshape(-1, 3), counts[0].sum())
    return memory, rng.standard_normal((200, 6)).astype("float32")


def reading(memory, keys):
    return [value.asnumpy() for value in memory.read(keys).values()]


@pytest.mark.parametrize("top", [0, 2**20 - 999, 2**20 + 999, 2**24])
def test_halving_changes_no_reading(top):
    memory, keys = held(top)
    before, sums = reading(memory, keys), memory.sums.asnumpy().copy()
    total = float(memory.total.asnumpy())
    memory._halve_when_full(0)  # the first check after a load waits for no rows
    for a, b in zip(reading(memory, keys), before, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    factor = 0.5 if sums[:, 0].max() > FULL else 1.0
    np.testing.assert_array_equal(memory.sums.asnumpy(), sums * factor)
    np.testing.assert_allclose(float(memory.total.asnumpy()), total * factor, rtol=1e-6)


def test_a_full_bucket_keeps_learning_and_a_large_total_takes_single_rows():
    memory = SketchErrorMemory(2, 1, key_normalization="none")
    memory.build(6)
    fill(memory, np.tile([2**24, 0, 2**22], (4, 1)), 2.0**25)
    rows, key = 400_000, np.ones((1, 6), "float32")
    before = reading(memory, key)[0][0]
    for _ in range(8):
        memory.write(np.repeat(key, rows, axis=0), np.ones(rows), np.full(rows, 0.25))
    after, expected, _ = (float(value[0]) for value in reading(memory, key))
    # halved at first and at each million: 3.2 million rows of label 1 on 2^23 or less
    assert before == 0.0 and 0.25 < after < 0.9
    np.testing.assert_allclose(expected, 0.25, rtol=1e-3)
    fill(memory, np.tile([2**19, 0, 0], (4, 1)), 2.0**24)  # float32: 2^24 + 1 = 2^24
    memory.write(key, [1], [0.5])
    memory._halve_when_full(FULL)
    assert float(memory.total.asnumpy()) == 2**20 + 1


def test_save_load_and_merge_go_on_with_full_buckets(tmp_path):
    base = DeepFM([20, 10, 1], 4, (8, 6))
    memory, keys = held(2**22)
    save_model(ReLoop2(base, memory), tmp_path / "full.ckpt")
    again = load_model(tmp_path / "full.ckpt").memory
    for a, b in zip(reading(again, keys), reading(memory, keys), strict=True):
        np.testing.assert_array_equal(a, b)
    for each in (memory, again):  # both halve at the next write
        each.write(keys[:1], [1], [0.5])
        assert each.sums.asnumpy()[:, 0].max() < 2**21 + 2**10
    for _ in range(30):  # no write in between
        again.merge(again)
    assert again.sums.asnumpy()[:, 0].max() < 2**22
    for a, b in zip(reading(again, keys), reading(memory, keys), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)

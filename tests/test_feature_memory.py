"""FeatureErrorMemory against brute force, and its invariants."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras import FeatureErrorMemory

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


def rows(n, seed=0, values=6):
    rng = np.random.default_rng(seed)
    table = rng.integers(-(2**31), 2**31, (values, 3)).astype("int32")
    hashes = table[rng.integers(0, values, (n, 3)), np.arange(3)]
    return hashes, rng.integers(0, 2, n).astype("float32"), rng.random(n).astype("float32")


def offsets(memory, hashes):
    return numpy(memory.read(keras.ops.convert_to_tensor(hashes))["offset"])


def brute_force(tables, written, queries, prior, corrected=None):
    """Dicts keyed by the raw values: no hashing, no collisions, float64."""
    out = np.zeros((len(queries), len(tables)))
    for k, table in enumerate(tables):
        sums = {}
        for i, (h, y, p) in enumerate(zip(*written, strict=True)):
            s = sums.setdefault(tuple(h[list(table)]), np.zeros(2))
            r = 0.0 if corrected is None else float(corrected[i, k])
            s += (float(y) - float(p) + float(p) * (1 - float(p)) * r, float(p) * (1 - float(p)))
        for i, h in enumerate(queries):
            s = sums.get(tuple(h[list(table)]), np.zeros(2))
            out[i, k] = np.clip(s[0] / (s[1] + prior), -8, 8)
    return out


@pytest.mark.parametrize("residual", ["base", "corrected"])
def test_equals_brute_force(residual):
    tables = [(0,), (2,), (0, 1), (2, 1, 0)]
    memory = FeatureErrorMemory(20, 0.7, [0, 2], [(0, 1), (2, 1, 0)], residual=residual)
    written = rows(300)
    read = None
    if residual == "corrected":
        read = np.random.default_rng(1).standard_normal((300, 4)).astype("float32")
        memory.write(*written, offsets=read)
    else:
        memory.write(*written)
    queries = rows(50, seed=9, values=6)[0]
    queries[:25] = written[0][:25]
    np.testing.assert_allclose(
        offsets(memory, queries), brute_force(tables, written, queries, 0.7, read), atol=1e-5
    )
    assert memory.num_gate_inputs == 4
    assert memory.compute_output_shape((None, 3)) == {"offset": (None, 4)}


def test_buckets_are_the_documented_hash_on_every_backend():
    memory = FeatureErrorMemory(11, crosses=[(0, 2)])
    memory.build((None, 3))
    hashes = rows(500, values=500)[0]
    with np.errstate(over="ignore"):
        h = hashes.view("uint32")
        columns = [h[:, 0], h[:, 1], h[:, 2], (h[:, 0] * np.uint32(16777619)) ^ h[:, 2]]
        want = []
        for k, x in enumerate(columns):
            x = x ^ np.uint32((k * 0x9E3779B9) & 0xFFFFFFFF)
            x = x * np.uint32(0x85EBCA6B)
            x = x ^ (x >> np.uint32(13))
            x = x * np.uint32(0xC2B2AE35)
            x = x ^ (x >> np.uint32(16))
            want.append((x & np.uint32(2047)).astype("int64") + (k << 11))
    got = numpy(memory.buckets(keras.ops.convert_to_tensor(hashes)))
    np.testing.assert_array_equal(got, np.stack(want, axis=1))
    # and it spreads: 500 draws are about 316 values, and 2,048 buckets take nearly all apart (293)
    assert len(np.unique(got[:, 0])) > 0.9 * len(np.unique(hashes[:, 0]))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60), st.integers(0, 2**16), st.permutations(range(60)))
def test_merge_is_the_sum_and_order_does_not_matter(cut, seed, order):
    hashes, y, p = rows(60, seed)
    whole, first, second, mixed = (FeatureErrorMemory(5) for _ in range(4))
    for memory in (whole, first, second, mixed):
        memory.build((None, 3))
    whole.write(hashes, y, p)
    order = list(order)
    mixed.write(hashes[order], y[order], p[order])
    first.write(hashes[:cut], y[:cut], p[:cut])
    second.write(hashes[cut:], y[cut:], p[cut:])
    first.merge(second)
    np.testing.assert_allclose(numpy(first.sums), numpy(whole.sums), atol=1e-5)
    np.testing.assert_allclose(numpy(mixed.sums), numpy(whole.sums), atol=1e-5)


def test_decay_reset_and_sampling():
    hashes, y, p = rows(200)
    memory = FeatureErrorMemory(8, decay=0.5)
    memory.write(hashes, y, p)
    before = numpy(memory.sums).copy()
    memory.write(hashes, y, p)
    np.testing.assert_allclose(numpy(memory.sums), 1.5 * before, rtol=1e-5, atol=1e-5)
    memory.reset()
    assert not numpy(memory.sums).any() and int(numpy(memory.num_writes)) == 0
    sampled = FeatureErrorMemory(8, sampling_rate=0.3)
    assert 30 < sampled.write(hashes, y, p) < 90


def test_a_value_never_seen_reads_zero_and_extremes_are_bounded():
    memory = FeatureErrorMemory(16)
    hashes = np.full((5000, 1), 7, "int32")
    memory.write(hashes, np.ones(5000), np.full(5000, 1e-6))
    read = offsets(memory, np.array([[7], [8]], "int32"))
    np.testing.assert_allclose(read[:, 0], [8.0, 0.0])


def test_bad_arguments_are_named():
    for arguments, word in [
        ({"num_bits": 0}, "`num_bits`"),
        ({"prior": 0.0}, "`prior`"),
        ({"residual": "other"}, "`residual`"),
        ({"crosses": [(1, 1)]}, "`crosses`"),
        ({"fields": []}, "`fields`"),
        ({"decay": 0.0}, "`decay`"),
    ]:
        with pytest.raises(ValueError, match=word):
            FeatureErrorMemory(**arguments)
    with pytest.raises(ValueError, match=r"columns in \[0, 3\)"):
        FeatureErrorMemory(8, fields=[3]).build((None, 3))
    hashes, y, p = rows(4)
    with pytest.raises(ValueError, match="`keys` must be integers"):
        FeatureErrorMemory(8).write(hashes.astype("float32"), y, p)
    with pytest.raises(ValueError, match="`offsets` must be given"):
        FeatureErrorMemory(8, residual="corrected").write(hashes, y, p)
    with pytest.raises(ValueError, match="`offsets` must have shape"):
        FeatureErrorMemory(8, residual="corrected").write(hashes, y, p, np.zeros((4, 2)))
    with pytest.raises(ValueError, match="`labels` must be 0 or 1"):
        FeatureErrorMemory(8).write(hashes, y + 0.5, p)
    with pytest.raises(ValueError, match="by number"):
        FeatureErrorMemory(8, crosses=[["user", "genres"]])
    built = FeatureErrorMemory(8)
    built.build((None, 3))
    with pytest.raises(ValueError, match="`keys` must have 3 columns"):
        built.write(hashes[:, :2], y, p)
    with pytest.raises(ValueError, match="same configuration"):
        one, two = FeatureErrorMemory(8), FeatureErrorMemory(8, prior=2.0)
        one.build((None, 3)), two.build((None, 3))
        one.merge(two)
    # tables of one shape all the same
    one, two = FeatureErrorMemory(8, fields=[0]), FeatureErrorMemory(8, fields=[0])
    one.build((None, 3)), two.build((None, 4))
    with pytest.raises(ValueError, match="`other` must be built for keys of width 3. Received: 4"):
        one.merge(two)

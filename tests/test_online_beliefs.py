"""Belief tables against plain Python, against a joint Gaussian update, and in hard hands."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core import compiled
from reloop2_keras.core.kernels import hash_words
from reloop2_keras.core.online import BeliefTables
from reloop2_keras.core.online import belief_kernels as loops

TABLES = [[0], [1], [2], [0, 2]]
NOISES = [0.0, 1.0, 40.0]


def log(seed, rows=400, width=3, values=12):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(-(2**31), 2**31, values).astype("int32")[
        rng.integers(0, values, (rows, width))
    ]
    return hashes, (rng.random(rows) < 0.3 + 0.4 * (hashes[:, 0] % 2)).astype(float)


def plain(hashes, labels, tables, noises, prior, weights, offsets):
    """Beliefs of each learner: (table, values) -> [mean, variance, row], in plain Python."""
    out = []
    for a, noise in enumerate(noises):
        beliefs = {}
        for r, (row, y) in enumerate(zip(hashes.tolist(), labels, strict=True)):
            held = []
            for k, columns in enumerate(tables):
                key = (k, *[row[c] for c in columns])
                belief = beliefs.setdefault(key, [0.0, prior, r])
                belief[1] = min(belief[1] + noise / 1000 * (r - belief[2]), prior)
                belief[2] = r
                held.append(belief)
            z = offsets[r, a] + sum(b[0] * weights[k, a] for k, b in enumerate(held))
            q = 1 / (1 + np.exp(-z))
            v = max(q * (1 - q), 1e-6)
            s = sum(b[1] * weights[k, a] ** 2 for k, b in enumerate(held))
            for k, b in enumerate(held):
                gain = b[1] * weights[k, a]
                b[0] += gain * (y - q) / (1 + v * s)
                b[1] -= gain**2 * v / (1 + v * s)
        out.append(beliefs)
    return out


def test_tables_equal_the_plainest_form():
    hashes, labels = log(0)
    rng = np.random.default_rng(1)
    weights, offsets = rng.normal(size=(4, 3)), rng.normal(size=(400, 3))
    tables = BeliefTables(3, TABLES, [4, 5, 4, 9], NOISES, prior=0.7)
    tables.learn(tables.words(hashes), labels, weights, offsets)
    want = plain(hashes, labels, TABLES, NOISES, 0.7, weights, offsets)
    means, variances = tables.read(tables.words(hashes))
    for r, row in enumerate(hashes.tolist()):
        for k, columns in enumerate(TABLES):
            for a, noise in enumerate(NOISES):
                mean, variance, last = want[a][(k, *[row[c] for c in columns])]
                variance = min(variance + noise / 1000 * (400 - last), 0.7)
                np.testing.assert_allclose(means[r, a, k], mean, rtol=1e-10, atol=1e-12)
                np.testing.assert_allclose(variances[r, a, k], variance, rtol=1e-10)
    logits, spread, read = tables.weighed(tables.words(hashes), weights, offsets, variances=True)
    np.testing.assert_allclose(logits, offsets + np.einsum("rak,ka->ra", means, weights))
    np.testing.assert_allclose(spread, np.einsum("rak,ka->ra", variances, weights**2))
    np.testing.assert_allclose(read, means.transpose(0, 2, 1), rtol=1e-6)


def test_a_row_is_the_diagonal_of_a_joint_gaussian_update():
    hashes, labels = log(2, rows=30)
    tables = BeliefTables(3, TABLES, 8, [0.0])
    g, words = np.array([0.5, 1.5, -0.8, 1.0]), tables.words(hashes)
    for r in range(30):
        row = words[r : r + 1]
        means, variances = (part[0, 0] for part in tables.read(row))
        q = 1 / (1 + np.exp(-means @ g))
        v = q * (1 - q)
        covariance = np.linalg.inv(np.diag(1 / variances) + v * np.outer(g, g))
        tables.learn(row, labels[r : r + 1], g[:, None])
        after, narrowed = (part[0, 0] for part in tables.read(row))
        np.testing.assert_allclose(narrowed, np.diag(covariance), rtol=1e-9)
        np.testing.assert_allclose(after, means + covariance @ g * (labels[r] - q), rtol=1e-9)


@pytest.mark.skipif(not compiled.COMPILED, reason="Numba is not installed")
@pytest.mark.parametrize("learners", [1, 3])
def test_compiled_and_numpy_give_the_same_numbers(learners, monkeypatch):
    hashes, labels = log(3, values=60)  # more values than an 8-place table holds
    rng = np.random.default_rng(4)
    weights, offsets = rng.normal(size=(4, learners)), rng.normal(size=(400, learners))
    results = []
    for fast in (True, False):
        monkeypatch.setattr(loops, "COMPILED", fast)
        tables = BeliefTables(3, TABLES, [3, 6, 4, 8], NOISES)
        words = tables.words(hashes)
        tables.learn(words, labels, weights, offsets)
        other = BeliefTables(3, TABLES, [3, 6, 4, 8], NOISES)
        other.learn(words[::-1], labels, weights, offsets)
        other.merge(tables)
        read = tables.weighed(words, weights, offsets, variances=True)
        results.append([*read, tables.keys, tables.records, other.keys, other.records])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


WITHOUT = """
import sys
sys.modules["numba"] = None
import numpy as np
from reloop2_keras.core import compiled
from reloop2_keras.core.online import Online
assert not compiled.COMPILED
rng = np.random.default_rng(0)
hashes = rng.integers(0, 9, (700, 3)).astype("int32")
labels = rng.random(700) < 0.2 + 0.6 * (hashes[:, 0] % 2)
online = Online(3, ["base"])
online.start([(hashes[:300], labels[:300])])
online.learn(online.predict(hashes[300:], np.full(400, 0.5)), labels[300:])
np.save(sys.argv[1], online.predict(hashes, np.full(700, 0.5))["corrected"])
"""


def test_without_numba_it_is_the_same(tmp_path):
    results = []
    for code in (WITHOUT, WITHOUT.replace('sys.modules["numba"] = None', "pass")):
        code = code if not results else code.replace("assert not", "assert True or")
        path = tmp_path / f"{len(results)}.npy"
        subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=300)
        results.append(np.load(path))
    np.testing.assert_allclose(*results, atol=1e-6)


def test_words_are_the_documented_hash_and_never_0():
    hashes = np.random.default_rng(0).integers(-(2**31), 2**31, (500, 3)).astype("int32")
    got = hash_words(hashes, np.array([0, 1, 0, 2]), np.array([1, 2, 4]))
    h = hashes.view("uint32")
    for k, x in enumerate([h[:, 0], h[:, 1], (h[:, 0] * np.uint32(16777619)) ^ h[:, 2]]):
        x = x ^ np.uint32((k * 0x9E3779B9) & 0xFFFFFFFF)
        x = x * np.uint32(0x85EBCA6B)
        x = x ^ (x >> np.uint32(13))
        x = x * np.uint32(0xC2B2AE35)
        np.testing.assert_array_equal(got[:, k].view("uint32"), x ^ (x >> np.uint32(16)))
    zero = np.zeros((1, 1), "int32")  # the finalizer maps 0 to 0
    assert hash_words(zero, np.array([0]), np.array([1])).tolist() == [[1]]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    cuts=st.lists(st.integers(0, 200), max_size=6),
    bits=st.sampled_from([3, 5, 10]),
    noise=st.sampled_from([0.0, 0.5, 1e6]),
    scale=st.sampled_from([0.0, 1.0, 50.0]),
)
def test_cuts_of_batches_change_nothing_and_beliefs_stay_sane(seed, cuts, bits, noise, scale):
    hashes, labels = log(seed, rows=200, values=40)
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(3, 2)) * scale
    offsets = rng.normal(size=(200, 2)) * scale
    whole, parts = (BeliefTables(3, None, bits, [noise, 0.0]) for _ in range(2))
    words = whole.words(hashes)
    whole.learn(words, labels, weights, offsets)
    edges = [0, *sorted(cuts), 200]
    for a, b in zip(edges[:-1], edges[1:], strict=True):
        parts.learn(words[a:b], labels[a:b], weights, offsets[a:b])
    np.testing.assert_array_equal(whole.keys, parts.keys)
    np.testing.assert_array_equal(whole.records, parts.records)
    means, variances = whole.read(words)
    assert np.isfinite(means).all() and (variances > 0).all() and (variances <= 1).all()


def test_a_full_table_gives_up_what_it_knows_least_and_stays_of_its_size():
    tables = BeliefTables(1, bits=3, noises=[1e-3])
    busy = np.full((2000, 1), 7, "int32")
    tables.learn(tables.words(busy), np.ones(2000))
    size = tables.records.nbytes
    known = tables.read(tables.words(busy[:1]))[0][0, 0, 0]
    once = np.arange(1000, 1500, dtype="int32")[:, None]
    tables.learn(tables.words(once), np.zeros(500))
    assert tables.records.nbytes == size and len(tables.keys) == 8
    assert tables.read(tables.words(busy[:1]))[0][0, 0, 0] == known > 2
    assert tables.read(tables.words(once[-1:]))[0][0, 0, 0] < 0  # the last one has a place
    mean, variance = tables.read(tables.words(once[:1]))  # and the first one none any more
    assert mean[0, 0, 0] == 0 and variance[0, 0, 0] == 1


def test_only_the_first_learners_learn():
    hashes, labels = log(5)
    few, all_of_them = (BeliefTables(3, None, 6, [0.0, 0.0]) for _ in range(2))
    words = few.words(hashes)
    few.learn(words, labels, np.ones((3, 1)))
    all_of_them.learn(words, labels)
    np.testing.assert_array_equal(few.read(words)[0][:, 0], all_of_them.read(words)[0][:, 0])
    assert not few.read(words)[0][:, 1].any() and (few.read(words)[1][:, 1] == 1).all()


def test_news_outweighs_what_is_old():
    rows = np.full((4000, 1), 3, "int32")
    tables = BeliefTables(1, bits=4, noises=[0.0, 5.0])
    rate = np.repeat([0.8, 0.2], 2000)
    tables.learn(tables.words(rows), np.random.default_rng(0).random(4000) < rate)
    slow, fast = tables.read(tables.words(rows[:1]))[0][0, :, 0]
    assert abs(slow) < 0.3  # half of all were clicks
    assert abs(fast - np.log(0.2 / 0.8)) < 0.5


def test_merge_of_two_logs_is_having_seen_both():
    hashes, labels = log(6, values=40)
    mine = (hashes[:, 0] % 2 == 0) if (hashes[:, 0] % 2 == 0).any() else hashes[:, 0] > 0
    single = [[0]]  # a table alone: what the one log says of a value tells nothing of another
    both, first, second = (BeliefTables(3, single, 8, [0.0, 0.0]) for _ in range(3))
    words = both.words(hashes)
    both.learn(words, labels)
    first.learn(words[mine], labels[mine])
    second.learn(words[~mine], labels[~mine])
    turned = second.copy()
    turned.merge(first)
    first.merge(second)
    for merged in (first, turned):
        for got, want in zip(merged.read(words), both.read(words), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
        assert merged.rows == 400


def test_merge_adds_precisions_beyond_the_priors():
    hashes, labels = log(7)
    a, b = (BeliefTables(3, None, 8, [0.0], prior=2.0) for _ in range(2))
    words = a.words(hashes)
    a.learn(words[:200], labels[:200])
    b.learn(words[200:], labels[200:])
    (m, p), (n, q) = a.read(words), b.read(words)
    a.merge(b)
    mean, variance = a.read(words)
    np.testing.assert_allclose(1 / variance, 1 / p + 1 / q - 1 / 2.0, rtol=1e-9)
    np.testing.assert_allclose(mean, variance * (m / p + n / q), rtol=1e-9, atol=1e-12)
    before = a.read(words)
    a.merge(BeliefTables(3, None, 8, [0.0], prior=2.0))  # who knows nothing changes nothing
    np.testing.assert_allclose(a.read(words), before, rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match="same arguments"):
        a.merge(BeliefTables(3, None, 9, [0.0], prior=2.0))


@pytest.mark.slow
def test_right_after_2_24_rows_of_one_value():
    tables = BeliefTables(1, bits=4, noises=[0.0])
    rng, clicks, rows = np.random.default_rng(0), 0, 1 << 20
    words = tables.words(np.full((rows, 1), 7, "int32"))
    for _ in range(16):
        labels = rng.random(rows) < 0.03
        clicks += labels.sum()
        tables.learn(words, labels)
    rate = clicks / (1 << 24)
    mean, variance = (part[0, 0, 0] for part in tables.read(words[:1]))
    assert abs(mean - np.log(rate / (1 - rate))) < 1e-4
    np.testing.assert_allclose(variance * (rate * (1 - rate) * (1 << 24)), 1.0, atol=1e-3)

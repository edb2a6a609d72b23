"""Crosses that are chosen again in the stream."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core.metrics import auc
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.again import (
    RECENT_ROWS,
    Recent,
    better_pair,
    halves,
    scan,
    scan_numpy,
)
from reloop2_keras.core.online.crosses import Pairs

SLOT = 1024


def changing(seed=0, rows=40_000, change=16_000):
    """Fields 0 and 1 interact, from `change` on fields 2 and 3 instead."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 12, (rows, 4)).astype("int32")
    late = np.arange(rows) >= change
    first = np.where(late, hashes[:, 2], hashes[:, 0])
    z = np.where((first + np.where(late, hashes[:, 3], hashes[:, 1])) % 2, 1.5, -1.5)
    return hashes, (rng.random(rows) < 1 / (1 + np.exp(-z))).astype("float64")


def begun(again=True, **log):
    hashes, labels = changing(**log)
    online = Online(4, again=again)
    online.start([(hashes[:8000], labels[:8000])], max_crosses=1)
    return online, hashes[8000:], labels[8000:]


def streamed(online, hashes, labels, slot=SLOT):
    shown = []
    for first in range(0, len(labels), slot):
        served = online.predict(hashes[first : first + slot])
        shown.append(served["corrected"])
        online.learn(served, labels[first : first + slot])
    return np.concatenate(shown)


def same(one, other):
    a, b = one.state(), other.state()
    assert set(a) == set(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_it_follows_interactions_that_change():
    found, fixed = begun(), begun(again=False)
    before = [list(cross) for cross in found[0].crosses]
    assert before == [[0, 1]] == fixed[0].crosses
    shown = [streamed(*each) for each in (found, fixed)]
    assert found[0].crosses == [[2, 3]] == found[0].get_config()["crosses"]
    assert fixed[0].crosses == [[0, 1]]
    end = slice(24_000, None)
    ours, theirs = (auc(found[2][end], p[end]) for p in shown)
    assert theirs < 0.55 and ours > 0.78
    assert list(found[0].weights()["tables"])[4] == "2 x 3"
    # as good as if it had been known from the beginning
    online = Online(4, crosses=[[2, 3]])
    online.start([(changing()[0][:8000], changing()[1][:8000])])
    assert ours > auc(found[2][end], streamed(online, *found[1:])[end]) - 0.005


def test_it_is_the_same_every_time_and_from_a_file():
    one, hashes, labels = begun()
    other = begun()[0]
    cut = 15 * SLOT  # after the change, before another cross is chosen
    for online in (one, other):
        streamed(online, hashes[:cut], labels[:cut])
        assert online.crosses == [[0, 1]]
    same(one, other)
    loaded = Online(**json.loads(json.dumps(one.get_config())))
    loaded.load_state(one.state())
    twins = [one, loaded, one.copy()]
    shown = [streamed(online, hashes[cut:], labels[cut:]) for online in twins]
    for online, p in zip(twins, shown, strict=True):
        assert online.crosses == [[2, 3]]
        np.testing.assert_array_equal(p, shown[0])
        same(online, one)
    old = Online(**other.get_config())
    with pytest.raises(ValueError, match="crosses"):
        old.load_state(one.state())
    fresh = Online(**one.get_config())
    fresh.load_state(one.state())
    same(fresh, one)
    fresh.reset()
    assert fresh.crosses == [[2, 3]] and fresh.recent.seen == 0


@pytest.mark.parametrize("seed", range(3))
def test_noise_changes_nothing(seed):
    online, hashes, _ = begun()
    labels = (np.random.default_rng(seed).random(len(hashes)) < 0.3).astype(float)
    streamed(online, hashes, labels)
    assert online.crosses == [[0, 1]] and online.recent.generation == 0


def test_days_on_which_all_is_late_together_are_no_evidence():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 5, (RECENT_ROWS, 4)).astype("int32")
    hashes[:, 3] = np.arange(RECENT_ROWS) // 1024  # a day, and 20 of its pairs with field 0
    level = rng.normal(0, 1.5, (8, 5))[hashes[:, 3], hashes[:, 0]]
    labels = (rng.random(RECENT_ROWS) < 1 / (1 + np.exp(-level))).astype(float)
    p = np.full(RECENT_ROWS, labels.mean())
    pairs = Pairs(hashes, labels, p, 1.0)
    assert pairs.gain((0, 3)) > 20 * pairs.deviation((0, 3))
    assert better_pair(hashes, labels, p, []) is None


def test_rows_that_were_served_before_are_learnt_by_the_tables_of_now():
    online, hashes, labels = begun()
    cut = 15 * SLOT
    streamed(online, hashes[:cut], labels[:cut])
    old = online.predict(hashes[:300])
    kept = old["means"].copy()
    streamed(online, hashes[cut:], labels[cut:])
    assert online.crosses == [[2, 3]]
    new = online.predict(hashes[:300])
    online.learn(old, labels[:300])
    np.testing.assert_array_equal(old["words"], new["words"])
    assert kept[:, 4].any() and not old["means"][:, 4].any()
    np.testing.assert_array_equal(old["means"][:, :4], kept[:, :4])


def test_what_another_served_is_refused_before_anything_changes():
    online, hashes, labels = begun()
    plain = begun(again=False)[0]
    before = online.state()
    with pytest.raises(ValueError, match="predict"):
        online.learn(plain.predict(hashes[:50]), labels[:50])
    for name, array in online.state().items():
        np.testing.assert_array_equal(array, before[name])
    plain.learn(online.predict(hashes[:50]), labels[:50])  # it has all that is needed, and more


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_the_ring_holds_the_last_rows_in_order(sizes):
    recent = Recent(2, [[0, 1]], rows=16)
    numbers = np.arange(sum(sizes))
    for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
        part = numbers[stop - size : stop]
        recent.put(np.stack([part, part], 1).astype("int32"), part % 2, part / 1000)
    if len(numbers) >= 16:
        hashes, labels, p = recent.in_order()
        np.testing.assert_array_equal(hashes[:, 0], numbers[-16:])
        np.testing.assert_array_equal(labels, numbers[-16:] % 2)
        np.testing.assert_array_equal(p, numbers[-16:] / 1000)
    assert recent.due() == (len(numbers) >= 16)
    assert not recent.due()


def test_a_first_look_at_pairs():
    rng = np.random.default_rng(0)
    hashes = rng.integers(-(2**31), 2**31, (40, 4)).astype("int32")[rng.integers(0, 40, 3000)]
    hashes[:, 1] = rng.integers(0, 3, 3000)
    p = rng.uniform(0.1, 0.9, 3000)
    labels = (rng.random(3000) < p).astype(float)
    pairs = np.array([(0, 1), (1, 2), (0, 3)])
    error, variance = labels - p, p * (1 - p)
    found = scan(hashes, pairs, error, variance, 1.0)
    np.testing.assert_allclose(found, scan_numpy(hashes, pairs, error, variance, 1.0), rtol=1e-9)
    # With few values nearly none shares a bucket, and the look is the score itself.
    exact = Pairs(hashes, labels, p, 1.0)
    np.testing.assert_allclose(found[2], exact.gain((0, 3)), rtol=0.15, atol=1.0)


def test_halves_by_hand():
    rng = np.random.default_rng(1)
    hashes = rng.integers(0, 3, (400, 2)).astype("int32")
    p = rng.uniform(0.2, 0.8, 400)
    labels = (rng.random(400) < p).astype(float)
    found = halves(Pairs(hashes, labels, p, 1.0), (0, 1))
    for (nats, spread), teach, test in zip(
        found, (range(200), range(200, 400)), (range(200, 400), range(200)), strict=True
    ):
        s, v = {}, {}
        for i in teach:
            key = tuple(hashes[i])
            s[key] = s.get(key, 0) + labels[i] - p[i]
            v[key] = v.get(key, 0) + p[i] * (1 - p[i])
        gains = []
        for i in test:
            key = tuple(hashes[i])
            z = np.log(p[i] / (1 - p[i])) + s.get(key, 0) / (v.get(key, 0) + 1)
            q = 1 / (1 + np.exp(-z))
            gains.append(np.log(q / p[i]) if labels[i] else np.log((1 - q) / (1 - p[i])))
        np.testing.assert_allclose(nats, np.sum(gains), rtol=1e-9)
        np.testing.assert_allclose(spread, np.std(gains) * np.sqrt(200), rtol=1e-9)

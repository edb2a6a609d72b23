"""Parts of OnlineModel: packed arrays, requests, alarms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reloop2_keras.core.serving.alarms import Alarms, PageHinkley
from reloop2_keras.core.serving.packed import pack, unpack
from reloop2_keras.core.serving.requests import Requests

DTYPES = st.sampled_from(["float64", "float32", "int32", "bool", "uint8", "<U5"])


@given(st.dictionaries(st.text(max_size=5), DTYPES.flatmap(lambda d: hnp.arrays(d, (3, 2)))))
def test_packed_arrays_come_back(arrays):
    head, back = unpack(pack({"a": [1, None, "ü"]}, arrays))
    assert head == {"a": [1, None, "ü"]} and set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype and back[name].tobytes() == array.tobytes()


@given(st.binary(max_size=60), st.integers(0, 60))
def test_what_is_not_packed_is_a_value_error(noise, cut):
    whole = pack({"a": 1}, {"x": np.arange(3)})
    for data in (noise, whole[: min(cut, len(whole) - 1)], whole + b"x"):
        with pytest.raises(ValueError):
            unpack(data)


def test_objects_are_not_packed():
    with pytest.raises(ValueError, match="expected numbers or text"):
        unpack(pack({}, {"x": np.array([None], object)}))


@given(st.lists(st.integers(1, 6), max_size=20), st.integers(1, 12))
def test_requests_keep_the_newest_rows_and_count_the_rest(sizes, limit):
    requests = Requests(limit)
    for number, size in enumerate(sizes):
        requests.put(str(number), float(number), {"x": np.arange(size)})
    kept = []
    for number in reversed(range(len(sizes))):
        if sum(sizes[number:]) > limit:
            break
        kept.append(str(number))
    assert [n for n in map(str, range(len(sizes))) if n in requests] == kept[::-1]
    assert requests.rows + requests.dropped == sum(sizes)
    assert requests.older(2.5) == [n for n in kept[::-1] if int(n) < 2.5]


def oracle(values, tolerated, threshold, warm_up):
    """Page-Hinkley by its definition: all sums anew for each value."""
    first, alarms = 0, []
    for t in range(len(values)):
        steps = []
        for i in range(first + warm_up, t + 1):
            past = np.array(values[first:i])
            distance = (values[i] - past.mean()) / (past.std(ddof=1) + 1e-12)
            steps.append(np.clip(distance, -4, 4) - tolerated)
        sums = np.concatenate([[0.0], np.cumsum(steps)])
        if sums[-1] - sums.min() > threshold:
            alarms.append(t)
            first = t + 1
    return alarms


def test_page_hinkley_is_its_definition():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 60), rng.normal(1.5, 1, 60), rng.normal(3, 1, 60)])
    watch = PageHinkley(threshold=6.0)
    assert [t for t, x in enumerate(values) if watch.add(x)] == oracle(values, 0.25, 6.0, 10) != []


def test_alarms_tell_a_shift_soon_and_calm_seldom():
    """20 calm streams of 200 blocks, then clicks twice as likely as served."""
    false, delays = 0, []
    for seed in range(20):
        rng, alarms = np.random.default_rng(seed), Alarms()
        p = rng.uniform(0.05, 0.4, 200 * 512)
        alarms.add(p, rng.random(len(p)) < p)
        false += len(alarms.raised)
        alarms.raised.clear()
        for block in range(1, 60):
            p = rng.uniform(0.05, 0.4, 512)
            alarms.add(p, rng.random(512) < 2 * p)
            if any(alarm["watch"] == "above" for alarm in alarms.raised):
                delays.append(block)
                break
    assert len(delays) == 20 and max(delays) <= 6
    assert false <= 5  # of 12,000 looks


@given(st.lists(st.integers(1, 900), max_size=8))
def test_blocks_do_not_depend_on_how_rows_come(sizes):
    rng = np.random.default_rng(3)
    p = rng.random(sum(sizes))
    y = rng.random(sum(sizes)) < p
    whole, parts = Alarms(), Alarms()
    whole.add(p, y)
    at = 0
    for size in sizes:
        parts.add(p[at : at + size], y[at : at + size])
        at += size
    assert whole.rows == parts.rows == len(p)
    if whole.last:
        assert parts.last == pytest.approx(whole.last)
    twin = Alarms()
    twin.load(parts.state())
    assert twin.state() == parts.state()

"""Which snapshots are kept and told, the ways back, and a state for each shipped model."""

import datetime
import os
import time
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from served_model import Clock, encoder, labels, model, rows

from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import ship
from reloop2_keras.core.serving.moments import moment
from reloop2_keras.core.serving.spaced import spaced
from reloop2_keras.core.serving.store import Store


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0.5, 300.0), min_size=1, max_size=400),
    st.integers(2, 5),
    st.integers(0, 14),
)
def test_what_is_kept_reaches_back_without_gaps(steps, last, older):
    """Asked again after each new moment, as a service does."""
    kept, now, all_times = [], 0.0, []
    for step in steps:
        now += step
        kept.append(now)
        all_times.append(now)
        kept = [kept[k] for k in spaced(kept, now, last, older)]
        assert len(kept) <= last + older
        assert kept[-last:] == all_times[-last:] and kept == sorted(kept)
    if older:
        assert kept[0] == all_times[0]
    if last + older >= len(all_times):
        assert kept == all_times


@pytest.mark.parametrize(("days", "ratio"), [(1, 2.5), (30, 4.0)])
def test_whoever_goes_back_finds_a_moment_near(days, ratio):
    """By the minute for days: gaps are a share of the age, at any time of asking."""
    kept, step = [], 60.0 if days == 1 else 600.0
    for number in range(int(86400 * days / step)):
        now = step * number
        kept.append(now)
        kept = [kept[k] for k in spaced(kept, now, 3, 12)]
        ages = now - np.array(kept)
        assert len(kept) <= 15
        if number > 20:
            assert max(ages[:-3] / ages[1:-2]) <= ratio


def started(folder, clock, **options):
    served = model(clock=Clock())
    store = Store(folder, clock=clock, name="m", **options)
    store.start(served)
    return served, store


def learn(served, seed, count=20):
    some = rows(count, seed)
    served.learn(served.predict(some).id, labels(some, seed))


def same(one, state):
    return all(np.array_equal(array, state[k]) for k, array in one.online.state().items())


def test_the_list_tells_time_labels_reason_and_damage(tmp_path):
    clock = Clock()
    clock.now = 1000.0
    served, store = started(tmp_path, clock)
    learn(served, 0)
    clock.now = 2000.0
    number = store.snapshot()
    first, second = store.kept.listed()
    assert (first["number"], first["why"], first["time"], first["labels"]) == (
        0,
        "shipped",
        1000,
        0,
    )
    assert (second["number"], second["events"], second["labels"]) == (number, 2, 20)
    assert second["whole"] and second["bytes"] == store.kept.path(number).stat().st_size
    assert datetime.datetime.fromisoformat(second["at"]).timestamp() == 2000
    path = store.kept.path(number)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk damages it
    assert store.kept.listed()[1]["whole"]
    found = store.kept.listed(again=True)[1]
    assert found["whole"] is False and "checksum" in found["error"]
    with pytest.raises(ValueError, match="checksum"):
        store.rollback(number)
    path.write_bytes(b"nothing")
    assert store.kept.listed()[1]["whole"] is False


def test_back_by_number_by_moment_and_to_what_was_shipped(tmp_path):
    clock = Clock()
    served, store = started(tmp_path, clock)
    states, numbers = {}, {}
    shipped = served.online.state()
    for hour in range(1, 8):
        learn(served, hour)
        clock.now = 3600.0 * hour
        numbers[hour] = store.snapshot()
        states[hour] = served.online.state()
    clock.now += 60
    assert store.rollback(before=3600.0 * 5) == numbers[4] and same(served, states[4])
    assert store.rollback(number=numbers[6]) == numbers[6] and same(served, states[6])
    left = [row for row in store.kept.listed() if row["why"] == "before a rollback"]
    assert not left  # nothing had been learnt since a snapshot
    learn(served, 9)
    wrong = served.online.state()
    assert store.rollback(0) == 0 and same(served, shipped)
    (left,) = [row for row in store.kept.listed() if row["why"] == "before a rollback"]
    learn(served, 10)
    assert store.rollback() != left["number"]  # not to what was left behind
    assert store.rollback(left["number"]) == left["number"] and same(served, wrong)
    with pytest.raises(ValueError, match="`before` must be after the first snapshot"):
        store.rollback(before=-5.0)
    with pytest.raises(ValueError, match="not both"):
        store.rollback(0, 5.0)


def test_what_was_shipped_is_always_there(tmp_path):
    clock = Clock()
    served, store = started(tmp_path, clock, keep=2, older=1)
    shipped = served.online.state()
    for number in range(40):
        clock.now += 100
        learn(served, number, 3)
        store.snapshot()
    assert len(store.snapshots()) == 4 and store.snapshots()[0] == 0
    store.close()
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"x" * 500)):
        damage(store.kept.path(0))
        served, store = started(tmp_path, clock)
        store.rollback(0)
        assert same(served, shipped)
        store.close()


def test_moments():
    now = time.mktime((2026, 11, 26, 15, 0, 0, 0, 0, -1))
    assert moment("14:00", now) == now - 3600
    assert moment("16:30", now) == now - 22.5 * 3600  # yesterday's
    assert moment("2026-11-26 14:30", now) == now - 1800
    assert moment("2026-11-26T14:30:00Z", now) == 1795703400
    assert moment(12.5, now) == 12.5
    for text in ("soon", "", "14", "25:00", "2026-13-01", None, True):
        with pytest.raises(ValueError, match="'14:00'"):
            moment(text, now)


def ship_one(folder, bits):
    return ship(folder, Online(2, [], crosses=[[0, 1]], bits=bits), encoder(), card={"bits": bits})


def test_a_model_shipped_anew_starts_and_the_old_one_can_go_on(tmp_path):
    pytest.importorskip("fastapi")
    from reloop2_keras.service.running import Running

    folder = ship_one(tmp_path / "model", 6)
    old = Running(folder)
    learn(old.model, 0)
    learnt, kept = old.model.state(), old.state
    old.end()
    ship_one(folder, 7)
    new = Running(folder)
    assert new.model.counts["learnt"] == 0 and new.shipped.card == {"bits": 7}
    assert any(old.shipped.name in note for note in new.notes)
    learn(new.model, 1)
    new.end()
    again = Running(folder)
    assert again.model.counts["learnt"] == 20
    again.end()
    # the old one, whose folder is gone, with all that it had learnt
    back = Running(kept / "shipped")
    assert back.state == kept and back.model.state()[0] == learnt[0]
    back.end()
    # and in a folder that the operator names
    for _ in range(2):
        named = Running(folder, tmp_path / "states")
        assert named.state == tmp_path / "states" / named.shipped.name
        named.end()


def test_a_state_of_the_layout_before_is_found_or_left_alone(tmp_path):
    pytest.importorskip("fastapi")
    from reloop2_keras.service.running import Running

    folder = ship_one(tmp_path / "model", 6)
    first = Running(folder)
    learn(first.model, 0)
    first.end()
    for path in list(first.state.iterdir()):
        path.rename(first.state.parent / path.name)
    first.state.rmdir()
    again = Running(folder)
    assert again.state == Path(f"{folder}-state") and again.model.counts["learnt"] == 20
    again.end()
    ship_one(folder, 7)
    other = Running(folder)
    assert other.model.counts["learnt"] == 0 and any("left alone" in n for n in other.notes)
    other.end()
    assert list(again.state.glob("snapshot-*.state"))


def test_a_snapshot_after_so_many_events(tmp_path):
    pytest.importorskip("fastapi")
    from reloop2_keras.service.running import Running

    running = Running(ship_one(tmp_path / "model", 6), snapshot_seconds=1e9, snapshot_events=10)
    running.begin()
    try:
        learn(running.model, 0)  # two events
        time.sleep(1.2)
        assert running.store.snapshots() == [0]
        for number in range(4):
            learn(running.model, number)
        end = time.monotonic() + 30
        while running.store.snapshots() != [0, 10] and time.monotonic() < end:
            time.sleep(0.05)
        assert running.store.snapshots() == [0, 10]
    finally:
        running.end()
    for bad in ({"snapshot_events": 0}, {"snapshot_seconds": 0.0}, {"older": -1}, {"keep": 1}):
        with pytest.raises(ValueError, match=f"`{next(iter(bad))}`"):
            Running(tmp_path / "model", tmp_path / "none", **bad)
    assert not (tmp_path / "none").exists()


def test_a_damaged_snapshot_can_be_made_up_for_from_what_was_shipped(tmp_path):
    clock = Clock()
    served, store = started(tmp_path, clock, keep=3)
    for number in range(2):
        learn(served, number)
        last = store.snapshot()
        store.kept.path(last).write_bytes(b"damaged")
    learn(served, 5)
    os.close(store._owner)
    again, after = started(tmp_path, clock, keep=3)
    assert same(again, served.online.state())
    assert after.notes[-2] == "started from snapshot-000000000000000.state"

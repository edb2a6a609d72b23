"""Snapshots, event log, rollback; and SIGKILL at random points."""

import itertools
import os
import random
import signal
import time

import numpy as np
import pytest
from served_model import Clock, Formula, assert_same, labels, model, rows

from reloop2_keras.core.serving.event_log import HEAD, EventLog
from reloop2_keras.core.serving.snapshot_file import read_state, write_state
from reloop2_keras.core.serving.store import Store

OPTIONS = {"wait": 40.0, "negatives": True, "late_rows": 30, "max_rows": 60}


def fresh():
    return model(clock=Clock(), **OPTIONS)


def actions(served, number):
    """One request, and labels of some, an event at a time; the same for the same number."""
    served.clock.now = float(number)
    some = rows(1 + number % 4, number)
    prediction = served.predict(some)
    yield
    if number % 3 < 2:
        served.learn(prediction.id, labels(some, number))
        yield
    if number % 7 == 0:
        served.expire()
        yield


def step(served, number):
    for _ in actions(served, number):
        pass


def same_learning(one, other):
    for name, array in one.online.state().items():
        np.testing.assert_array_equal(array, other.online.state()[name], err_msg=name)
    assert one.counts == other.counts and one.alarms.state() == other.alarms.state()


def abandon(store):
    """As if the process had been killed: nothing is closed, but the lock is free."""
    os.close(store._owner)


def test_a_restart_goes_on_to_the_bit(tmp_path):
    one, never = fresh(), fresh()
    store = Store(tmp_path)
    store.start(one)
    for number in range(90):
        step(one, number)
        step(never, number)
        if number in (30, 60):
            store.snapshot()
    abandon(store)
    again = fresh()
    after = Store(tmp_path)
    after.start(again)
    assert after.notes[0].startswith("started from snapshot-")
    again._unseen[...] = one._unseen  # counted when they are served, not when they are learnt
    assert_same(one, again)
    for number in range(90, 140):
        step(again, number)
        step(never, number)
    same_learning(again, never)
    after.close()
    last = fresh()
    Store(tmp_path).start(last)
    assert_same(again, last)


def test_a_snapshot_that_does_not_verify_is_passed_over_and_nothing_is_lost(tmp_path):
    one, store = fresh(), Store(tmp_path)
    store.start(one)
    for number in range(40):
        step(one, number)
        if number in (10, 20, 30):
            store.snapshot()
    abandon(store)
    newest = tmp_path / f"snapshot-{store.snapshots()[-1]:015}.state"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    newest.write_bytes(data)
    again, after = fresh(), Store(tmp_path)
    after.start(again)
    assert "checksum" in after.notes[0] and "started from" in after.notes[1]
    same_learning(one, again)


def test_old_snapshots_and_their_events_are_removed(tmp_path):
    one, store = fresh(), Store(tmp_path, keep=2, older=0)
    store.start(one)
    for number in range(50):
        step(one, number)
        store.snapshot()
    assert len(store.snapshots()) == 3 and store.snapshots()[0] == 0
    assert len(list(tmp_path.glob("events-*.log"))) <= 3


def test_a_torn_last_event_is_cut_off_and_other_damage_is_told(tmp_path):
    one, store = fresh(), Store(tmp_path)
    store.start(one)
    for number in range(3):
        step(one, number)
    abandon(store)
    log = tmp_path / f"events-{0:015}.log"
    whole = log.read_bytes()
    lengths, at = [], len(HEAD)
    while at < len(whole):
        at += 8 + int.from_bytes(whole[at : at + 4], "little")
        lengths.append(at)
    found = set()
    for cut in (*range(lengths[-2], len(whole), 97), len(whole) - 1):
        log.write_bytes(whole[:cut])
        again, after = fresh(), Store(tmp_path)
        after.start(again)
        found.add(after.position)
        abandon(after)
        (tmp_path / f"events-{after.position:015}.log").unlink()
    assert found == {len(lengths) - 1}
    damaged = bytearray(whole)
    damaged[lengths[0] + 30] ^= 1
    log.write_bytes(damaged)
    with pytest.raises(ValueError, match=f"byte {lengths[0]}: expected an event of checksum"):
        Store(tmp_path).start(fresh())


def test_rollback_forgets_what_was_learnt_since_and_a_restart_agrees(tmp_path):
    one, store = fresh(), Store(tmp_path, keep=5)
    store.start(one)
    for number in range(20):
        step(one, number)
    at = store.snapshot()
    before = one.online.state()
    waiting = one.predict(rows(2))
    for number in range(20, 40):
        step(one, number)
    assert store.rollback() == at
    for name, array in one.online.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert one.learn(waiting.id, [1, 0])["learnt"] == 2  # it went on waiting
    step(one, 41)
    abandon(store)
    again, after = fresh(), Store(tmp_path)
    after.start(again)
    same_learning(one, again)
    with pytest.raises(ValueError, match="`number` must be among"):
        after.rollback(12345)
    assert after.rollback(at) == at


def test_what_moved_is_known_after_a_restart(tmp_path):
    one, store = fresh(), Store(tmp_path)
    store.start(one)
    for number in range(20):
        step(one, number)
    one.clock.now = 100.0
    one.mark()
    for number in range(100, 130):
        step(one, number)
    before = one.moved(since=110.0, count=5)
    assert before["since"] == 100.0 and not before["clipped"]
    clipped = one.moved(since=50.0)
    assert clipped["clipped"] and clipped["since"] == 100.0
    store.close()
    again, after = fresh(), Store(tmp_path)
    after.start(again)
    assert again.moved(since=110.0, count=5) == before
    again.clock.now = 200.0
    again.mark()
    assert again.moved(since=110.0)["since"] == 100.0
    after.rollback(0)
    assert again.moved(since=110.0)["since"] == 100.0


def test_a_release_is_remembered(tmp_path):
    one, store = fresh(), Store(tmp_path)
    store.start(one)
    one.release(Formula(1.0), "second")
    abandon(store)
    again = fresh()
    Store(tmp_path).start(again)
    assert again.base_name == "second"


def test_one_service_a_folder_and_one_model(tmp_path):
    store = Store(tmp_path, name="a")
    store.start(fresh())
    with pytest.raises(BlockingIOError, match="another service"):
        Store(tmp_path)
    store.close()
    with pytest.raises(ValueError, match="expected a state of 'b', found 'a'"):
        Store(tmp_path, name="b").start(fresh())


def test_a_full_disk_refuses_labels_and_keeps_the_log_whole(tmp_path, monkeypatch):
    one, store = fresh(), Store(tmp_path)
    store.start(one)
    step(one, 0)
    prediction = one.predict(rows(2))
    before, write, full = one.state(), os.write, [True]

    def half(handle, data):
        if full[0] and len(data) > 20:
            write(handle, data[:20])
            raise OSError(28, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        one.learn(prediction.id, [1, 0])
    assert one.state()[0] == before[0]
    full[0] = False
    assert one.learn(prediction.id, [1, 0])["learnt"] == 2
    abandon(store)
    again = fresh()
    Store(tmp_path).start(again)
    same_learning(one, again)


def test_files_of_another_kind_are_told(tmp_path):
    path = tmp_path / "x.state"
    write_state(path, {"a": 1}, {"x": np.arange(3)})
    head, arrays = read_state(path)
    assert head == {"a": 1} and arrays["x"].tolist() == [0, 1, 2]
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="expected a state's file"):
        read_state(path)
    with pytest.raises(ValueError, match="`sync`"):
        EventLog(tmp_path / "y.log", 0, "sometimes")
    with pytest.raises(ValueError, match="`keep`"):
        Store(tmp_path, keep=1)


def endless(served):
    return (None for number in itertools.count() for _ in actions(served, number))


def serve_until_killed(folder, pipe):
    """Serve and learn for ever; a byte to the pipe for each event that was acknowledged."""
    served, store = fresh(), Store(folder, keep=2)
    store.start(served)
    for number, _ in enumerate(endless(served)):
        os.write(pipe, b".")
        if number % 40 == 39:
            store.snapshot()


def killed_after(folder, events, seconds):
    """Kill a child some time after its first events; returns how many were acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            serve_until_killed(folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb", buffering=0) as pipe:
        acknowledged = 0
        while acknowledged < events:
            assert pipe.read(1), "the child ended by itself"
            acknowledged += 1
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return acknowledged + len(pipe.read())


def test_a_kill_loses_no_acknowledged_label(tmp_path):
    """SIGKILL at 20 random points: what goes on is equal, to the bit, to what was never killed."""
    rng = random.Random(5)
    for trial in range(20):
        folder = tmp_path / str(trial)
        events = killed_after(folder, rng.randrange(1, 200), rng.random() * 0.004)
        again, store, never = fresh(), Store(folder), fresh()
        store.start(again)
        run = endless(never)
        for _ in range(events):
            next(run)
        if again.counts != never.counts:  # one more was written down when the kill came
            next(run)
        same_learning(again, never)
        assert len(again.requests) == len(never.requests)

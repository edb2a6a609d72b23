"""A log and a store that the disk, the clock, or another thread does not do well by."""

import errno
import os
import struct
import threading

import numpy as np
import pytest
from served_model import Clock, assert_same, labels, model, rows

from reloop2_keras.core.serving import segments
from reloop2_keras.core.serving.event_log import HEAD, EventLog, read_events
from reloop2_keras.core.serving.snapshots import Snapshots
from reloop2_keras.core.serving.store import Store


def started(folder, **options):
    made, store = model(clock=Clock()), Store(folder, **options)
    store.start(made)
    return made, store


def teach(made, number, count=3):
    some = rows(count, number)
    made.learn(made.predict(some).id, labels(some, number))


def again(folder, one):
    """A model that starts from a folder whose service was killed."""
    other, _ = started(folder)
    other._unseen[...] = one._unseen
    return other


def log_of(folder, events):
    log = EventLog(folder / "log", 0)
    ends = []
    for number in range(events):
        log.append({"kind": "rows", "number": number}, {"truth": np.zeros(9)})
        ends.append(log._size)
    log.close()
    return log.path, [len(HEAD), *ends]


@pytest.mark.parametrize("bit", range(32))
@pytest.mark.parametrize("event", [0, 3, 4])
def test_a_flipped_bit_of_a_length_cuts_no_events_off(tmp_path, event, bit):
    path, ends = log_of(tmp_path, 5)
    data = bytearray(path.read_bytes())
    (size,) = struct.unpack_from("<I", data, ends[event])
    struct.pack_into("<I", data, ends[event], size ^ (1 << bit))
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"log: byte {ends[event]}: expected an event of"):
        list(read_events(path, last=True))
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize("zeros", [1, 7, 8, 9, 4096])
def test_zeros_behind_the_last_event_are_cut_off(tmp_path, zeros):
    path, ends = log_of(tmp_path, 5)
    with open(path, "ab") as file:
        file.write(bytes(zeros))
    assert len(list(read_events(path, last=True))) == 5
    assert path.stat().st_size == ends[-1]


def test_what_is_cut_off_is_told(tmp_path):
    one, store = started(tmp_path)
    teach(one, 0)
    os.close(store._owner)
    with open(store._log.path, "ab") as file:
        file.write(b"part")
    made, after = model(clock=Clock()), Store(tmp_path)
    after.start(made)
    assert any(note.endswith(": 4 bytes of no whole event are cut off") for note in after.notes)
    made._unseen[...] = one._unseen
    assert_same(one, made)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("what", ["snapshot", "rename", "segment", "folder"])
def test_a_rollback_that_the_disk_does_not_take_changes_nothing(tmp_path, monkeypatch, what):
    one, store = started(tmp_path)
    for number in range(6):
        teach(one, number)
    store.snapshot()
    before = one.state()
    with monkeypatch.context() as patch:
        if what == "snapshot":
            patch.setattr(store.kept, "write", full)
        elif what == "rename":  # the file is there, and what comes after fails
            real = store.kept.write
            patch.setattr(store.kept, "write", lambda *a: (real(*a), full()))
        elif what == "segment":
            patch.setattr(segments, "EventLog", full)
        else:
            patch.setattr(segments, "sync_file", full)
        with pytest.raises(OSError, match="No space"):
            store.rollback(0)
    after = one.state()
    assert before[0] == after[0]
    for name, array in before[1].items():
        np.testing.assert_array_equal(array, after[1][name])
    for number in range(6, 9):
        teach(one, number)  # the log is the one that it was
    os.close(store._owner)
    assert_same(one, again(tmp_path, one))


@pytest.mark.parametrize("what", ["EventLog", "sync_file"])
def test_a_snapshot_whose_segment_fails_loses_no_event(tmp_path, monkeypatch, what):
    one, store = started(tmp_path)
    teach(one, 0)
    with monkeypatch.context() as patch:
        patch.setattr(segments, what, full)
        with pytest.raises(OSError, match="No space"):
            store.snapshot()
    teach(one, 1)
    store.snapshot()
    teach(one, 2)
    os.close(store._owner)
    assert_same(one, again(tmp_path, one))


def test_a_kill_before_the_snapshot_of_a_rollback(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*_):
        raise Killed

    one, store = started(tmp_path)
    for number in range(3):
        teach(one, number)
    store.snapshot()
    monkeypatch.setattr(store.kept, "write", kill)
    monkeypatch.setattr(EventLog, "discard", lambda self: None)  # nobody tidies up
    with pytest.raises(Killed):
        store.rollback(0)
    monkeypatch.undo()
    os.close(store._owner)
    two, after = started(tmp_path)
    two._unseen[...] = one._unseen
    assert_same(one, two)
    teach(two, 4)
    os.close(after._owner)
    assert_same(two, again(tmp_path, two))


def test_files_that_people_made_are_no_snapshots(tmp_path):
    one, store = started(tmp_path)
    teach(one, 0)
    os.close(store._owner)
    for name in ("snapshot-copy.state", "snapshot-2 (1).state", "events-old.log", "events-7.log"):
        (tmp_path / name).write_bytes(b"mine")
    assert_same(one, again(tmp_path, one))


def test_who_looks_while_snapshots_go_sees_those_that_are_there(tmp_path):
    state = model().state()
    kept = Snapshots(tmp_path, "", keep=2, older=2)
    stop, failed = threading.Event(), []

    def look():
        while not stop.is_set():
            try:
                assert all(row["whole"] for row in kept.listed())
                kept.newest(), kept.bases()
            except Exception as error:
                failed.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(40):
        kept.write(number, *state)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed


def test_one_that_is_removed_between_list_and_look(tmp_path, monkeypatch):
    kept, state = Snapshots(tmp_path, ""), model().state()
    for number in range(3):
        kept.write(number, *state)
    monkeypatch.setattr(kept, "numbers", lambda: [0, 1, 2, 3])
    assert [row["number"] for row in kept.listed(again=True)] == [0, 1, 2]
    assert kept.newest()["number"] == 2 and kept.bases() == {"first"}


def test_a_clock_that_was_set_back_lets_rows_expire(tmp_path):
    made = model(clock=Clock(), wait=10.0)
    made.clock.now = 1e9  # wrong for a moment
    made.predict(rows(2))
    made.clock.now = 0.0
    made.predict(rows(3))
    made.clock.now = 11.0
    assert made.expire() == 3 and made.requests.rows == 2


def test_rows_that_are_learnt_before_the_disk_is_full_are_told():
    made, times = model(), []

    def log(head, arrays):
        times.append(head["kind"])
        if len(times) == 2:
            full()

    made.log = log
    some = rows(300)
    with pytest.raises(OSError, match="256 of 300 rows are learnt: No space left"):
        made.learn_rows(some, labels(some))
    assert made.counts["learnt"] == 256

"""`sync="always"`: no label is answered before the disk has it; one sync is for all who wait."""

import os
import threading
import time

import numpy as np
import pytest
from served_model import Clock, model, rows

from reloop2_keras.core.serving.event_log import EventLog
from reloop2_keras.core.serving.store import Store


def started(folder, sync="always"):
    served, store = model(clock=Clock()), Store(folder, sync=sync)
    store.start(served)
    return served, store


class SlowDisk:
    """Replaces `os.fsync`: it waits to be let go on, and knows what it had been given by then."""

    def __init__(self, monkeypatch, store):
        self.calls, self.sizes, self.gate = 0, [], threading.Event()
        self.entered, self.real, self.store = threading.Event(), os.fsync, store
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, handle):
        self.calls += 1
        self.entered.set()
        assert self.gate.wait(20)
        self.sizes.append(self.store.position)
        self.real(handle)


def test_labels_that_come_while_the_disk_works_share_the_next_sync(tmp_path, monkeypatch):
    served, store = started(tmp_path)
    ids = [served.predict(rows(1, number)).id for number in range(9)]
    disk, answered = SlowDisk(monkeypatch, store), []

    def learn(name):
        answered.append((served.learn(name, [1])["learnt"], name))

    threads = [threading.Thread(target=learn, args=(name,)) for name in ids]
    threads[0].start()
    assert disk.entered.wait(20)
    for thread in threads[1:]:
        thread.start()
    end = time.monotonic() + 20
    while served.counts["learnt"] < 9 and time.monotonic() < end:
        time.sleep(0.001)
    assert served.counts["learnt"] == 9  # all are learnt, and none is answered
    # nobody who only asks waits for the disk
    assert served.predict(rows(2)).scores.shape == (2,) and not answered
    disk.gate.set()
    for thread in threads:
        thread.join(20)
    assert len(answered) == 9 and disk.calls <= 3 < 9
    monkeypatch.undo()
    store.close()


def test_each_answer_comes_after_a_sync_that_has_its_event(tmp_path, monkeypatch):
    served, store = started(tmp_path)
    disk = SlowDisk(monkeypatch, store)
    disk.gate.set()
    for number in range(3):
        name = served.predict(rows(1, number)).id
        calls = disk.calls
        served.learn(name, [0])
        assert disk.calls == calls + 1 and disk.sizes[-1] == store.position
        served.learn_rows(rows(600, number), [1] * 600)
        assert disk.calls == calls + 2 and disk.sizes[-1] == store.position
    monkeypatch.undo()
    store.close()
    served, store = started(tmp_path, "snapshots")
    disk = SlowDisk(monkeypatch, store)
    served.learn_rows(rows(3), [1, 0, 1])
    assert not disk.calls  # the default waits for no disk
    monkeypatch.undo()


def test_after_a_failed_sync_nothing_is_taken_until_a_snapshot_holds_it(tmp_path, monkeypatch):
    served, store = started(tmp_path)
    name, other = served.predict(rows(1)).id, served.predict(rows(2)).id
    real = os.fsync

    def broken(handle):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        served.learn(name, [1])
    monkeypatch.setattr(os, "fsync", real)  # the system says such a thing once
    for call in (
        lambda: served.learn(other, [1, 0]),
        lambda: served.learn(name, [1]),  # sent again, it was learnt; but is not on the disk
        lambda: served.predict(rows(1)),
    ):
        with pytest.raises(OSError, match="could not be synced"):
            call()
    before = served.online.state()
    store.snapshot()
    assert served.learn(name, [1])["learnt"] == 0
    assert served.learn(other, [1, 0])["learnt"] == 2
    os.close(store._owner)
    again, after = started(tmp_path)
    for key, array in served.online.state().items():
        np.testing.assert_array_equal(again.online.state()[key], array)
    assert before["arms/tables/rows"] + 2 == again.online.state()["arms/tables/rows"]


def test_a_label_under_way_while_a_snapshot_begins_is_synced_in_its_own_segment(tmp_path):
    log = EventLog(tmp_path / "a.log", 0, "always")
    log.append({"kind": "labels"}, {})
    closed = threading.Thread(target=log.close)
    closed.start()
    log.settle()
    closed.join()
    log.settle()  # of a closed one all is on the disk
    failed = EventLog(tmp_path / "b.log", 0, "always")
    failed.append({"kind": "labels"}, {})
    failed.failed = True
    failed.close()
    with pytest.raises(OSError, match="could not be synced"):
        failed.settle()


def test_the_service_mends_itself_after_a_failed_sync(tmp_path, monkeypatch):
    pytest.importorskip("fastapi")
    from service_case import ship_tables

    from reloop2_keras.service.running import Running

    running = Running(ship_tables(tmp_path / "model"), sync="always", snapshot_seconds=1e9)
    name, real = running.model.predict(rows(1)).id, os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(5, "broken")))
    with pytest.raises(OSError, match="broken"):
        running.model.learn(name, [1])
    with pytest.raises(OSError, match="could not be synced"):
        running.model.predict(rows(1))
    monkeypatch.setattr(os, "fsync", real)
    running.begin()
    try:
        end = time.monotonic() + 20
        while running.store.failed and time.monotonic() < end:
            time.sleep(0.05)
        assert running.model.predict(rows(1)).scores.shape == (1,)
    finally:
        running.end()

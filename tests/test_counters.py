"""Counters of Prometheus never go down while a process lives, whatever is rolled back."""

import pytest
from served_model import labels, rows
from service_case import ship_tables

pytest.importorskip("prometheus_client", reason="not installed: pip install 'reloop2[serve]'")

from reloop2_keras.service.metrics import ModelCollector  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402


def counters(running):
    return {
        (one.name, *one.labels.values()): one.value
        for family in ModelCollector(running).collect()
        if family.type == "counter"
        for one in family.samples
    }


def learn(running, seed, count=40):
    some = rows(count, seed)
    running.model.learn([running.model.predict(some).id], [labels(some, seed)])


def test_a_rollback_rewinds_the_state_and_no_counter(tmp_path):
    running = Running(ship_tables(tmp_path / "model"))
    learn(running, 1)
    running.store.snapshot()
    kept = dict(running.model.counts)
    learn(running, 2)
    running.model.alarms.watches["above"].alarms = 3
    for number in (None, 0, None):
        before = counters(running)
        running.store.rollback(number)
        assert counters(running) == before
        if number is None:
            assert running.model.counts["learnt"] <= kept["learnt"]
        learn(running, 3, 10)
        after = counters(running)
        assert after["reloop2_events_total", "learnt"] == (
            before["reloop2_events_total", "learnt"] + 10
        )
        assert all(after[key] >= value for key, value in before.items())
    assert after["reloop2_drift_alarms_total", "above"] == 3
    running.store.close()
    again = Running(tmp_path / "model")  # a new process begins with what its state says
    assert counters(again)["reloop2_events_total", "learnt"] == again.model.counts["learnt"]
    again.store.close()

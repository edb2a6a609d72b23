"""The prequential loop: order of events, what arms gain, controls, metrics, the report."""

import json
import weakref

import numpy as np
import pytest

from mindspore_port import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    SketchErrorMemory,
    iter_prequential,
    prequential,
    tune_memory,
)
from mindspore_port.streaming import (
    Arm,
    FrozenBase,
    Gated,
    Memory,
    PrequentialReport,
    Recalibration,
    auc,
    best_setting,
    replay,
    standard_arms,
)


class ArraySlot:
    def __init__(self, arrays):
        self.arrays = arrays

    def load(self):
        return self.arrays


def stream(num_slots, rows=300, users=40, seed=0):
    """Users whose taste the base never saw: the label depends on the user's parity."""
    rng = np.random.default_rng(seed)
    slots = []
    for _ in range(num_slots):
        user = rng.integers(0, users, rows)
        other = users + rng.integers(0, 5, rows)
        ids = np.stack([user, other], 1).astype("int32")
        arrays = {
            "feature_ids": ids,
            "feature_values": np.ones((rows, 2), "float32"),
            "feature_hashes": ids * np.int32(40503),
            "label": (rng.random(rows) < np.where(user % 2, 0.8, 0.2)).astype("uint8"),
            "group": user,
        }
        slots.append(ArraySlot(arrays))
    return slots


def base(users=40):
    return DeepFM([users, 5], 4, (8,), initializer_stddev=0.3)


class Recorder:
    """A fast part that writes down the order of events."""

    def __init__(self):
        self.events = []

    def predict(self, served):
        self.events.append(("predict", len(served["probability"])))
        return served["probability"], "kept"

    def observe(self, served, labels, kept):
        assert kept == "kept"
        self.events.append(("observe", len(labels)))


@pytest.mark.parametrize("delay", [0, 1, 3])
def test_slot_t_is_predicted_by_slots_before_t_minus_delay(delay):
    slots = [s for n in range(6) for s in stream(1, rows=10 + n)]
    recorder = Recorder()
    arms = [Arm("a", FrozenBase(base()), recorder)]
    seen = [e["slot"] for e in iter_prequential(slots[1:], arms, delay, warmup=slots[:1])]
    assert seen == [0, 1, 2, 3, 4]
    for t in range(6):
        at = recorder.events.index(("predict", 10 + t))
        known = [n - 10 for kind, n in recorder.events[:at] if kind == "observe"]
        assert known == list(range(max(0, t - delay)))


def test_memories_and_training_adapt_and_controls_do_not(mode, tmp_path):
    model = base()
    before = [p.asnumpy().copy() for p in model.get_parameters()]

    def exact(mix=False):
        memory = ExactErrorMemory(20_000, 20, key_normalization="none")
        return Memory(memory, "embedding", 0.7, shuffle_labels=mix)

    def feature(mix=False):
        memory = FeatureErrorMemory(10, residual="corrected")
        return Gated([(memory, "feature_hashes")], shuffle_labels=mix)

    made = {"exact": exact, "feature": feature}
    arms = standard_arms(model, made, learning_rate=0.03, batch_size=75)
    report = prequential(stream(6), arms)
    table = report.overall()
    assert [a.name for a in arms] == list(table)
    for arm in ("exact", "feature", "incremental", "incremental+feature"):
        assert table[arm]["auc"] > table["frozen"]["auc"] + 0.1, arm
    for control in ("recalibrated", "shuffled", "shuffled feature"):
        assert table[control]["auc"] < table["exact"]["auc"] - 0.1, control
    for a, b in zip(model.get_parameters(), before, strict=True):  # the caller's is untouched
        np.testing.assert_array_equal(a.asnumpy(), b)
    saved = json.loads(report.save(tmp_path)[0].read_text())
    assert saved["arms"]["exact"]["auc"] == table["exact"]["auc"]
    assert saved["arms"]["exact"]["auc_sd"] is None  # one seed says nothing about the spread
    assert len(saved["slots"]["exact"]["auc"]) == 6 and "+0." in report.table()
    both = PrequentialReport.concat([report, report])
    assert both.overall()["exact"]["auc_sd"] == 0.0


def test_tuning_looks_for_a_lambda_that_helps():
    slots = stream(5)
    memories = {"exact": (ExactErrorMemory(5000, 20, key_normalization="none"), "embedding")}
    memories["sketch"] = (SketchErrorMemory(10, 6, key_normalization="none"), "embedding")
    grid = tune_memory(base(), slots, memories, label_weights=(1.0,))
    assert len(grid) == 24
    assert best_setting(grid)["compensation"] > 0
    assert best_setting(grid, "auc")["candidate"] == "exact"
    with pytest.raises(ValueError, match="`slots` must be more than 1"):
        tune_memory(base(), slots[:1], memories)
    with pytest.raises(ValueError, match="`fill` must be an integer from 1"):
        tune_memory(base(), slots, memories, fill=5)


def test_replay_and_tuning_hold_back_labels_as_the_stream_does():
    model, slots, delay, fill = base(), stream(6, rows=200), 1, 3

    def feature():
        return Gated([(FeatureErrorMemory(10), "feature_hashes")])

    def exact():
        return ExactErrorMemory(5000, 20, key_normalization="none")

    paper = Memory(exact(), "embedding", 0.5, 0.3)
    arms = [Arm("feature", FrozenBase(model), feature()), Arm("exact", FrozenBase(model), paper)]
    events = list(iter_prequential(slots, arms, delay))[fill:]
    labels = np.concatenate([e["arrays"]["label"] for e in events])
    want = {
        arm.name: auc(labels, np.concatenate([e["predictions"][arm.name] for e in events]))
        for arm in arms
    }
    tried = replay(model, slots, {"feature": feature(), "bare": Recalibration()}, delay, fill)
    got = {row["candidate"]: row["auc"] for row in tried}
    assert list(got) == ["frozen", "feature", "bare"]
    assert got["feature"] == pytest.approx(want["feature"], abs=1e-6)
    assert got["feature"] > got["frozen"] + 0.1 and got["bare"] < got["feature"] - 0.1
    assert best_setting(tried, "auc")["candidate"] == "feature"
    grid = tune_memory(model, slots, {"e": (exact(), "embedding")}, (0.5,), (0.3,), delay, fill)
    assert grid[0]["auc"] == pytest.approx(want["exact"], abs=1e-6)
    with pytest.raises(ValueError, match="`fill`"):
        replay(model, slots, {}, delay, fill=6)


def test_tuning_holds_a_slot_s_keys_only_until_its_labels_arrive(monkeypatch):
    keys, alive, serve = [], [], FrozenBase.serve

    def counted(self, arrays):
        alive.append(sum(key() is not None for key in keys))
        served = serve(self, arrays)
        keys.append(weakref.ref(served["hidden"]))
        return served

    monkeypatch.setattr(FrozenBase, "serve", counted)
    memory = SketchErrorMemory(8, 6, key_normalization="none")
    candidates = {"sketch": (memory, "hidden")}
    tune_memory(base(), stream(8), candidates, (0.5,), (1.0,), delay=1)
    assert len(alive) == 8 and max(alive) == 0  # buckets wait for labels, not keys


@pytest.mark.parametrize("drain", [False, True])
def test_a_drained_stream_has_learnt_its_last_slots(drain):
    recorder = Recorder()
    arms = [Arm("a", FrozenBase(base()), recorder)]
    list(iter_prequential(stream(4), arms, delay=1, drain=drain))
    assert sum(kind == "observe" for kind, _ in recorder.events) == (4 if drain else 2)


def test_bad_arguments_are_named():
    arms = [Arm("a", FrozenBase(base())), Arm("a", FrozenBase(base()))]
    with pytest.raises(ValueError, match="distinct names"):
        list(iter_prequential(stream(1), arms))
    with pytest.raises(ValueError, match="`delay`"):
        list(iter_prequential(stream(1), arms[:1], delay=-1))
    with pytest.raises(ValueError, match="`slots` must hold"):
        prequential([], arms[:1])

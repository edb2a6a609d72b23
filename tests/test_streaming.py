"""The prequential loop: order of events, delay, no self-hit, controls, tuning."""

import keras
import numpy as np
import pytest

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    SketchErrorMemory,
    iter_prequential,
    prequential,
)
from reloop2_keras.core.metrics import auc, auc_standard_error
from reloop2_keras.streaming import (
    Arm,
    FrozenBase,
    Gated,
    IncrementalBase,
    Memory,
    Recalibration,
    best_setting,
    replay,
    standard_arms,
    tune_memory,
)

pytestmark = pytest.mark.backend


class ArraySlot:
    def __init__(self, arrays):
        self.arrays = arrays

    def load(self):
        return self.arrays


def stream(num_slots, rows=300, users=40, seed=0, noise=False):
    """Users whose taste the base never saw: label depends on the user's parity."""
    rng = np.random.default_rng(seed)
    slots = []
    for _ in range(num_slots):
        user = rng.integers(0, users, rows)
        rate = np.full(rows, 0.5) if noise else np.where(user % 2, 0.8, 0.2)
        slots.append(
            ArraySlot(
                {
                    "feature_ids": np.stack([user, users + rng.integers(0, 5, rows)], 1).astype(
                        "int32"
                    ),
                    "feature_values": np.ones((rows, 2), "float32"),
                    "feature_hashes": np.stack([user, user % 3], 1).astype("int32"),
                    "label": (rng.random(rows) < rate).astype("uint8"),
                    "group": user,
                }
            )
        )
    return slots


def base(users=40):
    keras.utils.set_random_seed(0)
    model = DeepFM([users, 5], embedding_dim=4, hidden_units=(8,), initializer_stddev=0.3)
    model.build()
    return model


def exact(**kwargs):
    plain = {"capacity": 20_000, "num_neighbors": 20, "key_normalization": "none"}
    return ExactErrorMemory(**{**plain, **kwargs})


def sketch(*args):
    return SketchErrorMemory(*args, key_normalization="none")


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
    seen = [
        event["slot"]
        for event in iter_prequential(
            slots[1:], [Arm("a", FrozenBase(base()), recorder)], delay, warmup=slots[:1]
        )
    ]
    assert seen == [0, 1, 2, 3, 4]
    known = []
    for t in range(6):
        at = recorder.events.index(("predict", 10 + t))
        known.append([n - 10 for kind, n in recorder.events[:at] if kind == "observe"])
    assert known == [list(range(max(0, t - delay))) for t in range(6)]


def test_memory_and_training_adapt_and_controls_do_not():
    model = base()
    arms = standard_arms(
        model,
        {"exact": lambda mix: Memory(exact(), "embedding", 0.7, shuffle_labels=mix)},
        learning_rate=0.02,
        batch_size=32,
    )
    before = [w.copy() for w in model.get_weights()]
    report = prequential(stream(8), arms)
    table = report.overall()["auc"]
    assert [a.name for a in arms] == list(table.index)
    assert table["exact"] > table["frozen"] + 0.1
    assert table["incremental"] > table["frozen"] + 0.1
    assert table["incremental+exact"] > table["frozen"] + 0.1
    for control in ("recalibrated", "shuffled"):
        assert table[control] < table["exact"] - 0.1
    for a, b in zip(model.get_weights(), before, strict=True):  # the caller's model is untouched
        np.testing.assert_array_equal(a, b)


def test_noise_labels_no_arm_beats_chance():
    # docs/method.md, section 7.2: a memory that held the scored rows would read their labels
    arms = standard_arms(
        base(),
        {
            "sketch": lambda mix: Memory(sketch(20, 10), "embedding", 0.9, 1.0, mix),
            "exact": lambda mix: Memory(exact(num_neighbors=1), "embedding", 0.9, 1.0, mix),
            "feature": lambda mix: Gated([(FeatureErrorMemory(10), "feature_hashes")], None, mix),
        },
    )
    report = prequential(stream(6, rows=1000, noise=True, users=400), _for_users(arms))
    for arm in report.arms:
        p = report.predictions[arm][0]
        assert auc(report.labels, p) < 0.5 + 3 * auc_standard_error(report.labels, p), arm


def _for_users(arms):
    wide = base(400)
    frozen = FrozenBase(wide)
    slow = IncrementalBase(wide)
    for arm in arms:
        arm.slow = slow if isinstance(arm.slow, IncrementalBase) else frozen
    return arms


def test_a_memory_that_held_the_scored_rows_would_be_found_out():
    # the check above can fail: write each slot BEFORE predicting it, and AUC shoots up
    slots = stream(2, rows=800, noise=True)
    frozen, memory = FrozenBase(base()), Memory(exact(num_neighbors=1), "embedding", 0.9)
    leaking = []
    for slot in slots:
        rng = np.random.default_rng(0)
        slot.arrays["feature_values"] = rng.random((800, 2)).astype("float32")  # distinct keys
        served = frozen.serve(slot.arrays)
        memory.observe(served, slot.arrays["label"], memory.predict(served)[1])
        leaking.append(auc(slot.arrays["label"], memory.predict(served)[0]))
    assert min(leaking) > 0.7


def test_recalibration_mends_a_biased_base():
    slots = stream(8, noise=True)
    for slot in slots:
        slot.arrays["label"] = (np.random.default_rng(5).random(300) < 0.1).astype("uint8")
    frozen = FrozenBase(base())
    arms = [Arm("frozen", frozen), Arm("recalibrated", frozen, Recalibration())]
    table = prequential(slots, arms).overall()
    assert table.loc["recalibrated", "logloss"] < table.loc["frozen", "logloss"] - 0.1


def test_tuning_equals_running_the_stream_at_that_setting():
    model, slots = base(), stream(4)
    candidates = {"exact": (exact(), "embedding"), "sketch": (sketch(8, 6), "hidden")}
    table = tune_memory(
        model, slots, candidates, compensations=(0.0, 0.5), label_weights=(1.0, 0.3), fill=1
    )
    assert len(table) == 8
    row = table.query("candidate == 'exact' and compensation == .5 and label_weight == .3").iloc[0]
    arm = Arm("exact", FrozenBase(model), Memory(exact(), "embedding", 0.5, 0.3))
    events = list(iter_prequential(slots, [arm]))[1:]  # the first slot only fills the memory
    labels = np.concatenate([e["arrays"]["label"] for e in events])
    p = np.concatenate([e["predictions"]["exact"] for e in events])
    assert row["auc"] == pytest.approx(auc(labels, p), abs=1e-6)
    assert best_setting(table)["compensation"] == 0.5
    assert candidates["exact"][0].cursor == 0  # reset afterwards


@pytest.mark.parametrize(("delay", "fill"), [(0, 2), (1, 3)])
def test_replay_and_tuning_hold_back_labels_as_the_stream_does(delay, fill):
    model, slots = base(), stream(6)

    def feature():
        return Gated([(FeatureErrorMemory(10), "feature_hashes")])

    paper = Memory(exact(), "embedding", 0.5, 0.3)
    arms = [Arm("feature", FrozenBase(model), feature()), Arm("exact", FrozenBase(model), paper)]
    events = list(iter_prequential(slots, arms, delay))[fill:]
    labels = np.concatenate([e["arrays"]["label"] for e in events])
    want = {
        arm.name: auc(labels, np.concatenate([e["predictions"][arm.name] for e in events]))
        for arm in arms
    }
    tried = replay(model, slots, {"feature": feature(), "bare": Recalibration()}, delay, fill)
    got = tried.set_index("candidate")["auc"]
    assert got["feature"] == pytest.approx(want["feature"], abs=1e-6)
    assert got["feature"] > got["frozen"] + 0.1 and got["bare"] < got["feature"] - 0.1
    grid = tune_memory(model, slots, {"e": (exact(), "embedding")}, (0.5,), (0.3,), delay, fill)
    assert grid["auc"][0] == pytest.approx(want["exact"], abs=1e-6)
    with pytest.raises(ValueError, match="`fill`"):
        replay(model, slots, {}, delay, fill=6)


def test_a_gated_memory_of_shuffled_labels_gains_nothing():
    frozen = FrozenBase(base())
    arms = [Arm("frozen", frozen)]
    for mix in (False, True):
        fast = Gated([(FeatureErrorMemory(10), "feature_hashes")], None, mix)
        arms.append(Arm(f"shuffled {mix}", frozen, fast))
    table = prequential(stream(8), arms).overall()["auc"]
    # an untrained base may rank backwards; a gate alone turns that round, to a little above .5
    assert table["shuffled False"] > 0.7
    assert table["shuffled True"] < 0.6


@pytest.mark.parametrize("drain", [False, True])
def test_a_drained_stream_has_learnt_its_last_slots(drain):
    recorder = Recorder()
    list(iter_prequential(stream(4), [Arm("a", FrozenBase(base()), recorder)], 1, drain=drain))
    assert sum(kind == "observe" for kind, _ in recorder.events) == (4 if drain else 2)


def test_tuning_picks_no_memory_where_memory_is_useless():
    candidates = {"exact": (exact(num_neighbors=1), "embedding")}
    flat = base()
    flat.set_weights([np.zeros_like(w) if w.ndim == 1 else w * 0.01 for w in flat.get_weights()])
    table = tune_memory(flat, stream(4, noise=True), candidates)
    assert best_setting(table)["compensation"] == 0.0


def test_bad_arguments_are_named():
    frozen = FrozenBase(base())
    with pytest.raises(ValueError, match="distinct names"):
        list(iter_prequential(stream(1), [Arm("a", frozen), Arm("a", frozen)]))
    with pytest.raises(ValueError, match="`delay`"):
        list(iter_prequential(stream(1), [Arm("a", frozen)], delay=-1))
    with pytest.raises(ValueError, match="`slots`"):
        prequential([], [Arm("a", frozen)])
    with pytest.raises(ValueError, match="`slots`"):
        tune_memory(base(), stream(1), {"e": (exact(), "hidden")})

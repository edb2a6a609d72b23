"""Labels that come late by slots, rows or time: what is learnt before each slot, to the row."""

import copy

import numpy as np
import pytest
from delay_oracle import by_hand, known, numbered
from hypothesis import given, settings
from hypothesis import strategies as st

from reloop2_keras.core.arms import Arm, Gated, Memory, Recalibration
from reloop2_keras.core.correction import Served
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.memories import ExactMemory, FeatureMemory, SketchMemory
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.fast_part import OnlinePart
from reloop2_keras.core.pending import Pending, first_learnt
from reloop2_keras.core.prequential import iter_prequential
from reloop2_keras.core.served import divided
from reloop2_keras.core.tune import replay, tune_memory
from reloop2_keras.rivals.adpredictor import AdPredictor
from reloop2_keras.rivals.served import ServedOnce

DELAYS = [0, 2, "0rows", "7rows", "25rows", "0s", "1s", "2.5s", "30s"]


@pytest.mark.parametrize(
    ("value", "amount", "unit"),
    [
        (0, 0, "slots"),
        ("3", 3, "slots"),
        ("3 slots", 3, "slots"),
        ("1slot", 1, "slots"),
        ("5000rows", 5000, "rows"),
        ("1.5h", 5400, "seconds"),
        ("30min", 1800, "seconds"),
        ("90s", 90, "seconds"),
        ("90 seconds", 90, "seconds"),
        ("2d", 172_800, "seconds"),
        (Delay(3, "rows"), 3, "rows"),
    ],
)
def test_delays_in_words(value, amount, unit):
    delay = Delay.of(value)
    assert (delay.amount, delay.unit) == (amount, unit)
    assert Delay.of(str(delay)) == Delay.of(delay.plain()) == delay


@pytest.mark.parametrize(
    "value", [-1, 0.5, "soon", "5 weeks", "1.5rows", "-1rows", True, None, float("nan"), "5m"]
)
def test_what_is_no_delay(value):
    with pytest.raises(ValueError, match="`delay` must be a number of slots"):
        Delay.of(value)


def test_delays_add_within_a_unit():
    with pytest.raises(ValueError, match="one unit"):
        Delay.of(1) + Delay.of("1s")
    with pytest.raises(ValueError, match="`unit`"):
        Delay(1, "weeks")


class Recorder:
    """Writes down which rows it learnt, as base or as fast part."""

    def __init__(self):
        self.learnt, self.before = [], []

    def serve(self, arrays):
        self.before.append(list(self.learnt))
        return {"probability": np.full(len(arrays["row"]), 0.5), "row": arrays["row"]}

    def predict(self, served):
        self.before.append(list(self.learnt))
        return served["probability"], {"row": np.array(served["row"]), "nothing": None}

    def observe(self, *given):
        if len(given) == 1:
            rows, labels = given[0]["row"], given[0]["label"]
        else:
            rows, labels = given[2]["row"], given[1]
            assert given[0]["row"].tolist() == rows.tolist()
        self.learnt += zip(rows.tolist(), labels.tolist(), strict=True)


def check_what_is_learnt(slots, delay):
    base, fast = Recorder(), Recorder()
    list(iter_prequential(slots, [Arm("a", base), Arm("b", base, fast)], delay, progress=False))
    want, so_far = [], []
    for due in known(slots, delay):
        so_far = so_far + [
            (int(slots[n].arrays["row"][i]), int(slots[n].arrays["label"][i])) for n, i in due
        ]
        want.append(so_far)
    assert base.before == want and fast.before == want


@pytest.mark.parametrize("delay", DELAYS)
def test_exactly_what_has_arrived_is_learnt_in_the_order_of_arrival(delay):
    times = np.sort(np.random.default_rng(0).integers(0, 40, 60))
    check_what_is_learnt(numbered([10, 1, 19, 5, 25], times), delay)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_the_slots_the_times_and_the_delay(data):
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=7))
    rows = sum(sizes)
    times = data.draw(st.lists(st.integers(0, 12), min_size=rows, max_size=rows))
    if data.draw(st.booleans()):  # a log need not be in the order of time
        times = sorted(times)
    unit = data.draw(st.sampled_from(["slots", "rows", "seconds"]))
    check_what_is_learnt(numbered(sizes, times), Delay(data.draw(st.integers(0, 14)), unit))


class Known:
    """A frozen base of the first field's parity, with keys."""

    learns_from = ()

    def serve(self, arrays):
        user = arrays["feature_ids"][:, 0]
        p = (0.3 + 0.2 * (user % 2)).astype("float32")
        hidden = np.eye(8, dtype="float32")[user]
        return Served(probability=p, hidden=hidden, feature_hashes=arrays["feature_hashes"])

    def observe(self, arrays):
        """A frozen base."""


class Trained(Known):
    """A base whose click rate follows its labels."""

    learns_from = ("label",)

    def __init__(self):
        self.clicks, self.rows = 1.0, 2.0

    def serve(self, arrays):
        served = super().serve(arrays)
        served["probability"] = np.full(len(arrays["row"]), self.clicks / self.rows, "float32")
        return served

    def observe(self, arrays):
        self.clicks += 0.9 * float(arrays["label"].sum())
        self.rows += len(arrays["label"])


def parts(name):
    """Fresh slow and fast part of each kind of arm."""
    hashes = "feature_hashes"
    fasts = {
        "recalibrated": Recalibration,
        "exact": lambda: Memory(ExactMemory(50, 5, key_normalization="none"), "hidden", 0.5),
        "sketch": lambda: Memory(SketchMemory(6, 4, key_normalization="none"), "hidden", 0.5),
        "feature": lambda: Gated([(FeatureMemory(8, residual="corrected"), hashes)]),
        "decay": lambda: Gated([(FeatureMemory(8, decay=0.9), hashes)]),
        "tables": lambda: OnlinePart(Online(2, block_rows=16)),
        "online": lambda: OnlinePart(Online(2, ["base"], block_rows=16)),
        "shuffled": lambda: OnlinePart(Online(2, block_rows=16), shuffle_labels=True),
    }
    if name in fasts:
        return Known(), fasts[name]()
    if name == "incremental":
        return Trained(), None
    if name == "incremental+feature":
        return Trained(), fasts["feature"]()
    if name == "adpredictor":
        return AdPredictor(bits=6), None
    vowpal = pytest.importorskip("vowpalwabbit") and __import__(
        "reloop2_keras.rivals.vowpal", fromlist=["VowpalWabbit"]
    )
    return vowpal.VowpalWabbit(base=ServedOnce(Known()) if name == "vw+base" else None), None


ARMS = ["recalibrated", "exact", "sketch", "feature", "decay", "tables", "online", "shuffled"]
ARMS += ["incremental", "incremental+feature", "adpredictor", "vw", "vw+base"]


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("delay", [1, "13rows", "4s"])
def test_every_arm_predicts_as_if_it_were_taught_by_hand(name, delay):
    if name.startswith("vw"):
        pytest.importorskip("vowpalwabbit")
    times = np.sort(np.random.default_rng(1).integers(0, 20, 90))
    slots = numbered([20, 12, 30, 8, 20], times)
    got = iter_prequential(slots, [Arm(name, *parts(name))], delay, progress=False)
    got = [event["predictions"][name] for event in got]
    for mine, theirs in zip(got, by_hand(slots, *parts(name), delay), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    if name != "shuffled":
        at_once = iter_prequential(slots, [Arm(name, *parts(name))], 0, progress=False)
        assert any(
            not np.array_equal(a, b["predictions"][name]) for a, b in zip(got, at_once, strict=True)
        )


@pytest.mark.parametrize("name", ["feature", "online", "incremental", "adpredictor"])
def test_rows_and_time_say_the_same_as_slots_where_slots_are_even(name):
    slots = numbered([15] * 6)  # a second a slot
    runs = [
        np.concatenate(
            [
                event["predictions"][name]
                for event in iter_prequential(
                    slots, [Arm(name, *parts(name))], delay, progress=False
                )
            ]
        )
        for delay in (1, "16rows", "2s")
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


@pytest.mark.parametrize("delay", ["9rows", "3s"])
def test_replay_and_tuning_hold_back_labels_as_the_stream_does(delay):
    slots = numbered([12] * 6, np.sort(np.random.default_rng(2).integers(0, 15, 72)))
    arms = [Arm("feature", *parts("feature")), Arm("exact", *parts("exact"))]
    events = list(iter_prequential(slots, arms, delay, progress=False))[4:]
    labels = np.concatenate([e["arrays"]["label"] for e in events])

    def loss(name):
        p = np.concatenate([e["predictions"][name] for e in events]).astype("float64")
        return -np.mean(np.where(labels == 1, np.log(p), np.log(1 - p)))

    tried = replay(Known(), slots, {"feature": parts("feature")[1]}, delay, 4)
    assert tried[1]["logloss"] == pytest.approx(loss("feature"), abs=1e-6)
    exact = {"e": (parts("exact")[1].memories[0], "hidden")}
    [row] = tune_memory(Known(), slots, exact, (0.5,), (1.0,), delay, 4)
    assert row["logloss"] == pytest.approx(loss("exact"), abs=1e-6)


def test_the_first_slot_that_anything_is_learnt_before():
    slots = numbered([10] * 5)
    for delay in DELAYS:
        due = [number for number, rows in enumerate(known(slots, delay)) if rows]
        assert first_learnt(slots, Delay.of(delay)) == (due or [5])[0], delay
    with pytest.raises(ValueError, match="`slots` must be more than 5"):
        replay(Known(), slots, {}, "100rows")
    with pytest.raises(ValueError, match=r"`fill` must be an integer from 3 to 4"):
        replay(Known(), slots, {}, "25rows", fill=2)


def test_a_log_without_times_says_so():
    slot = numbered([4])[0]
    del slot.arrays["time"]
    with pytest.raises(ValueError, match="`delay` must be in slots or rows where the log has no"):
        list(iter_prequential([slot], [Arm("a", Known())], "1s", progress=False))


def test_what_cannot_be_divided_says_so_and_is_not_asked_to_where_slots_come_whole():
    class Opaque:
        def predict(self, served):
            return served["probability"], "a text"

        def observe(self, served, labels, kept):
            assert kept == "a text"

    slots = numbered([6, 6, 6])
    arms = [Arm("a", Known(), Opaque())]
    list(iter_prequential(slots, arms, 1, progress=False))
    with pytest.raises(ValueError, match="must be arrays, or have"):
        list(iter_prequential(slots, arms, "3rows", progress=False))


def test_a_drained_stream_has_learnt_every_row_once():
    for delay in ("9rows", "2s", 1):
        base = Recorder()
        list(
            iter_prequential(
                numbered([7, 5, 9]), [Arm("a", base)], delay, progress=False, drain=True
            )
        )
        assert sorted(row for row, _ in base.learnt) == list(range(21))
    pending = Pending(Delay.of(2))
    assert pending.rest() == [] and pending.arrived() == []


def test_parts_of_what_was_served_are_spent_by_themselves():
    served = Served(corrected=np.arange(6.0), means=np.zeros((6, 2)))
    first, rest = served.part(slice(0, 2)), served.part(np.array([5, 3, 4, 2]))
    assert np.shares_memory(first["means"], served["means"]) and rest["corrected"].tolist()[0] == 5
    nested, twin = rest.part(slice(1, 2)), copy.deepcopy(rest)
    nested.spend()
    assert nested.spent and rest.spent and served.spent and twin.spent and not first.spent
    assert not rest.part(np.array([0])).spent and not rest.again().spent
    whole = Served(corrected=np.arange(3.0))
    one = whole.part(slice(0, 1))
    whole.spend()
    assert one.spent and whole.part(slice(1, 2)).spent
    with pytest.raises(ValueError, match="Received: str"):
        divided(["text"], slice(0, 1))

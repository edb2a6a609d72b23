"""Clicks that come after the window: wait, assume negatives, or assume and retract."""

import json

import numpy as np
import pytest
from delay_oracle import numbered
from test_core_study import SMALL, Base
from test_delay import ARMS, Known, Trained, parts

from data_scripts import prepare, synthetic
from reloop2_keras.core.arms import Arm, Gated
from reloop2_keras.core.curve import Curve, delay_curve, late_curve
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.late_clicks import WAYS, LateClicks
from reloop2_keras.core.late_rows import LateRows
from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.pending import Pending
from reloop2_keras.core.prequential import iter_prequential

SLOTS = [20, 12, 30, 8, 20, 25]


def stream(seed=0):
    times = np.sort(np.random.default_rng(seed).integers(0, 24, sum(SLOTS)))
    return numbered(SLOTS, times, seed)


def test_who_is_late_and_by_how_much():
    late = LateClicks(0.3, "1h", seed=5)
    labels = np.random.default_rng(0).integers(0, 2, 20_000)
    times = late.lateness(3, labels)
    found = np.isfinite(times)
    assert not found[labels == 0].any() and found[labels == 1].mean() == pytest.approx(
        0.3, abs=0.02
    )
    assert 0 <= times[found].min() and times[found].max() <= 3600
    # an exponential distribution of mean 1200, cut at 3 means
    assert np.median(times[found]) == pytest.approx(
        1200 * -np.log(1 - 0.5 * (1 - np.exp(-3))), rel=0.06
    )
    np.testing.assert_array_equal(times, LateClicks(0.3, "1h", "wait", 5).lateness(3, labels))
    assert not np.array_equal(times, late.lateness(4, labels))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": 0}, "`share`"),
        ({"share": 1.5}, "`share`"),
        ({"longest": "0s"}, "`longest` must be > 0"),
        ({"longest": "soon"}, "`longest` must be a number of slots"),
        ({"way": "hope"}, "`way`"),
        ({"seed": -1}, "`seed`"),
    ],
)
def test_what_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        LateClicks(**{"share": 0.3, "longest": 2, **given})
    with pytest.raises(ValueError, match="`longest` must be in rows"):
        Pending(Delay.of("3rows"), LateClicks(0.3, "1h"))


class Recorder(Known):
    learns_from = ("row", "label")

    def __init__(self):
        self.learnt, self.before = [], []

    def serve(self, arrays):
        self.before.append(list(self.learnt))
        return super().serve(arrays)

    def observe(self, arrays):
        self.learnt += zip(arrays["row"].tolist(), arrays["label"].tolist(), strict=True)


@pytest.mark.parametrize(("window", "longest"), [(1, 2), ("9rows", "20rows"), ("2s", "5s")])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_known_when_by_brute_force(window, longest, way):
    slots, base = stream(), Recorder()
    late = LateClicks(0.6, longest, way)
    list(iter_prequential(slots, [Arm("a", base)], window, progress=False, late=late))
    window, seen = Delay.of(window), 0
    first, again = [], []
    for n, slot in enumerate(slots):
        after = late.lateness(n, slot.arrays["label"])
        for i, row in enumerate(slot.arrays["row"].tolist()):
            clock = {"slots": n + 1, "rows": row, "seconds": slot.arrays["time"][i]}[window.unit]
            true, due = int(slot.arrays["label"][i]), clock + window.amount
            if way == "wait":
                first.append((due + late.longest.amount, row, true))
            else:
                first.append((due, row, 0 if np.isfinite(after[i]) else true))
                if way == "retract" and np.isfinite(after[i]):
                    again.append((due + after[i], row, true))
    assert len(again) > 10 or way != "retract"
    so_far = []
    for t, slot in enumerate(slots):
        now = {"slots": t, "rows": seen, "seconds": slot.arrays["time"][0]}[window.unit]
        for events in (first, again):
            due = sorted(e for e in events if e[0] <= now and e[1] < seen)
            so_far = so_far + [(row, label) for _, row, label in due]
            events[:] = [e for e in events if e not in due]
        assert base.before[t] == so_far
        seen += len(slot.arrays["row"])


def run(name, late, delay=1, drain=False):
    arm = Arm(name, *parts(name))
    events = iter_prequential(stream(), [arm], delay, progress=False, drain=drain, late=late)
    return arm, np.concatenate([event["predictions"][name] for event in events])


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_takes_late_clicks(name):
    if name.startswith("vw"):
        pytest.importorskip("vowpalwabbit")
    late = {way: run(name, LateClicks(0.6, 2, way))[1] for way in WAYS}
    assert not np.array_equal(late["assume"], late["retract"]) or name == "shuffled"
    np.testing.assert_array_equal(late["wait"], run(name, None, delay=3)[1])


def test_when_all_clicks_are_there_the_sums_are_those_of_true_labels():
    for memory in ("feature", "decay"):
        slow, fast = parts(memory)
        # with `residual="corrected"` what a row adds depends on the gate of its time
        fast = Gated([(FeatureMemory(8), "feature_hashes")]) if memory == "feature" else fast
        sums = {}
        for name, late in (("late", LateClicks(0.6, "9rows")), ("true", None)):
            part = Gated([(fast.memories[0].copy(), "feature_hashes")])
            arms = [Arm("a", slow, part)]
            list(iter_prequential(stream(), arms, "0rows", progress=False, drain=True, late=late))
            sums[name] = part.memories[0].sums
        if memory == "feature":
            np.testing.assert_allclose(sums["late"], sums["true"], atol=1e-9)
        else:  # a row that is learnt again counts from then on
            assert not np.allclose(sums["late"], sums["true"], atol=1e-3)


def test_what_cannot_retract_learns_the_click_on_top_and_controls_are_told_nothing():
    base = Trained()
    late = LateClicks(1.0, 1)
    list(iter_prequential(stream(), [Arm("a", base)], 0, progress=False, drain=True, late=late))
    labels = np.concatenate([slot.arrays["label"] for slot in stream()])
    assert base.rows == 2 + len(labels) + labels.sum()
    assert base.clicks == pytest.approx(1 + 0.9 * labels.sum())
    one, two = (run("shuffled", LateClicks(1.0, 1, way))[1] for way in ("assume", "retract"))
    np.testing.assert_array_equal(one, two)


def test_a_model_that_trains_in_batches_gets_late_clicks_among_its_next_rows():
    class InBatches(LateRows, Known):
        learns_from = ("row", "label")

        def __init__(self):
            self.batches = []

        def observe(self, arrays):
            self.batches.append(self.with_late(arrays))

    base, late = InBatches(), LateClicks(0.6, 2)
    list(iter_prequential(stream(), [Arm("a", base)], 0, progress=False, late=late))
    rows = np.concatenate([batch["row"] for batch in base.batches])
    labels = np.concatenate([batch["label"] for batch in base.batches])
    once, counts = np.unique(rows, return_counts=True)
    assert once.tolist() == list(range(90)) and counts.max() == 2  # the last slot's never came
    twice = np.isin(rows, once[counts == 2])
    assert labels[twice].sum() == (counts == 2).sum() > 5
    ends = np.cumsum([0, *SLOTS])
    for batch, first, stop in zip(base.batches, ends[:-2], ends[1:-1], strict=True):
        new = batch["row"][batch["row"] >= first]
        assert new.tolist() == list(range(first, stop))
        again = np.flatnonzero(batch["row"] < first)
        assert len(again) < 2 or np.diff(again).max() <= 2 + len(batch["row"]) // len(again)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("late") / "dataset"
    prepare(synthetic(rows=5000, users=100, items=40), out, slots=6, progress=False)
    return PreparedDataset(out)


def test_curves_of_all_arms(dataset, tmp_path):
    arms, bases = ["frozen", "feature", "incremental", "online"], []

    def make(seed):
        bases.append(seed)
        return Base()

    options = {"settings": SMALL, "progress": False}
    curve = delay_curve(dataset, make, arms, [1, 2], [0, "100rows", 1], **options)
    assert list(curve.points) == ["0 slots", "100 rows", "1 slots"] and bases == [1, 2]
    path, page = curve.save(tmp_path)
    saved = json.loads(path.read_text())
    assert saved["verdict"] == curve.sentence() and "<h1>" in page.read_text()
    assert saved["axis"] == "delay" and saved["points"] == list(curve.points)
    assert saved["arms"]["online"]["auc"] == curve.scores()["online"] and saved["seeds"] == [1, 2]
    assert len(set(saved["arms"]["frozen"]["logloss"])) == 1  # a frozen base does not care
    assert curve.table().splitlines()[0].split() == [
        "delay",
        "0",
        "slots",
        "100",
        "rows",
        "1",
        "slots",
    ]
    with pytest.raises(ValueError, match="`metric`"):
        curve.scores("accuracy")
    with pytest.raises(ValueError, match="`delays` must be distinct"):
        delay_curve(dataset, make, arms, [1], [1, "1 slot"], **options)


def test_late_clicks_of_all_arms(dataset):
    arms = ["frozen", "feature", "incremental", "online", "shuffled online"]
    options = {"settings": SMALL, "progress": False}
    curve = late_curve(dataset, lambda seed: Base(), arms, [1], 0, 0.4, 2, **options)
    assert isinstance(curve, Curve) and list(curve.points) == ["none late", *WAYS]
    assert curve.bound == "none late" and "; late clicks: " in curve.sentence()
    loss = {
        arm: dict(zip(curve.points, row, strict=True))
        for arm, row in curve.scores("logloss").items()
    }
    for arm in ("feature", "online"):
        assert loss[arm]["none late"] < loss[arm]["retract"] < loss[arm]["assume"]
    with pytest.raises(ValueError, match="`longest` must be in slots"):
        late_curve(dataset, lambda seed: pytest.fail("trained"), arms, longest="2h")

"""The prequential loop of core, without a framework: what it keeps, and its peak memory."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from stream_memory import Arm, Base, Memory
from tampering import describe

from data_scripts import prepare, synthetic
from reloop2_keras.core import arms as core_arms
from reloop2_keras.core.prequential import iter_prequential, prequential, report_of

ROOT = Path(__file__).parents[1]


class ArraySlot:
    def __init__(self, number, rows=6):
        self.arrays = {
            "feature_values": np.full((rows, 2), number, "float32"),
            "label": (np.arange(rows) + number).astype("uint8") % 2,
            "group": np.arange(rows),
        }

    def load(self):
        return self.arrays

    def unseen_share(self, arrays):
        return {"user": float(arrays["feature_values"][0, 0])}


def test_a_report_holds_the_columns_of_all_slots_in_order():
    slots, base = [ArraySlot(number, 6 + number) for number in range(4)], Base()
    report = prequential(slots, [Arm("a", base), Arm("b", base, Memory())], progress=False)
    labels = [slot.arrays["label"] for slot in slots]
    np.testing.assert_array_equal(report.labels, np.concatenate(labels))
    np.testing.assert_array_equal(report.groups, np.concatenate([s.arrays["group"] for s in slots]))
    np.testing.assert_array_equal(report.slot_of_row, np.repeat(range(4), [6, 7, 8, 9]))
    assert report.true_probability is None and report.info["delay"] == 0
    assert set(report.info["microseconds"]) == {"a", "b"}
    assert report.unseen_share["user"].tolist() == [0, 1, 2, 3]
    learnt, want = [0, 0], []
    for y in labels:
        want.append(np.full(len(y), (1 + learnt[0]) / (2 + learnt[1]), "float32"))
        learnt = [learnt[0] + int(y.sum()), learnt[1] + len(y)]
    np.testing.assert_allclose(report.predictions["b"][0], np.concatenate(want))
    with pytest.raises(ValueError, match="`slots` must hold at least one slot"):
        report_of([], [])


def test_arrays_are_handed_out_and_kept_where_a_part_does_not_say_what_it_needs():
    seen = []

    class Plain:
        def serve(self, arrays):
            return {"probability": np.full(len(arrays["label"]), 0.5), "hidden": arrays["group"]}

        def observe(self, arrays):
            seen.append(sorted(arrays))

    class Fast:
        def predict(self, served):
            return served["probability"], None

        def observe(self, served, labels, kept):
            seen.append(sorted(served))

    slots = [ArraySlot(0), ArraySlot(1)]
    for event, slot in zip(
        iter_prequential(slots, [Arm("a", Plain(), Fast())]), slots, strict=True
    ):
        assert event["arrays"] is slot.arrays
    assert seen == [["hidden", "probability"], ["feature_values", "group", "label"]]


@pytest.fixture(scope="module")
def long_stream(tmp_path_factory):
    """A dataset of 20 slots of 12,000 rows: copies of one file, as it is memory that counts."""
    out = tmp_path_factory.mktemp("long") / "out"
    prepare(synthetic(rows=30_000, users=500, items=200), out, slots=1, progress=False)

    def edit(meta):
        [slot] = meta["periods"]["slots"]
        slots = []
        for number in range(20):
            name = f"slots/{number:03d}.parquet"
            if number:
                shutil.copy(out / slot["files"][0]["name"], out / name)
            slots.append({**slot, "files": [{**slot["files"][0], "name": name}]})
        meta["periods"]["slots"] = slots

    describe(out, edit)
    return out


def peak(folder, slots):
    command = [sys.executable, str(ROOT / "tests" / "stream_memory.py"), str(folder), str(slots)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_stream_four_times_as_long_takes_no_more_memory(long_stream):
    one, four = peak(long_stream, 5), peak(long_stream, 20)
    assert (one["rows"], four["rows"]) == (60_000, 240_000)
    assert four["peak"] < 1.15 * one["peak"], (one["peak"], four["peak"])
    frameworks = {"keras", "tensorflow", "torch", "jax", "mindspore"}
    assert not frameworks & set(four["modules"])


def test_a_fast_part_may_combine_several_slow_parts():
    class Slow:
        learns_from = ("label",)

        def __init__(self, start):
            self.p, self.calls = start, 0

        def serve(self, arrays):
            self.calls += 1
            return {"probability": np.full(len(arrays["label"]), self.p, "float32")}

        def observe(self, arrays):
            self.p += 0.1

    class Mean:
        learns_from = ()

        def predict(self, served):
            p = [served["probability"], *served["probabilities"].values()]
            return np.mean(p, axis=0), None

        def observe(self, served, labels, kept):
            assert set(served) == set()

    class OneSlot:
        def load(self):
            return {"label": np.array([0, 1])}

    one, two = Slow(0.1), Slow(0.5)
    arms = [core_arms.Arm("one", one), core_arms.Arm("both", one, Mean(), {"two": two})]
    events = list(iter_prequential([OneSlot(), OneSlot()], arms, progress=False))
    np.testing.assert_allclose(events[0]["predictions"]["both"], 0.3, rtol=1e-6)
    np.testing.assert_allclose(events[1]["predictions"]["both"], 0.4, rtol=1e-6)
    assert one.calls == two.calls == 2  # each serves, and learns from, a slot once

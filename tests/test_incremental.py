"""Bases that are trained on the stream: kinds and learning rates, picked on validation."""

import numpy as np
import pytest
from rivals_rows import HeldSlot, rows_of

from reloop2_keras.core.choice import Choice
from reloop2_keras.core.framework import TrainedBase
from reloop2_keras.core.incremental import incremental_scores, trained_kinds


class Part:
    """Says the click rate of what it learnt, as far as its rate lets it."""

    learns_from = ("label",)

    def __init__(self, model, learning_rate=1e-3, keys=()):
        self.model, self.rate, self.p = model, learning_rate, 0.5

    def serve(self, arrays):
        return {"probability": np.full(len(arrays["label"]), self.p, "float32")}

    def observe(self, arrays):
        step = {0.1: 0.2, 0.3: 1.0, 0.9: 1.9}[self.rate]
        self.p = float(np.clip(self.p + step * (arrays["label"].mean() - self.p), 0.01, 0.99))


class Model:
    takes_hashes = False

    def with_hashed(self):
        return self


@pytest.fixture
def slots():
    held = [HeldSlot(rows_of(400, seed)) for seed in range(4)]
    for slot in held:  # a click rate far from where the parts start
        slot.arrays["label"][: len(slot.arrays["label"]) // 2] = 1
    return held


def scores(slots, kinds=("incremental",), **options):
    base = TrainedBase(Model(), Part, Part, **options)
    return incremental_scores(base, kinds, slots, 0, (0.1, 0.3, 0.9))


def test_the_rate_of_the_smallest_log_loss_is_picked(slots):
    rows = scores(slots, ["incremental", "incremental hashed"])
    assert [(row["candidate"], row["learning_rate"]) for row in rows] == [
        (kind, rate) for kind in ("incremental", "incremental hashed") for rate in (0.1, 0.3, 0.9)
    ]
    assert len({row["logloss"] for row in rows}) == 3
    picked = Choice({}, None, [], [], None, {}, rows).picked
    best = min(rows[:3], key=lambda row: row["logloss"])
    assert picked["incremental"] == best and best["learning_rate"] == 0.3
    assert picked["online+incremental"] == best  # of equal ones the first
    arms = Choice({}, None, [], [], None, {}, rows).arms(
        ["frozen", "incremental"], TrainedBase(Model(), Part, Part)
    )
    assert [arm.slow.rate for arm in arms] == [1e-3, 0.3]


def test_a_rate_that_is_given_is_the_only_one(slots):
    (row,) = scores(slots, learning_rate=0.9)
    assert row["learning_rate"] == 0.9
    base = TrainedBase(Model(), Part, Part, learning_rate=0.9)
    assert base.incremental((), learning_rate=0.1).rate == 0.9


def test_only_what_arms_need_is_tried(slots):
    assert trained_kinds(["frozen", "vw", "tables"], True) == []
    assert trained_kinds(["incremental+feature"], True) == ["incremental"]
    assert trained_kinds(["online+incremental"], False) == ["incremental"]
    assert scores(slots, []) == []

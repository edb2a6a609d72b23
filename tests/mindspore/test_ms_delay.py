"""Labels that come late by rows or time, and late clicks, over MindSpore's bases."""

import numpy as np
import pytest
from delay_oracle import by_hand, numbered

from mindspore_port import DeepFM, iter_prequential
from mindspore_port.config import parse
from mindspore_port.streaming import Arm, FrozenBase, Gated, IncrementalBase
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.late_clicks import WAYS, LateClicks
from reloop2_keras.core.memories import FeatureMemory
from reloop2_keras.core.online import Online
from reloop2_keras.core.online.fast_part import OnlinePart

HASHES = "feature_hashes"
MODEL = []


def base():
    """One model for all tests: each makes a copy of its weights."""
    if not MODEL:
        MODEL.append(DeepFM([5, 9], 4, (8,), initializer_stddev=0.3))
    return MODEL[0]


def parts(name):
    if name == "incremental":
        return IncrementalBase(base(), batch_size=8), None
    if name == "incremental+feature":
        return IncrementalBase(base(), batch_size=8), Gated([(FeatureMemory(8), HASHES)])
    return FrozenBase(base()), OnlinePart(Online(2, ["base"], block_rows=16))


def slots():
    times = np.sort(np.random.default_rng(1).integers(0, 20, 90))
    return numbered([20, 12, 30, 8, 20], times)


@pytest.mark.parametrize("name", ["incremental", "incremental+feature", "online"])
@pytest.mark.parametrize("delay", [1, "13rows", "4s"])
def test_every_arm_predicts_as_if_it_were_taught_by_hand(name, delay):
    events = iter_prequential(slots(), [Arm(name, *parts(name))], delay, progress=False)
    got = [event["predictions"][name] for event in events]
    for mine, theirs in zip(got, by_hand(slots(), *parts(name), delay), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["incremental", "online"])
def test_late_clicks(name):
    found = {}
    for way in WAYS:
        late = LateClicks(0.6, 2, way)
        arms = [Arm(name, *parts(name))]
        events = iter_prequential(slots(), arms, 0, progress=False, late=late)
        found[way] = np.concatenate([event["predictions"][name] for event in events])
    late = iter_prequential(slots(), [Arm(name, *parts(name))], 2, progress=False)
    late = np.concatenate([event["predictions"][name] for event in late])
    np.testing.assert_array_equal(found["wait"], late)
    assert not np.array_equal(found["assume"], found["retract"])


def test_the_command_line_takes_a_delay_in_words():
    for words, delay in ((["--delay", "2h"], "2h"), (["--delay", "1"], 1), ([], 0)):
        assert Delay.of(parse(words).delay) == Delay.of(delay)

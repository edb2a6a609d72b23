"""The verdict: which arm it is about, whom it is held against, when it does not know."""

import numpy as np
import pytest

from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.verdict import (
    _word,
    advice,
    controls_of,
    decision,
    intervals,
    recommended,
    sentence,
    warnings_of,
)


def report(scales, seeds=1, rows=6000, slots=20, seed=0):
    """Arms whose logit is scale * truth + noise: more scale is a better arm."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype("uint8")
    p = {
        arm: [
            (1 / (1 + np.exp(-scale * truth + 0.01 * rng.standard_normal(rows)))).astype("float32")
            for _ in range(seeds)
        ]
        for arm, scale in scales.items()
    }
    slot = np.arange(rows) * slots // rows
    return PrequentialReport(list(scales), list(range(seeds)), p, y, slot)


def test_the_arm_that_was_named_before_is_told_and_not_the_luckiest():
    made = report({"frozen": 0.2, "online": 0.8, "exact": 1.0, "vw": 0.5})
    assert recommended(made) == "online"
    assert recommended(report({"frozen": 0.2, "exact": 0.9, "sketch": 0.5})) == "exact"
    assert recommended(report({"frozen": 0.2, "vw": 0.9, "recalibrated": 0.5})) is None
    none = report({"frozen": 0.2, "vw": 0.9})
    assert sentence(none).startswith("nothing to deploy: no arm but")
    assert decision(none) == {"do": "nothing", "arm": None}


def test_helps_needs_all_three():
    scales = {"frozen": 0.2, "recalibrated": 0.3, "shuffled": 0.1, "vw": 0.4, "online": 1.0}
    made = report(scales, seeds=2)
    found = intervals(made, "online")
    assert [part["over"] for part in found.values()] == ["frozen", "recalibrated", "vw"]
    for part in found.values():
        mean, low, high = part["auc"]
        assert low <= mean <= high
        assert part["logloss"][2] < 0
    told = sentence(made)
    assert told.startswith("deploy: online. It is better than frozen: AUC +")
    assert told.endswith("(2 seeds)") and "better than its best rival, vw: " in told
    assert "better than its best control, recalibrated: " in told
    assert decision(made) == {"do": "deploy", "arm": "online"}
    same = report({"frozen": 0.5, "online": 0.5}, rows=400)
    told = sentence(same)
    assert told.startswith("not known yet: give it more slots or seeds. online is not known to")
    assert "no control and no rival was run" in told and "deploy" not in told
    assert decision(same) == {"do": "wait", "arm": None}


def test_training_the_base_on_is_a_rival_and_may_be_a_part():
    """Where it beats `online` over a frozen base, the arm that has both is what can be deployed."""
    scales = {"frozen": 0.2, "recalibrated": 0.2, "incremental": 0.5, "incremental hashed": 0.6}
    scales["online"] = 0.9
    made = report({**scales, "online+incremental": 1.0}, seeds=2)
    assert decision(made) == {"do": "deploy", "arm": "online"}
    assert intervals(made, "online")["rival"]["over"] == "incremental hashed"
    ahead = {**scales, "incremental": 0.95}
    both = report({**ahead, "online+incremental": 1.1}, seeds=2, rows=20_000)
    assert recommended(both) == "online+incremental"
    alone = report({**ahead, "online": 0.3}, seeds=2)
    assert sentence(alone).startswith("deploy: incremental, a rival. online is better than frozen")
    assert recommended(report({"frozen": 0.2, "incremental": 0.9})) == "incremental"


@pytest.mark.parametrize(
    ("scales", "do", "arm", "start", "reason"),
    [
        (
            {"vw": 1.0, "recalibrated": 0.2, "online": 0.3},
            "deploy",
            "vw",
            "deploy: vw, a rival. online is ",
            "its best",
        ),
        # below a control: what serves today goes on, recalibrated where that scores better
        (
            {"shuffled": 1.0, "online": 0.5},
            "keep",
            "frozen",
            "the memory does not help: keep frozen. online is better than frozen",
            "below its best control, shuffled: ",
        ),
        (
            {"recalibrated": 1.0, "online": 0.5},
            "keep",
            "recalibrated",
            "the memory does not help: keep recalibrated. ",
            "below its best control, recalibrated: ",
        ),
        # below both the base and a rival that is worse than the base: the rival is no advice
        (
            {"frozen": 1.0, "vw": 0.8, "online": 0.3},
            "keep",
            "frozen",
            "the memory does not help: keep frozen. ",
            "below its best rival, vw: ",
        ),
    ],
)
def test_what_to_do_where_the_arm_is_below(scales, do, arm, start, reason):
    made = report({"frozen": 0.2, **scales}, seeds=2)
    assert decision(made) == {"do": do, "arm": arm}
    assert sentence(made).startswith(start) and reason in sentence(made)


def test_an_auc_below_decides_where_the_log_loss_is_not_known():
    part = {"logloss": (0.008, -0.006, 0.021), "auc": (-0.018, -0.029, -0.007)}
    assert _word(part) == "below"
    assert _word({**part, "logloss": (-0.02, -0.03, -0.01)}) == "better than"
    assert _word({"logloss": (0.0, -1.0, 1.0), "auc": (float("nan"),) * 3}).startswith("not known")


def test_without_a_control_nothing_is_deployed():
    """What is gained over frozen may be the level of the click rate alone."""
    told = "not known: no control was run; add recalibrated or shuffled online"
    for scales in ({"online": 0.9}, {"vw": 0.5, "online": 0.9}, {"vw": 1.0, "online": 0.3}):
        made = report({"frozen": 0.2, **scales}, seeds=2)
        assert decision(made) == {"do": "wait", "arm": None, "lacks": "control"}
        assert advice(decision(made)) == told
        assert sentence(made).startswith(f"{told}. online is better than frozen: AUC ")
        assert made.to_metrics()["decision"]["lacks"] == "control"
    made = report({"frozen": 0.2, "shuffled online": 0.2, "online": 0.9})
    assert decision(made) == {"do": "deploy", "arm": "online"}
    assert sentence(made).endswith("; no rival was run (1 seed)")


def test_the_metric_is_named_where_log_loss_does_not_tell():
    made = report({"frozen": 0.2, "recalibrated": 0.2, "online": 0.9})
    found = intervals(made, "online")
    found["frozen"] |= {"logloss": (-0.01, -0.03, 0.01), "auc": (0.2, 0.1, 0.3)}
    told = sentence(made, found)
    assert "It is better by AUC than frozen, log loss not known to differ: AUC +.200 [" in told
    assert "; better than its best control, recalibrated: AUC " in told
    found["control"] |= {"logloss": (0.0, -0.01, 0.01), "auc": (-0.2, -0.3, -0.1)}
    told = sentence(made, found)
    assert "; below by AUC its best control, recalibrated, log loss not known to differ: " in told


def test_a_base_below_chance_and_controls_that_gain_are_warned_of():
    usual = {"frozen": 0.2, "recalibrated": 0.2, "shuffled online": 0.1, "online": 0.9}
    assert warnings_of(report(usual)) == []
    made = report({**usual, "frozen": -0.5})
    below, gains, *others = warnings_of(made)
    assert not others  # recalibrated may gain: it turns a base round
    assert below.startswith("frozen ranks worse than chance: AUC - .5 = -.2")
    assert gains.startswith("labels of other rows help: shuffled online gains AUC +.")
    assert sentence(made).endswith(f"(1 seed). {below}. {gains}")
    assert warnings_of(report({**usual, "frozen": -0.5}, slots=1)) == []
    made = (report({"frozen": 0.0, "online": 0.5}, rows=400, seed=seed) for seed in range(20))
    noise = next(one for one in made if 0.48 < one.scores()["frozen"]["auc"] < 0.5)
    assert warnings_of(noise) == []


def test_one_slot_has_no_spread():
    told = sentence(report({"frozen": 0.2, "online": 0.8}, slots=1))
    assert told.startswith("not known yet") and "one slot" in told


@pytest.mark.parametrize(
    ("arms", "controls"),
    [
        (["frozen", "recalibrated", "shuffled online"], ["recalibrated", "shuffled online"]),
        (["frozen"], []),
    ],
)
def test_controls(arms, controls):
    assert controls_of(arms) == controls

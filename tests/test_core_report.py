"""The report of core: plain tables and verdict, on a hand-made stream."""

import json

import numpy as np
import pytest

from reloop2_keras.core import report as core_report
from reloop2_keras.core.report import PrequentialReport


def report(seed=1, arms=None, groups=(7, 7, 8, 8, 9, 9)):
    good = np.array([0.1, 0.9, 0.2, 0.8, 0.7, 0.9], "float32")
    arms = arms or {"frozen": np.full(6, 0.5, "float32"), "exact": good}
    return PrequentialReport(
        arms=list(arms),
        seeds=[seed],
        predictions={arm: [p] for arm, p in arms.items()},
        labels=np.array([0, 1, 0, 1, 1, 1], "uint8"),
        slot_of_row=np.array([0, 0, 1, 1, 2, 2], "int32"),
        groups=None if groups is None else np.array(groups),
        true_probability=good,
        unseen_share=None,
        info={"dataset": "hand"},
    )


def test_verdict_takes_the_best_control_seed_by_seed():
    good, flat = report().predictions["exact"][0], np.full(6, 0.5, "float32")
    arms = {"frozen": flat, "shuffled": good, "exact": good, "sketch": 1 - good}
    both = PrequentialReport.concat([report(n, arms) for n in (1, 2)])
    table = both.verdict()
    assert list(table) == ["exact", "sketch"]
    assert table["exact"]["auc"] == "no different"  # a control is as good
    assert {table["sketch"][metric] for metric in ("auc", "logloss")} == {"below its control"}
    only = both.verdict(controls=["frozen"])
    assert only["exact"]["auc"] == "helps" and only["exact"]["gauc"] == "helps"
    assert report(groups=None).verdict()["exact"]["gauc"] == "unknown"
    with pytest.raises(ValueError, match="`controls`"):
        report().verdict(controls=["none"])


def test_spreads_are_those_of_auc_gauc_and_logloss():
    good, flat = report().predictions["exact"][0], np.full(6, 0.5, "float32")
    both = PrequentialReport.concat([report(1), report(2, {"frozen": flat, "exact": 1 - good})])
    row = both.overall()["exact"]
    assert row["auc"] == 0.5 and row["auc_sd"] == pytest.approx(np.std([1, 0], ddof=1))
    assert row["gauc_sd"] == pytest.approx(np.std([1, 0], ddof=1)) and row["logloss_sd"] > 0
    assert both.overall()["best possible"]["gauc_sd"] == 0.0
    one = report().to_metrics()
    assert one["arms"]["exact"]["gauc_sd"] is None  # one seed says nothing about the spread
    assert json.loads(json.dumps(one, allow_nan=False)) == one


def test_each_score_is_computed_once(monkeypatch, tmp_path):
    calls, evaluate = [], core_report.evaluate

    def counted(*arguments):
        calls.append(len(arguments[0]))
        return evaluate(*arguments)

    monkeypatch.setattr(core_report, "evaluate", counted)
    two = PrequentialReport.concat([report(1), report(2)])
    two.save(tmp_path)
    two.overall(), two.verdict(), two.table()
    for metric in ("auc", "gauc", "logloss"):
        two.per_slot(metric)
    # 2 arms, 2 seeds: the stream of 6 rows once, each of 3 slots of 2 rows once; and the best
    assert sorted(calls) == [2] * 12 + [6] * 5


def test_a_table_without_groups_or_frozen_says_so_by_a_dash():
    p = np.float32([0.1, 0.4, 0.3, 0.2])
    shared = {"b": [p]}, np.array([0, 1, 1, 0]), np.zeros(4, "int32")
    line = PrequentialReport(["b"], [1], *shared).table().splitlines()[1].split()
    assert line == ["b", "1.0000", "-", "-", "-", line[5], line[6], "-"] and "nan" not in line
    line = PrequentialReport(["b"], [1], *shared, groups=np.zeros(4)).table().splitlines()[1]
    assert line.split()[3:5] == ["1.0000", "1.0000"]

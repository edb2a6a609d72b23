"""The report's tables, JSON and figures, on a hand-made stream."""

import json

import numpy as np
import pytest

from reloop2_keras.streaming import figures
from reloop2_keras.streaming.report import PrequentialReport

pytestmark = pytest.mark.backend


def report(seed=1, **changes):
    labels = np.array([0, 1, 0, 1, 1, 1], "uint8")
    good = np.array([0.1, 0.9, 0.2, 0.8, 0.7, 0.9], "float32")
    flat = np.full(6, 0.5, "float32")
    fields = {
        "arms": ["frozen", "exact"],
        "seeds": [seed],
        "predictions": {"frozen": [flat], "exact": [good]},
        "labels": labels,
        "slot_of_row": np.array([0, 0, 1, 1, 2, 2], "int32"),
        "groups": np.array([7, 7, 8, 8, 9, 9]),
        "true_probability": good,
        "unseen_share": {"user": np.array([0.0, 0.5, 1.0])},
        "info": {
            "dataset": "hand",
            "backend": "none",
            "versions": {},
            "picked": [{"x": float("nan")}],
        },
    }
    return PrequentialReport(**{**fields, **changes})


def test_overall_by_hand():
    table = report().overall()
    assert table.loc["frozen", "auc"] == 0.5 and table.loc["exact", "auc"] == 1.0
    assert table.loc["exact", "auc_gain"] == 0.5
    assert table.loc["exact", "gauc"] == 1.0  # the user with one class only is skipped
    assert table.loc["frozen", "ctr_bias"] == 0.75
    assert table.loc["frozen", "logloss"] == pytest.approx(np.log(2))
    assert table.loc["best possible", "auc"] == 1.0
    assert np.isnan(table.loc["exact", "auc_sd"])  # one seed


def test_per_slot_and_json():
    per_slot = report().per_slot("auc")
    assert list(per_slot["exact"][:2]) == [1.0, 1.0] and np.isnan(per_slot["exact"][2])
    metrics = report().to_metrics()
    assert metrics["slots"]["exact"]["auc"] == [1.0, 1.0, None]
    assert set(metrics["arms"]["frozen"]) >= {"auc", "gauc", "logloss", "ece", "auc_sd"}
    assert metrics["info"]["picked"] == [{"x": None}]
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_concat_takes_mean_and_sd():
    other = report(
        2, predictions={"frozen": [np.full(6, 0.5)], "exact": [1 - report().labels * 1.0]}
    )
    both = PrequentialReport.concat([report(1), other])
    table = both.overall()
    assert both.seeds == [1, 2]
    assert table.loc["exact", "auc"] == 0.5
    assert table.loc["exact", "auc_sd"] == pytest.approx(np.std([1, 0], ddof=1))
    with pytest.raises(ValueError, match="same stream"):
        PrequentialReport.concat([report(), report(labels=np.ones(6, "uint8"))])


def test_verdict_takes_the_best_control_seed_by_seed():
    labels = report().labels
    good, flat = report().predictions["exact"][0], np.full(6, 0.5, "float32")
    arms = {"frozen": flat, "shuffled": good, "exact": good, "sketch": 1 - good}
    runs = [
        report(n, arms=list(arms), predictions={a: [p] for a, p in arms.items()}) for n in (1, 2)
    ]
    table = PrequentialReport.concat(runs).verdict()
    assert list(table.index) == ["exact", "sketch"]
    assert table.loc["exact", "auc"] == "no different"  # a control is as good
    assert set(table.loc["sketch", ["auc", "logloss"]]) == {"below its control"}
    only = PrequentialReport.concat(runs).verdict(controls=["frozen"])
    assert only.loc["exact", "auc"] == "helps" and only.loc["exact", "gauc"] == "helps"
    single = report(groups=None).verdict()
    assert single.loc["exact", "gauc"] == "unknown" and len(labels) == 6
    with pytest.raises(ValueError, match="`controls`"):
        report().verdict(controls=["none"])


def test_save_writes_json_and_figures(tmp_path):
    paths = report().save(tmp_path / "out")
    names = {path.name for path in paths}
    page = {"metrics.json", "report.html"}
    assert page | {"gain_per_slot.png", "drift.png", "calibration.png"} <= names
    assert {p.name for p in (tmp_path / "out").iterdir()} == names
    assert all(path.stat().st_size < 60_000 for path in paths if path.suffix == ".png")


def test_figures_say_what_they_show():
    ax = figures.gain_per_slot(report()).axes[0]
    line = ax.get_lines()[0]
    assert line.get_label() == "exact"
    np.testing.assert_allclose(line.get_ydata()[:2], [0.5, 0.5])
    assert "AUC" in ax.get_ylabel() and ax.get_xlabel()
    left, right = figures.drift(report()).axes
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), [0.5, 0.5, 1.0])
    np.testing.assert_allclose(right.get_lines()[0].get_ydata(), [0.0, 0.5, 1.0])
    # log loss: up is better, so the sign turns
    ax = figures.gain_per_slot(report(), "logloss").axes[0]
    assert ax.get_lines()[0].get_ydata()[0] > 0
    with pytest.raises(ValueError, match="`over`"):
        figures.gain_per_slot(report(), over="none")


def test_what_lies_far_below_does_not_press_the_others_together():
    labels = np.array([0, 1] * 3, "uint8")
    slot = np.array([0, 0, 1, 1, 2, 2], "int32")
    right = np.where(labels == 1, 0.9, 0.1).astype("float32")
    arms = {"frozen": np.full(6, 0.5), "online": right, "vw": 1 - right}
    found = report(arms=list(arms), predictions={a: [p] for a, p in arms.items()}, labels=labels,
                   slot_of_row=slot)  # fmt: skip
    ax = figures.gain_per_slot(found).axes[0]  # +.5 and -.5: as far below as above
    assert ax.get_ylim()[0] < -0.5 and {text.get_text() for text in ax.texts} == {"online", "vw"}
    ax = figures.gain_per_slot(found, "logloss").axes[0]  # +.59 and -1.61
    low, high = ax.get_ylim()
    assert -0.7 < low < 0 < 0.58 < high
    assert {text.get_text() for text in ax.texts} == {"online", "vw ↓"}

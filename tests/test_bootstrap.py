"""Paired intervals over slots: what they are made of, and how often they hold the truth."""

import numpy as np
import pytest

from reloop2_keras.core import metrics
from reloop2_keras.core.bootstrap import block_length, interval_of_slots, paired_interval
from reloop2_keras.core.influence import INFLUENCED, influence
from reloop2_keras.core.report import PrequentialReport


def simulated(rng, slots=20, rows=40, users=30):
    """Labels, groups, slot of row, and two arms' predictions with ties, the first one better."""
    n = slots * rows
    groups = rng.integers(users, size=n)
    day = np.repeat(rng.normal(scale=0.4, size=slots), rows)
    signal = rng.normal(size=n)
    labels = (rng.random(n) < 1 / (1 + np.exp(-signal - day))).astype("uint8")
    good = np.round(1 / (1 + np.exp(-signal)), 2)
    poor = np.round(1 / (1 + np.exp(-0.6 * signal - rng.normal(scale=0.8, size=n))), 2)
    return labels, groups, np.repeat(np.arange(slots), rows), good, poor


def report_of(rng, runs=1, **sizes):
    labels, groups, slot, good, poor = simulated(rng, **sizes)
    wobbly = [np.clip(good + rng.normal(scale=0.02, size=len(good)), 0, 1) for _ in range(runs)]
    predictions = {"good": wobbly, "poor": [poor] * runs, "twin": [p.copy() for p in wobbly]}
    names, seeds = ["good", "poor", "twin"], list(range(runs))
    return PrequentialReport(names, seeds, predictions, labels, slot, groups)


def weighted(metric, y, p, groups, w):
    """A metric of weighted rows, pair by pair."""
    if metric == "logloss":
        return -(w * np.where(y == 1, np.log(p), np.log(1 - p))).sum() / w.sum()
    total, rows = 0.0, 0.0
    for group in [None] if metric == "auc" else np.unique(groups):
        here = np.ones(len(y), bool) if group is None else groups == group
        one, zero = here & (y == 1), here & (y == 0)
        if one.any() and zero.any():
            won = (p[one][:, None] > p[zero]) + 0.5 * (p[one][:, None] == p[zero])
            area = w[one] @ won @ w[zero] / (w[one].sum() * w[zero].sum())
            total, rows = total + area * w[here].sum(), rows + w[here].sum()
    return total / rows


@pytest.mark.parametrize("metric", INFLUENCED)
def test_influence_is_the_derivative_by_a_rows_weight(metric):
    rng = np.random.default_rng(3)
    n = 60
    y, groups = rng.integers(2, size=n), rng.integers(12, size=n)
    p = np.round(rng.uniform(0.05, 0.95, n), 1)
    value, rows = influence(metric, y, p, groups)
    arguments = (y, p, groups) if metric == "gauc" else (y, p)
    assert value == pytest.approx(getattr(metrics, metric)(*arguments), abs=1e-12)
    assert abs(rows.sum()) < 1e-12
    for row in range(n):
        w = np.ones(n)
        up, down = w.copy(), w.copy()
        up[row], down[row] = 1 + 1e-5, 1 - 1e-5
        ends = [weighted(metric, y, p, groups, x) for x in (up, down)]
        assert rows[row] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-8)


def test_influence_of_one_class_is_not_known():
    for metric in ("auc", "gauc"):
        value, rows = influence(metric, [1, 1], [0.2, 0.3], [0, 0])
        assert np.isnan(value) and np.isnan(rows).all()


@pytest.mark.parametrize("metric", INFLUENCED)
def test_interval_is_that_of_slots_drawn_and_scored_anew(metric):
    rng = np.random.default_rng(5)
    report = report_of(rng, slots=60)
    mean, low, high = paired_interval(report, "good", "poor", metric, block=1, draws=4000)
    by_slot = [np.flatnonzero(report.slot_of_row == slot) for slot in range(60)]
    drawn = []
    for _ in range(300):
        rows = np.concatenate([by_slot[i] for i in rng.integers(60, size=60)])
        scores = [
            metrics.evaluate(report.labels[rows], report.predictions[arm][0][rows], groups)[metric]
            for arm, groups in (("good", report.groups[rows]), ("poor", report.groups[rows]))
        ]
        drawn.append(scores[0] - scores[1])
    overall = report.overall()
    assert mean == pytest.approx(overall["good"][metric] - overall["poor"][metric], abs=1e-12)
    # 300 draws know their own spread to 4 %, and gAUC's small groups are not quite linear
    assert (high - low) / (2 * 1.96) == pytest.approx(np.std(drawn), rel=0.2)
    assert (low + high) / 2 == pytest.approx(mean, abs=np.std(drawn) / 4)


def series(rng, slots, memory):
    shocks, values = rng.normal(size=slots + 40), [0.0]
    for shock in shocks:
        values.append(memory * values[-1] + shock)
    return np.array(values[-slots:])


@pytest.mark.parametrize(
    ("slots", "memory", "least"), [(10, 0, 0.92), (20, 0, 0.92), (20, 0.3, 0.88), (146, 0.5, 0.89)]
)
def test_coverage_of_slots(slots, memory, least):
    rng = np.random.default_rng(11)
    runs = 600  # a share of .95 has a standard error of .009
    held = 0
    for _ in range(runs):
        mean, low, high = interval_of_slots(series(rng, slots, memory), draws=400)
        assert low <= mean <= high
        held += low <= 0 <= high
    assert least <= held / runs <= 0.98


def test_rows_taken_for_independent_would_be_too_sure_of_slots_that_are_alike():
    rng = np.random.default_rng(12)
    held = [low <= 0 <= high for low, high in _ends(rng, block=1)]
    better = [low <= 0 <= high for low, high in _ends(rng, block=None)]
    assert np.mean(held) < 0.75 < 0.87 < np.mean(better)


def _ends(rng, block):
    for _ in range(300):
        yield interval_of_slots(series(rng, 146, 0.6), block=block, draws=400)[1:]


@pytest.mark.parametrize("metric", ["auc", "gauc", "logloss"])
def test_coverage_of_arms_without_a_difference(metric):
    rng = np.random.default_rng(13)
    held = 0
    for _ in range(200):
        labels, groups, slot, good, _ = simulated(rng, slots=20, rows=30)
        noisy = [np.clip(good + rng.normal(scale=0.1, size=len(good)), 0.01, 0.99) for _ in "ab"]
        arms = {"a": noisy[:1], "b": noisy[1:]}
        report = PrequentialReport(["a", "b"], [1], arms, labels, slot, groups)
        _, low, high = paired_interval(report, "a", "b", metric, draws=400)
        held += low <= 0 <= high
    assert 0.9 <= held / 200 <= 0.995


@pytest.mark.parametrize("metric", INFLUENCED)
def test_signs_twins_and_seeds(metric):
    report = report_of(np.random.default_rng(7), runs=3)
    mean, low, high = paired_interval(report, "good", "poor", metric)
    gain = -1 if metric == "logloss" else 1
    assert gain * mean > 0 and low * high > 0
    assert paired_interval(report, "good", "poor", metric) == (mean, low, high)
    assert paired_interval(report, "good", "poor", metric, seed=2) != (mean, low, high)
    back = paired_interval(report, "poor", "good", metric)
    assert back[0] == -mean
    assert paired_interval(report, "good", "twin", metric) == (0.0, 0.0, 0.0)
    narrow = paired_interval(report, "good", "poor", metric, level=0.5)
    assert low < narrow[1] < narrow[2] < high


def test_the_spread_of_seeds_widens_the_interval():
    slots = np.tile([0.01, 0.02, 0.03, 0.02], 5)
    alike = interval_of_slots([slots, slots, slots])
    spread = interval_of_slots([slots - 0.01, slots, slots + 0.01])
    assert alike[0] == pytest.approx(spread[0], abs=1e-15)
    assert spread[2] - spread[1] > 3 * (alike[2] - alike[1])
    # three seeds alone would give 4.3 standard errors of their mean on either side
    assert (spread[2] - spread[1]) / 2 < 4.4 * 0.01 / np.sqrt(3) * 1.5


def test_weights_of_slots():
    slots = [0.0, 1.0, 0.0, 1.0]
    assert interval_of_slots(slots, [1, 3, 1, 3])[0] == pytest.approx(0.75)
    assert interval_of_slots(slots, [1, 0, 1, 0]) == (0.0, 0.0, 0.0)


def test_blocks():
    rng = np.random.default_rng(17)
    assert block_length(rng.normal(size=146)) <= 10
    assert block_length(series(rng, 500, 0.9)) > 15
    assert block_length([1.0, 2.0]) == 1


def test_one_class_is_not_known():
    p = {"a": [np.full(4, 0.5)], "b": [np.full(4, 0.4)]}
    report = PrequentialReport(["a", "b"], [1], p, np.ones(4, "uint8"), np.arange(4))
    assert np.isnan(paired_interval(report, "a", "b", "auc")).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"arm": "x"}, "`arm`"),
        ({"over": "x"}, "`over`"),
        ({"metric": "ece"}, "`metric`"),
        ({"level": 1.0}, "`level`"),
        ({"block": 0}, "`block`"),
        ({"block": 21}, "`block`"),
        ({"draws": 0}, "`draws`"),
    ],
)
def test_what_is_refused(options, said):
    report = report_of(np.random.default_rng(1))
    with pytest.raises(ValueError, match=said):
        paired_interval(report, **({"arm": "good", "over": "poor", "metric": "auc"} | options))


def test_what_else_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        interval_of_slots([0.1])
    with pytest.raises(ValueError, match="`weights`"):
        interval_of_slots([0.1, 0.2], [1])
    with pytest.raises(ValueError, match="`groups`"):
        influence("gauc", [0, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="`groups`"):
        influence("gauc", [0, 1], [0.1, 0.2], [1])

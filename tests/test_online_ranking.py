"""The score that ranks rows of one group, crosses in files, and coarser bins of numbers."""

import json

import numpy as np
import polars as pl
import pytest

from data_scripts.bins import bin_texts
from reloop2_keras.core.hashing import hash_text
from reloop2_keras.core.metrics import auc, gauc
from reloop2_keras.core.online import Crosses, Online, with_coarser_bins
from reloop2_keras.core.online.belief_bank import Cells
from reloop2_keras.core.online.fast_part import OnlinePart, StartedTables
from reloop2_keras.core.report import PrequentialReport

USERS, ROWS, SLOT = 400, 8000, 250


def users_log(seed=0, by_item=0.0):
    """Clicks by the user alone, or by the item as well; rows of a user lie all over the stream."""
    rng = np.random.default_rng(seed)
    hashes = np.stack([rng.integers(0, USERS, ROWS), rng.integers(0, 30, ROWS)], 1).astype("int32")
    z = rng.normal(0.0, 1.5, USERS)[hashes[:, 0]] + by_item * rng.normal(0, 1, 30)[hashes[:, 1]]
    return hashes, (rng.random(ROWS) < 1 / (1 + np.exp(-z))).astype("float64")


def streamed(online, hashes, labels, slot=SLOT):
    shown, ranked = [], []
    for first in range(0, len(labels), slot):
        part = slice(first, first + slot)
        served = online.predict(hashes[part])
        shown.append(served["corrected"])
        ranked.append(served.get("ranking", served["corrected"]))
        online.learn(served, labels[part])
    return np.concatenate(shown).astype(float), np.concatenate(ranked).astype(float)


def pairs_won(labels, scores, groups):
    """gAUC by all pairs of all groups, one by one."""
    total = rows = 0.0
    for group in np.unique(groups):
        y, s = labels[groups == group], scores[groups == group]
        pairs = [(a, b) for a in s[y == 1] for b in s[y == 0]]
        if pairs:
            total += len(y) * np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs])
            rows += len(y)
    return total / rows


def squashed(scores):
    return 1 / (1 + np.exp(-scores))


def test_a_learnt_level_ranks_against_the_truth_and_the_ranking_does_not():
    hashes, labels = users_log()
    shown, ranked = streamed(Online(2, crosses=[], bits=10, rank_within=0), hashes, labels)
    user, slot = hashes[:, 0].astype("int64"), np.arange(ROWS) // SLOT
    late = slice(ROWS // 4, None)
    assert auc(labels[late], shown[late]) > 0.65  # users differ, and it knows
    # No order within a user is better than another here.
    assert gauc(labels, shown, user) < 0.42
    assert abs(gauc(labels, squashed(ranked), user) - 0.5) < 0.02
    assert abs(gauc(labels, shown, user * 1000 + slot) - 0.5) < 0.04
    brute = pairs_won(labels, ranked, user)
    np.testing.assert_allclose(gauc(labels, squashed(ranked), user), brute, atol=1e-9)


def test_it_ranks_better_where_there_is_something_to_rank():
    hashes, labels = users_log(1, by_item=1.0)
    shown, ranked = streamed(Online(2, crosses=[], bits=10, rank_within=0), hashes, labels)
    user = hashes[:, 0].astype("int64")
    assert pairs_won(labels, ranked, user) > 0.03 + pairs_won(labels, shown, user)


def test_within_one_group_at_one_time_it_is_the_order_of_the_probabilities():
    hashes, labels = users_log(2, by_item=1.0)
    online = Online(2, crosses=[[0, 1]], bits=10, rank_within=0)
    plain = Online(2, crosses=[[0, 1]], bits=10)
    for one in (online, plain):
        streamed(one, hashes[:4000], labels[:4000])
    items = np.arange(30, dtype="int32")
    for user in range(20):
        rows = np.stack([np.full(30, user, "int32"), items], 1)
        served = online.predict(rows)
        np.testing.assert_array_equal(
            served["corrected"], plain.predict(rows)["corrected"]
        )  # what is shown does not change
        z = np.log(served["corrected"].astype(float) / (1 - served["corrected"].astype(float)))
        gap = z - served["ranking"]
        np.testing.assert_allclose(gap, gap[0], atol=1e-5)
    before = {k: v.copy() for k, v in plain.state().items()}
    for name, array in online.state().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_level_is_what_the_groups_tables_add():
    hashes, labels = users_log(3, by_item=1.0)
    online = Online(2, crosses=[[0, 1]], bits=10, rank_within=0)
    streamed(online, hashes[:4000], labels[:4000])
    served = online.predict(hashes[4000:4100])
    carried = online.stage.carried()
    level = np.zeros(100)
    for row in range(100):
        for a, gate in enumerate(online.arms.gates):
            level[row] += carried[a] * gate.coefficients[1] * float(served["means"][row, 0, a])
        for a, part in zip(online.arms.plain, carried[len(online.arms.gates) :], strict=True):
            level[row] += part * online.arms.first[a][0] * float(served["means"][row, 0, a])
    p = served["corrected"].astype(float)
    np.testing.assert_allclose(served["ranking"], np.log(p / (1 - p)) - level, atol=1e-5)


def test_files_bring_back_the_ranking_and_what_was_tried():
    hashes, labels = users_log(4, by_item=1.0)
    online = Online(2, rank_within=0)
    found = online.start([(hashes[:4000], labels[:4000])])
    assert online.found == found and len(found.tried) == 1
    fresh = Online(**json.loads(json.dumps(online.get_config())))
    fresh.load_state(online.state())
    assert fresh.found == found and fresh.rank_within == 0
    for one, other in zip(
        streamed(online, hashes[4000:], labels[4000:]),
        streamed(fresh, hashes[4000:], labels[4000:]),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert online.copy().found == found


@pytest.mark.parametrize("wrong", [-1, 2, 0.5, True])
def test_a_column_that_is_none_is_named(wrong):
    with pytest.raises(ValueError, match="rank_within"):
        Online(2, rank_within=wrong)


def test_damaged_records_of_crosses_are_named():
    good = Crosses(((0, 1),), (7.5,), (((0, 1), 7.5),), 100).to_dict()
    for wrong in ({}, {**good, "gains": None}, {**good, "tried": [3]}, {**good, "rows": "x"}):
        with pytest.raises(ValueError, match="found"):
            Online(2, found=wrong)


def test_of_many_pairs_files_keep_the_best():
    tried = tuple(((0, n), float(-n)) for n in range(1, 3000))
    kept = Crosses((), (), tried, 1).to_dict()["tried"]
    assert len(kept) == 1000 and kept[0] == [[0, 1], -1.0]


class Dataset:
    """What `StartedTables` asks of a dataset."""

    fields = ({"name": "user"}, {"name": "item"})

    def __init__(self, hashes, labels):
        self._arrays = {"feature_hashes": hashes, "label": labels}

    def train_rows(self, rows, shuffle, hashes):
        yield self._arrays


def test_a_study_can_name_what_was_tried():
    hashes, labels = users_log(5)
    tables = StartedTables(Dataset(hashes, labels), max_crosses=1)
    assert tables.tried() == []
    first = tables.online()
    assert [names for names, _ in tables.tried()] == [["user", "item"]]
    assert tables.online(("base",)).found == first.found
    assert OnlinePart(first).online is first


def test_a_start_lays_out_its_tables_once(monkeypatch):
    places, made = [], Cells.__init__
    counted = lambda self, *given: (places.append(given[0]), made(self, *given))[1]  # noqa: E731
    monkeypatch.setattr(Cells, "__init__", counted)
    online = StartedTables(Dataset(*users_log(5)), crosses=[]).online()
    whole = sum(1 << bits for bits in [*online.bits, 3])
    # crosses are looked for with tables of their own, without the constant
    assert sorted(places) == [3 * 8, whole - 8, whole] and whole < 1 << 16


def test_a_control_is_started_alike_whatever_was_started_before():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 8, (6000, 2)).astype("int32")
    often = np.where(hashes.sum(axis=1) % 2, 0.8, 0.2)  # which neither column tells alone
    labels = (rng.random(6000) < often).astype("uint8")
    first, later, resumed = (StartedTables(Dataset(hashes, labels), max_crosses=1) for _ in "123")
    alone = first.online(("base",), shuffled=True)
    assert alone.crosses == [] and later.online().crosses == [[0, 1]]
    resumed.take_found(later.found())
    for tables in (later, resumed):
        control = tables.online(("base",), shuffled=True)
        assert control.crosses == []
        for name, array in control.state().items():
            np.testing.assert_array_equal(array, alone.state()[name], name)
    # nor does a control decide for the others
    assert first.online().crosses == [[0, 1]] and first.tried() == later.tried()


def test_a_report_ranks_within_slots_too():
    groups, slots = np.repeat([7, 8, 7, 8], 2), np.repeat([0, 0, 1, 1], 2)
    labels = np.array([0, 1, 1, 0, 0, 1, 0, 1])
    p = np.array([0.1, 0.2, 0.3, 0.2, 0.8, 0.9, 0.1, 0.7], "float32")
    report = PrequentialReport(["frozen"], [1], {"frozen": [p]}, labels, slots, groups)
    row = report.overall()["frozen"]
    assert row["gauc_slot"] == 1.0 == pairs_won(labels, p, groups * 2 + slots)
    assert row["gauc"] == pairs_won(labels, p, groups) == 0.875 > 0.5
    assert report.to_metrics()["arms"]["frozen"]["gauc_slot"] == 1.0
    assert "1.0000" in report.table() and "in slot" in report.table()
    alone = PrequentialReport(["frozen"], [1], {"frozen": [p]}, labels, slots)
    assert np.isnan(alone.overall()["frozen"]["gauc_slot"])


@pytest.mark.parametrize(("bins", "steps"), [(32, (4,)), (128, (4, 16)), (2, (2,))])
def test_coarser_bins_are_those_of_fewer_edges(bins, steps):
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(500, 2))
    edges = np.quantile(numbers, np.arange(1, bins) / bins)
    series = [pl.Series(column).set(pl.Series(rng.random(500) < 0.1), None) for column in numbers.T]
    fine = np.stack([hash_text(bin_texts(s, edges.tolist()).to_list()) for s in series], 1)
    wide = with_coarser_bins(fine, [0, 1], bins, steps)
    assert wide.dtype == np.int32 and wide.shape == (500, 2 + 2 * len(steps))
    np.testing.assert_array_equal(wide[:, :2], fine)
    for column, some in enumerate(series):
        for number, step in enumerate(steps):
            got = wide[:, 2 + column * len(steps) + number]
            want = bin_texts(some, edges[step - 1 :: step].tolist()).to_list()
            pairs = set(zip(got.tolist(), want, strict=True))
            assert len(pairs) == len(set(want)) == len(set(got.tolist()))
    missing = hash_text([None])[0]
    for number in range(len(steps)):
        np.testing.assert_array_equal(
            wide[:, 2 + number] == missing, np.array([v is None for v in series[0]])
        )


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((np.zeros((2, 2)), [0], 32), "hashes"),
        ((np.zeros((2, 2), "int32"), [2], 32), "columns"),
        ((np.zeros((2, 2), "int32"), [0], 1), "bins"),
        ((np.zeros((2, 2), "int32"), [0], 32, (64,)), "steps"),
    ],
)
def test_wrong_bins_are_named(arguments, name):
    with pytest.raises(ValueError, match=name):
        with_coarser_bins(*arguments)

"""The study without a framework: what is chosen, which arms are made, and that no slot leaks."""

import json

import numpy as np
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras.core.candidates import FORMS, Candidates
from reloop2_keras.core.choice import OWN, choose, needed
from reloop2_keras.core.correction import Served
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.description import sealed
from reloop2_keras.core.metrics import auc
from reloop2_keras.core.provenance import revision
from reloop2_keras.core.study import compare
from reloop2_keras.core.tune import best_setting
from reloop2_keras.core.verdict import advice

SMALL = Candidates(
    validation_slots=3,
    exact_capacity=500,
    num_neighbors=10,
    sketch_sizes=((6, 5),),
    feature_bits=9,
)


class Slow:
    """A base that knows one field's parity; its keys are one-hot codes of two fields."""

    learns_from = ("label",)

    def __init__(self, keys, trained):
        self.keys, self.trained, self.observed = keys, trained, []
        self.shift = 0.0

    def serve(self, arrays):
        ids = arrays["feature_ids"]
        logit = 0.5 * (ids[:, 20] % 2) - 1.0 + self.shift
        served = Served(probability=(1 / (1 + np.exp(-logit))).astype("float32"))
        for key in self.keys:
            column = 14 if key == "hidden" else 15
            served[key] = np.eye(8, dtype="float32")[ids[:, column] % 8]
        if "feature_hashes" in arrays:
            served["feature_hashes"] = arrays["feature_hashes"]
        return served

    def observe(self, arrays):
        self.observed.append(len(arrays["label"]))
        if self.trained:
            self.shift += 0.1


class Base:
    def __init__(self):
        self.made = []

    def frozen(self, keys):
        self.made.append(("frozen", keys))
        return Slow(keys, False)

    def incremental(self, keys, learning_rate):
        self.made.append(("incremental", keys))
        return Slow(keys, True)

    can_hash, incremental_hashed = True, incremental


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "dataset"
    prepare(synthetic(rows=5000, users=100, items=40), out, slots=3, progress=False)
    return PreparedDataset(out)


def test_training_rows_come_in_the_order_of_the_batches(dataset):
    rows = list(dataset.train_rows(700, seed=3, hashes=True))
    assert [len(part["label"]) for part in rows[:-1]] == [700] * (len(rows) - 1)
    ordered = list(dataset.train_rows(10_000, shuffle=False))
    assert len(ordered) == 1 and set(ordered[0]) == {"label", "feature_ids", "feature_values"}
    mixed = np.concatenate([part["feature_values"][:, 0] for part in rows])
    assert not np.array_equal(mixed, ordered[0]["feature_values"][:, 0])
    np.testing.assert_array_equal(np.sort(mixed), np.sort(ordered[0]["feature_values"][:, 0]))


@pytest.fixture(scope="module")
def choice(dataset):
    return choose(Base(), dataset, settings=SMALL, progress=False)


def test_validation_picks_the_best_of_each_kind(choice):
    trained = ["incremental", "incremental hashed", "online+incremental"]
    assert list(choice.picked) == ["exact", "sketch", "feature", *trained]
    assert choice.picked["online+incremental"]["candidate"] in ("incremental", "incremental hashed")
    for kind in ("exact", "sketch"):
        rows = [row for row in choice.grid if row["candidate"].startswith(kind)]
        assert len(rows) == (2 if kind == "exact" else 4) * 12 * 5
        assert choice.picked[kind] == best_setting(rows)
    tried = {row["candidate"]: row["logloss"] for row in choice.form_scores}
    assert set(tried) == {"frozen", *FORMS}
    assert tried[choice.picked["feature"]["candidate"]] == min(tried[form] for form in FORMS)


def test_fast_parts_are_fresh_and_what_was_picked(choice):
    one, two = choice.fast("exact hidden"), choice.fast("exact hidden")
    assert one.memories[0] is not two.memories[0] and one.keys == ["hidden"]
    best = best_setting(r for r in choice.grid if r["candidate"].startswith("exact hidden"))
    assert one.compensation == best["compensation"]
    warm = choice.fast("feature base, warm").memories[0]
    assert warm.sums[:, 1].sum() > 100 and not choice.fast("feature base, cold").memories[0].built
    mixed = choice.fast("feature base, warm", shuffled=True).memories[0]
    assert not np.array_equal(mixed.sums, warm.sums)
    np.testing.assert_allclose(mixed.sums.sum(axis=0), warm.sums.sum(axis=0))  # the same rows
    warm.reset()
    assert choice.fast("feature base, warm").memories[0].sums.any()
    assert choice.fast("feature+sketch").keys[0] == "feature_hashes"
    with pytest.raises(ValueError, match="`form` must be one of"):
        choice.fast("feature base")


def test_only_what_the_arms_need_is_chosen_and_served(dataset):
    base = Base()
    chosen = choose(base, dataset, ["frozen", "feature"], settings=SMALL, progress=False)
    assert list(chosen.picked) == ["feature"] and not chosen.grid
    assert {keys for _, keys in base.made} == {()}
    base = Base()
    chosen = choose(base, dataset, ["sketch", "shuffled"], settings=SMALL, progress=False)
    assert list(chosen.picked) == ["sketch"] and not chosen.form_scores
    made = chosen.arms(["shuffled", "sketch"], base)
    assert base.made[-1] == ("frozen", (chosen.picked["sketch"]["key"],))
    assert made[0].slow is made[1].slow


def test_all_arms_of_the_tables(dataset, tmp_path):
    choices, bases = {}, []

    def make(seed):
        bases.append(Base())
        return bases[-1]

    arms = [*OWN, "incremental+feature"]
    arms += ["feature+sketch", "shuffled feature"]
    report = compare(
        dataset, make, arms, [1, 2], 1, settings=SMALL, choices=choices, progress=False
    )
    assert report.arms == arms and report.seeds == [1, 2] and sorted(choices) == [1, 2]
    assert all(len(base.made) for base in bases)
    report.save(tmp_path)
    saved = json.loads((tmp_path / "metrics.json").read_text())
    assert saved["dataset"] == "synthetic" and saved["rows"] == len(report.labels)
    assert saved["parameters"]["arms"] == arms and saved["parameters"]["feature_bits"] == 9
    controls = {arm for arm in arms if arm.startswith("shuffled")} | {"frozen", "recalibrated"}
    assert saved["against_controls"].keys() == set(arms) - controls
    assert "online" in saved["verdict"] and "(2 seeds)" in saved["verdict"]
    assert saved["verdict"].startswith(advice(saved["decision"]))
    assert saved["checksum"] == sealed(dataset.meta)["sha256"] and saved["seconds"] > 0
    assert saved["path"] == str(dataset.folder) and saved["revision"] == revision()
    assert saved["parameters"]["delay"] == 1 and {"python", "numpy"} <= set(saved["versions"])
    assert saved["calibration"].keys() == set(arms)
    named = {field["name"] for field in dataset.fields if field["kind"] == "categorical"}
    assert len(saved["drift"]["click_rate"]) == 3 and saved["drift"]["unseen"].keys() == named
    assert saved["intervals"]["frozen"]["over"] == "frozen"
    history = saved["info"]["weights"]["online"]
    assert len(history) == 2 and len(history[0]) == 3 + 3 - 2  # of two slots no label came
    assert sum(history[0][-1].values()) == pytest.approx(1.0)
    of_tables = saved["info"]["table_weights"]["online"][0]
    fields = {field["name"] for field in dataset.fields}
    assert len(of_tables) == len(history[0])
    assert all(set(name.split(" x ")) <= {*fields, "constant"} for name in of_tables[-1])
    assert all(saved["arms"][arm]["microseconds"] > 0 for arm in arms)
    picked = {row["arm"] for row in saved["info"]["picked"]}
    trained = {"incremental", "incremental hashed", "online+incremental"}
    assert picked == {"exact", "sketch", "feature", *trained}
    # what is stated twice is the same: a base that ignores the seed gives the same run but for
    # the order of the rows that means of keys are fitted to
    feature = report.predictions["feature"]
    np.testing.assert_array_equal(feature[0], feature[1])


def test_a_batch_is_told_of_each_step_seed_and_arm(dataset, caplog):
    arms = ["frozen", "tables"]
    with caplog.at_level("INFO", logger="reloop2_keras"):
        report = compare(dataset, lambda seed: Base(), arms, [1, 2], settings=SMALL, progress=False)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2 * (3 + len(arms)) and "seed 2: streaming 3 slots" in said
    of_seed_1 = auc(report.labels, report.predictions["tables"][0])
    assert any(line.startswith(f"seed 1, tables: AUC {of_seed_1:.4f}, log loss ") for line in said)


def test_a_tests_label_changes_no_prediction_before_it_arrives(dataset, monkeypatch):
    """Labels of the last slot, which nothing learns before it is scored, may be anything."""
    from reloop2_keras.core.slots import Slot

    arms = ["frozen", "recalibrated", "shuffled", "exact", "feature", "incremental"]
    arms += ["tables", "online", "online+incremental", "shuffled online"]
    before = compare(dataset, lambda seed: Base(), arms, settings=SMALL, progress=False)
    load = Slot.load

    def flipped(slot, columns=None):
        arrays = load(slot, columns)
        if slot.index == 2:
            arrays = {**arrays, "label": 1 - arrays["label"]}
        return arrays

    last = dataset.slots()[2].load()["label"]
    # validation is cut into three slots, too: only the stream's last one may be flipped
    groups = dataset.slots()[2].groups
    monkeypatch.setattr(
        Slot, "load", lambda s, c=None: flipped(s, c) if s.groups == groups else load(s, c)
    )
    after = compare(dataset, lambda seed: Base(), arms, settings=SMALL, progress=False)
    np.testing.assert_array_equal(after.labels[-len(last) :], 1 - last)
    for arm in before.arms:
        np.testing.assert_array_equal(before.predictions[arm][0], after.predictions[arm][0])


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        (["frozen", "exakt"], "'exakt'"),
        (["frozen", "frozen"], "distinct"),
        ([], "at least one"),
        (["frozen", "shuffled"], "control of"),
    ],
)
def test_unknown_arms_are_told_before_anything_is_trained(dataset, arms, message):
    with pytest.raises(ValueError, match=message):
        compare(dataset, lambda seed: pytest.fail("trained"), arms, settings=SMALL)


def test_bad_seeds_and_delays(dataset):
    for seeds in ([], [1, 1]):
        with pytest.raises(ValueError, match="`seeds`"):
            compare(dataset, lambda seed: pytest.fail("trained"), seeds=seeds)
    with pytest.raises(ValueError, match="validation_slots` must be more than"):
        choose(Base(), dataset, delay=2, settings=SMALL)


def test_what_arms_need():
    assert needed(["frozen", "feature corrected, cold + base, warm"]) == ([], True)
    assert needed(["incremental+feature", "feature+sketch"]) == (["sketch"], True)
    assert needed(["recalibrated"]) == ([], False)


def test_the_control_of_all_bases_is_given_them(dataset):
    arms = ["frozen", "online+incremental", "shuffled online+incremental"]
    report = compare(dataset, lambda seed: Base(), arms, settings=SMALL, progress=False)
    assert report.arms == arms


def test_rivals_without_who_chooses_them_are_told_before_training(dataset):
    with pytest.raises(ValueError, match="`choose_rival` must be given"):
        compare(dataset, lambda seed: pytest.fail("trained"), ["frozen", "vw"], settings=SMALL)

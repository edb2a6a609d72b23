"""Choosing rivals on the validation period, and the frozen logistic regression."""

import importlib.util

import numpy as np
import pytest
from rivals_rows import HeldSlot, KnownBase, rows_of

from reloop2_keras.core.arms import Arm
from reloop2_keras.core.metrics import logloss
from reloop2_keras.core.prequential import iter_prequential
from reloop2_keras.rivals import (
    AdPredictor,
    FrozenLinear,
    Periods,
    VowpalWabbit,
    choose_rival,
    grids,
)


def skipped_without(package, module):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{package} is not installed (extra `rivals`)")


needs_vw = skipped_without("vowpalwabbit", "vowpalwabbit")
needs_sklearn = skipped_without("scikit-learn", "sklearn")


def periods(validation=5):
    train = [HeldSlot(rows_of(400, seed=s)) for s in range(2)]
    return Periods(train, [HeldSlot(rows_of(150, seed=50 + s)) for s in range(validation)], (2,))


def replayed(part, slots, delay, fill=0):
    """Log loss over the slots from `fill` on, in the honest order."""
    events = list(iter_prequential(slots, [Arm("a", part)], delay, progress=False))[fill:]
    labels = np.concatenate([event["arrays"]["label"] for event in events])
    return logloss(labels, np.concatenate([event["predictions"]["a"] for event in events]))


@needs_vw
@pytest.mark.parametrize("delay", [0, 2])
def test_vw_is_scored_as_the_stream_scores_it(delay):
    held = periods()
    choice = choose_rival("vw", held, delay=delay, variants=["linear", "coin"])
    assert [row["rate"] for row in choice.rows] == [*grids.RATES["linear"][1], None]
    assert choice.setting is min(choice.rows, key=lambda row: row["logloss"])
    assert choice.seconds > 0 and choice.name == "vw"
    assert " ".join(choice.part.options) == choice.setting["options"]
    # every setting, the slow way; VW's text of a logit has six decimals
    for row in choice.rows:
        part = VowpalWabbit(row["options"].split(), numeric=(2,))
        for slot in held.train:
            part.observe(slot.load())
        expected = replayed(part, held.validation, delay)
        assert row["logloss"] == pytest.approx(expected, abs=1e-6)
    # the part stands before the validation slots, which the stream's warm-up brings
    again = replayed(choice.part, held.validation, delay)
    assert again == pytest.approx(choice.setting["logloss"], abs=1e-6)


@needs_vw
def test_vw_on_a_base_starts_cold_and_is_scored_on_the_second_half():
    held = periods()
    base = KnownBase(np.full(150, 0.3, "float32"))
    choice = choose_rival("vw+base", held, base, delay=1, variants=["linear"])
    assert choice.part.state is None and choice.part.base is base
    for row in choice.rows[2:5]:
        part = VowpalWabbit(row["options"].split(), numeric=(2,), base=base)
        expected = replayed(part, held.validation, 1, fill=3)
        assert row["logloss"] == pytest.approx(expected, abs=1e-6)


@needs_vw
def test_without_a_warmup_the_validation_period_is_learnt():
    held = periods()
    before = choose_rival("vw", held, variants=["linear"]).part
    after = choose_rival("vw", held, variants=["linear"], warmup=False).part
    for slot in held.validation:
        before.observe(slot.load())
    assert before.state == after.state


def test_adpredictor_is_chosen():
    held = periods()
    choice = choose_rival("adpredictor", held)
    assert len(choice.rows) == len(grids.BETAS) * len(grids.EPSILONS)
    assert choice.setting is min(choice.rows, key=lambda row: row["logloss"])
    setting = {name: choice.setting[name] for name in ("beta", "epsilon")}
    clicks = np.concatenate([slot.load()["label"] for slot in held.train])
    part = AdPredictor(**setting, prior_probability=clicks.mean(), numeric=(2,))
    for slot in held.train:
        part.observe(slot.load())
    assert np.array_equal(part.mean, choice.part.mean)
    assert replayed(part, held.validation, 0) == pytest.approx(choice.setting["logloss"], abs=1e-12)


@needs_sklearn
def test_frozen_linear_is_chosen_and_learns_nothing():
    held = periods()
    choice = choose_rival("frozen linear", held)
    assert [row["C"] for row in choice.rows] == list(grids.STRENGTHS)
    best = replayed(choice.part, held.validation, 0)
    assert best == pytest.approx(min(row["logloss"] for row in choice.rows), abs=1e-12)
    fitted = FrozenLinear((2,)).fit([s.load() for s in held.train], choice.setting["C"])
    rows = rows_of(100, seed=9)
    np.testing.assert_allclose(
        fitted.serve(rows)["probability"], choice.part.serve(rows)["probability"], atol=1e-7
    )
    clicks = np.concatenate([s.load()["label"] for s in held.validation])
    assert best < logloss(clicks, np.full(len(clicks), clicks.mean())) - 0.05


@needs_sklearn
def test_frozen_linear_is_the_penalized_optimum_and_unseen_values_add_nothing():
    rows = rows_of(500, seed=3)
    part = FrozenLinear((2,)).fit([rows], strength=0.5)
    codes = [
        np.unique(rows["feature_hashes"][:, column], return_inverse=True)[1] for column in (0, 1)
    ]
    number = rows["feature_values"][:, 2].astype("float64")
    design = np.column_stack([np.eye(c.max() + 1)[c] for c in codes] + [number / number.std()])
    weights, constant = part._weights[:-1], part._constant
    residual = rows["label"] - 1 / (1 + np.exp(-design @ weights - constant))
    # where the penalized likelihood is stationary: C X'(y - p) = w, and the constant is free
    np.testing.assert_allclose(0.5 * design.T @ residual, weights, atol=2e-3)
    assert abs(residual.sum()) < 0.01
    unseen = rows_of(1)
    unseen["feature_hashes"][:], unseen["feature_values"][:, 2] = 123456, 0.0
    expected = 1 / (1 + np.exp(-constant))
    assert part.serve(unseen)["probability"][0] == pytest.approx(expected, abs=1e-6)


@needs_sklearn
def test_what_frozen_linear_refuses():
    rows = rows_of(20)
    with pytest.raises(ValueError, match="must be fitted"):
        FrozenLinear().serve(rows)
    with pytest.raises(ValueError, match="both labels"):
        FrozenLinear().fit([rows | {"label": np.ones(20, "uint8")}])
    with pytest.raises(ValueError, match="`strength`"):
        FrozenLinear().fit([rows], strength=0)
    with pytest.raises(ValueError, match="`train`"):
        FrozenLinear().fit([])
    less = {name: array[:, :2] for name, array in rows.items() if name != "label"}
    with pytest.raises(ValueError, match="must have 3 fields"):
        FrozenLinear().fit([rows]).serve(less)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "catboost"}, "`name`"),
        ({"name": "vw+base"}, "`base`"),
        ({"name": "vw", "base": KnownBase(0.5)}, "`base`"),
        ({"name": "adpredictor", "variants": ["linear"]}, "`variants`"),
        ({"name": "adpredictor", "delay": 4}, "at least 6 validation slots"),
    ],
)
def test_what_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        choose_rival(dataset=periods(), **arguments)


def test_a_missing_package_is_one_line_that_says_how_to_get_it(monkeypatch):
    def absent(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    for use, package in (
        (lambda: VowpalWabbit().serve(rows_of(3)), "vowpalwabbit"),
        (lambda: FrozenLinear().fit([rows_of(3)]), "scikit-learn"),
    ):
        with pytest.raises(ImportError, match=rf"{package}, .*reloop2\[rivals\]") as error:
            use()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["vw", "adpredictor", "frozen linear"])
@needs_vw
@needs_sklearn
def test_a_prepared_dataset_is_taken_as_it_is(name, tmp_path):
    from data_scripts import prepare, synthetic
    from reloop2_keras.core.dataset import PreparedDataset

    prepare(synthetic(rows=3000, seed=3), tmp_path / "log")
    dataset = PreparedDataset(tmp_path / "log")
    held = Periods.of(dataset, validation_slots=3)
    assert held.numeric == tuple(range(13)) and len(held.validation) == 3
    assert sum(len(slot.load()["label"]) for slot in held.train) == 1500
    options = {"variants": ["coin"]} if name == "vw" else {}
    choice = choose_rival(name, dataset, validation_slots=3, **options)
    p = choice.part.serve(dataset.slots()[0].load())["probability"]
    assert ((p > 0) & (p < 1)).all() and p.std() > 0.01


@needs_vw
@pytest.mark.parametrize("most", [3, 2])
def test_pairs_are_left_out_where_there_are_many_fields(most, monkeypatch):
    monkeypatch.setattr(grids, "RATES", {"coin": (None, (None,)), "pairs": ("-l", (0.5,))})
    monkeypatch.setattr(grids, "MOST_FIELDS", most)
    rows = choose_rival("vw", periods()).rows
    assert [row["variant"] for row in rows] == (["coin", "pairs"] if most == 3 else ["coin"])

"""The made-up log's stable interactions, and the log without them as it always was."""

import hashlib

import numpy as np
import polars as pl
import pytest

from data_scripts import synthetic
from data_scripts.sources.latent_factors import FIELDS, VALUES, LatentFactors

SMALL = {"rows": 3000, "seed": 7, "users": 50, "items": 20}
LASTING = [f"C{i}" for i in range(8, 27)]


def whole(chunk_rows=65_536, **options):
    return pl.concat(synthetic(**{**SMALL, **options}).chunks(chunk_rows, None))


@pytest.mark.parametrize(
    ("drift", "digest"),
    [
        (True, "a55345c2135f54b49495793c3bb80b9edc7db544c48aae8c3c497aa4253e23f2"),
        (False, "de9dcdea104e1389a8c147709662adc5171405d033c89b3d5a1fc0ddd269b60a"),
    ],
)
def test_without_interactions_the_log_is_that_of_earlier_versions(drift, digest):
    log = whole(drift=drift, interactions=0.0)
    assert hashlib.sha256(log.drop("true_probability").write_csv().encode()).hexdigest() == digest
    assert "interactions" not in synthetic(**SMALL, drift=drift, interactions=0).options


def test_interactions_change_the_lasting_fields_alone():
    log, without = whole(interactions=2.5), whole()
    same = [f"C{i}" for i in range(1, 8)] + [f"I{i}" for i in range(1, 14)] + ["group"]
    assert log.select(same).equals(without.select(same))
    assert not any(log[name].equals(without[name]) for name in LASTING)
    assert log.equals(whole(chunk_rows=70, interactions=2.5))
    assert not log.equals(whole(interactions=2.5, seed=8))
    assert synthetic(interactions=2).options["interactions"] == 2.0


def test_the_truth_stays_the_truth():
    log = whole(rows=60_000, interactions=2.5)
    assert abs(log["label"].mean() - 0.25) < 0.02
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 0.8), (0.8, 1.0)):
        part = log.filter(pl.col("true_probability").is_between(low, high, closed="left"))
        assert abs(part["true_probability"].mean() - part["label"].mean()) < 0.02
        assert len(part) > 1000


def test_all_values_live_from_the_first_row_to_the_last():
    log = whole(rows=20_000, interactions=2.5)
    for name in LASTING:
        assert log[name][:2000].n_unique() == log[name][-2000:].n_unique() == VALUES
        assert log[name].n_unique() == VALUES


@pytest.mark.parametrize("strength", [0.5, 2.5])
def test_what_they_add_has_the_spread_asked_for_and_no_value_has_a_part_alone(strength):
    values, logit = LatentFactors(3, strength).draw(0, 200_000)
    assert values.shape == (FIELDS, len(logit)) and values.dtype == np.int64
    assert abs(logit.std() / strength - 1) < 0.05 and abs(logit.mean()) < 0.02 * strength
    for value in values:
        means = np.bincount(value, logit) / np.bincount(value)
        assert np.abs(means).max() < 0.06 * strength  # four standard errors of 10,000 rows


def test_rows_add_what_a_factorization_machine_of_their_factors_adds():
    factors = LatentFactors(3, 1.5)
    values, logit = factors.draw(65_536, 50)
    numbers = np.array([row[value] for row, value in zip(factors._factors, values, strict=True)])
    pairs = [(i, j) for i in range(FIELDS) for j in range(i)]
    expected = sum(numbers[i] * numbers[j] for i, j in pairs)
    np.testing.assert_allclose(logit, expected, atol=1e-12)
    again, _ = factors.draw(65_536, 50)
    other, _ = factors.draw(0, 50)
    assert (again == values).all() and not (other == values).all()


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "2", True, None])
def test_interactions_out_of_range_are_named(value):
    with pytest.raises(ValueError, match=r"^`interactions` must be >= 0 and finite\. Rec"):
        synthetic(interactions=value)

"""ReLoop2 by rule="online" as a service: files, threads, another base."""

import keras
import numpy as np
import pytest
from online_case import InOrder, deepfm, rows, same, started, state
from threads import run_threads

from reloop2_keras import ReLoop2
from reloop2_keras.core.online import Online

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("early", [True, False])
def test_a_file_goes_on_bit_for_bit(early, tmp_path):
    model = started() if not early else ReLoop2(deepfm(), rule="online")
    for seed in range(0 if early else 3):  # some rows wait for the next step of the gates
        model.observe(*rows(seed=seed))
    x, y = rows(seed=7)
    model.predict(x, verbose=0)
    model.save(tmp_path / "online.keras")
    again = keras.saving.load_model(tmp_path / "online.keras")
    same(state(again), state(model))
    assert again.online.get_config() == model.online.get_config()
    for seed in (7, 8, 9):
        x, y = rows(seed=seed)
        served = [each.serve(x) for each in (model, again)]
        same(*served)
        for each, one in zip((model, again), served, strict=True):
            each.observe(one, y)
    same(state(again), state(model))
    weights = tmp_path / "online.weights.h5"
    model.save_weights(weights)
    twin = ReLoop2(deepfm(5), rule=Online(**model.online.core.get_config()))
    twin.predict(x, verbose=0)
    twin.load_weights(weights)
    same(state(twin), state(model))
    same(twin.serve(x), model.serve(x))


def test_a_base_without_fields_takes_the_width_of_the_first_rows(tmp_path):
    def functional():
        ids = keras.Input((2,), dtype="int32", name="feature_ids")
        vectors = keras.layers.Flatten()(keras.layers.Embedding(25, 4)(ids))
        out = keras.layers.Dense(1, activation="sigmoid")(vectors)
        return keras.Model({"feature_ids": ids}, out)

    model = ReLoop2.from_config(ReLoop2(functional(), rule="online").get_config())
    batches = [
        ({k: x[k] for k in ("feature_ids", "feature_hashes")}, y) for x, y in (rows(), rows())
    ]
    assert model.warm_start(lambda: InOrder(batches), max_crosses=0) == 600
    x, y = batches[0]
    for _ in range(2):
        model.observe(x, y)
    served = model.serve(x)
    assert np.abs(served["corrected"] - served["probability"]).max() > 0.1
    model.save(tmp_path / "built.keras")
    same(keras.saving.load_model(tmp_path / "built.keras").serve(x), served)


def test_a_new_base_keeps_the_tables_or_resets_them():
    model, (x, y) = started(name="mine"), rows()
    model.observe(x, y)
    other = deepfm(8)
    kept = model.with_base(other)
    assert kept.online is model.online and kept.name == "mine" and kept.base is other
    assert not np.array_equal(kept.serve(x)["corrected"], model.serve(x)["corrected"])
    crosses = model.online.crosses
    empty = model.with_base(other, "reset")
    assert empty.online.core.arms.tables.rows == 0 and empty.online.crosses == crosses


def test_threads_serve_and_observe_and_lose_nothing():
    model = started()
    batches = [rows(200, seed) for seed in range(6)]
    model.serve(batches[0][0])  # compiled once, not six times
    observed = []

    def job(number):
        x, y = batches[number]

        def once():
            served = model.serve(x)
            assert np.isfinite(served["corrected"]).all()
            if number % 2:
                assert model.observe(served, y) == 200
                observed.append(number)

        return once

    run_threads([job(number) for number in range(6)], 3)
    core = model.online.core
    assert core.arms.tables.rows == 400 + 200 * len(observed)
    assert core.waiting.held < core.block_rows


def test_a_save_between_threads_is_of_one_moment(tmp_path):
    model, (x, y) = started(), rows(200)
    model.predict(x, verbose=0)
    held = []

    def observe():
        model.observe(x, y)

    def save():
        model.save(tmp_path / "now.keras")
        core = keras.saving.load_model(tmp_path / "now.keras").online.core
        turns, rest = divmod(core.arms.tables.rows - 400, 200)
        held.append((rest, core.waiting.held, 200 * (turns % 3)))  # a step takes 600 of 200 each

    run_threads([observe, save], 4)
    assert len(held) > 1
    assert all(rest == 0 and found == wanted for rest, found, wanted in held), held

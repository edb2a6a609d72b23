"""ReLoop2 as a service: threads, late labels, lists of inputs, what is refused."""

import keras
import numpy as np
import pytest
from threads import SECONDS, run_threads

from reloop2_keras import DeepFM, ExactErrorMemory, FeatureErrorMemory, ReLoop2, SketchErrorMemory

pytestmark = pytest.mark.backend


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, 20, n), 20 + rng.integers(0, 5, n)], axis=1).astype("int32")
    # no two rows are alike: equal neighbors are told apart differently by each backend
    values = rng.uniform(0.5, 1.5, (n, 2)).astype("float32")
    x = {"feature_ids": ids, "feature_values": values}
    x["feature_hashes"] = (ids * np.int32(40503)).astype("int32")
    return x, (rng.random(n) < np.where(ids[:, 0] % 2, 0.9, 0.1)).astype("float32")


def model(*memories, **options):
    keras.utils.set_random_seed(3)
    base = DeepFM([20, 5], embedding_dim=4, hidden_units=(8, 6), initializer_stddev=0.5)
    return ReLoop2(base, list(memories), **options)


def state(made):
    parts = [*made.memories, *([made.gate] if made.gate else [])]
    return [part.core.state() for part in parts]


def same(a, b):
    for one, other in zip(a, b, strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("seconds", SECONDS)
def test_eight_threads_serve_and_observe_and_lose_nothing(seconds):
    sketch = SketchErrorMemory(5, 4, key_normalization="none")
    exact = ExactErrorMemory(2000, 5, key_normalization="none")
    made = model(FeatureErrorMemory(8, residual="corrected"), sketch, exact, gate=True)
    batches = [rows(200, seed) for seed in range(8)]
    made.serve(batches[0][0])  # compiled once, not eight times
    observed, served = [], []

    def job(number):
        x, y = batches[number]

        def once():
            out = made.serve(x)
            assert np.isfinite(out["corrected"]).all()
            served.append(number)
            if number % 2:
                assert made.observe(out, y) == 200
                observed.append(number)

        return once

    run_threads([job(number) for number in range(8)], seconds)
    turns = len(observed)
    assert turns >= 8 and len(served) > turns
    assert [memory.num_writes for memory in made.memories] == [turns] * 3
    assert sketch.total == exact.cursor == 200 * turns
    clicks = sum(batches[number][1].sum() for number in observed)
    np.testing.assert_allclose(sketch.sums[:, 1].sum(), 5 * clicks, rtol=1e-12)
    # and what a traced step reads is that state; of equal neighbors each may choose another one
    x, _ = batches[0]
    gap = np.abs(made.predict(x, verbose=0)[:, 0] - made.serve(x)["corrected"])
    assert np.mean(gap < 1e-4) > 0.9


def test_what_was_served_is_learnt_once_and_after_an_error_can_be_learnt():
    made, (x, y) = model(FeatureErrorMemory(8), gate=True), rows(100)
    served = made.serve(x)
    before = state(made)
    for bad in (y[:50], y + 0.5, np.where(y == 1, np.nan, y)):
        with pytest.raises(ValueError, match="`labels` must"):
            made.observe(served, bad)
        same(state(made), before)
    assert made.observe(served, y[:, None]) == 100
    learnt = state(made)
    with pytest.raises(ValueError, match="learnt already"):
        made.observe(served, y)
    same(state(made), learnt)
    with pytest.raises(ValueError, match="what this model's `serve` returned"):
        made.observe(type(served)(probability=served["probability"]), y)


def test_twelve_inputs_reach_the_base_in_their_order():
    inputs = [keras.Input((1,), name=f"part_{number}") for number in range(12)]
    scaled = [(number + 1.0) * part for number, part in enumerate(inputs)]
    last = keras.layers.Dense(3, activation="relu", name="last")(keras.layers.Concatenate()(scaled))
    base = keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(last))
    memory = SketchErrorMemory(4, 4, key_normalization="none")
    made = ReLoop2(base, memory, key="last")
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((50, 1)).astype("float32") for _ in range(12)]
    want = base.predict(x, verbose=0)[:, 0]
    for form in (x, tuple(x)):
        served = made.serve(form)
        np.testing.assert_allclose(served["probability"], want, atol=1e-5)
    np.testing.assert_allclose(made.predict(x, verbose=0)[:, 0], want, atol=1e-5)
    assert made.observe(x, np.ones(50)) == 50
    assert np.abs(made.serve(x)["corrected"] - want).max() > 0.01


def test_what_is_not_a_number_is_refused_and_changes_nothing():
    made, (x, y) = model(FeatureErrorMemory(8), gate=True), rows(60)
    made.observe(x, y)
    before = state(made)
    for bad in (np.nan, np.inf):
        values = x["feature_values"].copy()
        values[7, 1] = bad
        for call in (made.serve, lambda x: made.observe(x, y)):
            with pytest.raises(ValueError, match="row 7"):
                call({**x, "feature_values": values})
    same(state(made), before)
    logits = keras.Sequential([keras.layers.Dense(1, name="last")])
    logits.build((None, 2))
    logits = keras.Model(logits.inputs, logits.outputs)
    logits.layers[-1].set_weights([np.full((2, 1), 3.0), np.zeros(1)])
    wrong = ReLoop2(logits, SketchErrorMemory(2, 2, key_normalization="none"), key="last")
    with pytest.raises(ValueError, match=r"`probabilities` must be in \[0, 1\].*6.0 in row 0"):
        wrong.serve(np.ones((4, 2), "float32"))


def test_fit_scores_validation_data_by_the_base_alone():
    made, (x, y) = model(FeatureErrorMemory(8, residual="corrected"), gate=True), rows(400)
    for _ in range(3):
        made.observe(x, y)
    made.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    made.base.compile("sgd", "binary_crossentropy")
    corrected = made.evaluate(x, y, verbose=0)
    base = made.base.evaluate({k: x[k] for k in ("feature_ids", "feature_values")}, y, verbose=0)
    assert corrected < base - 0.1
    for _ in range(2):  # steps compiled for one are not used for the other
        history = made.fit(x, y, validation_data=(x, y), verbose=0).history
        np.testing.assert_allclose(history["val_loss"], [base], rtol=1e-4)
        np.testing.assert_allclose(made.evaluate(x, y, verbose=0), corrected, rtol=1e-4)


class Named(ReLoop2):
    pass


def test_a_new_base_keeps_name_and_class():
    keras.utils.set_random_seed(1)
    made = Named(DeepFM([20, 5], 2, (4,)), FeatureErrorMemory(6), gate=True, name="mine")
    again = made.with_base(DeepFM([20, 5], 2, (4,)))
    assert type(again) is Named and again.name == "mine" and again.memory is made.memory


def test_predictions_follow_what_is_learnt_between_them():
    made, (x, y) = model(FeatureErrorMemory(8), gate=True), rows(100)
    seen = []
    for _ in range(4):
        seen.append(made.predict(x, verbose=0)[:, 0])
        np.testing.assert_allclose(seen[-1], made.serve(x)["corrected"], atol=1e-5)
        made.observe(x, y)
    assert np.abs(seen[-1] - seen[-2]).max() > 0.01
    batch = made.predict_on_batch({k: keras.ops.convert_to_tensor(v) for k, v in x.items()})
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(batch)[:, 0], made.serve(x)["corrected"], atol=1e-5
    )


def test_a_warm_started_model_is_saved_at_once_and_with_all(tmp_path):
    made, (x, y) = model(FeatureErrorMemory(8, residual="corrected"), gate=True), rows(300)
    assert made.warm_start([(x, y)]) == 300
    made.save(tmp_path / "warm.keras")  # warnings are errors here
    again = keras.saving.load_model(tmp_path / "warm.keras")
    same(state(again), state(made))
    np.testing.assert_allclose(again.serve(x)["corrected"], made.serve(x)["corrected"], atol=1e-6)
    with pytest.raises(ValueError, match="count twice"):
        again.warm_start([(x, y)])


def test_a_base_without_fields_is_not_given_what_is_not_a_number():
    x = keras.Input((3,), name="x")
    last = keras.layers.Dense(4, activation="relu", name="last")(x)
    base = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(last))
    made = ReLoop2(base, SketchErrorMemory(4, 3, key_normalization="none"), key="last")
    rows = np.ones((6, 3), "float32")
    assert made.observe(rows, np.ones(6)) == 6
    rows[4, 1] = np.nan
    before = state(made)
    for call in (
        made.serve,
        lambda x: made.predict(x, verbose=0),
        lambda x: made.observe(x, x[:, 0]),
    ):
        with pytest.raises(ValueError, match="must be finite.* in row 4, column 1"):
            call(rows)
    same(state(made), before)

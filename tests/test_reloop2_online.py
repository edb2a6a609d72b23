"""ReLoop2 by rule="online": what core's `Online` says, and what is refused."""

import keras
import numpy as np
import pytest
from online_case import InOrder, deepfm, plain, rows, same, started, state

from reloop2_keras import FeatureErrorMemory, ReLoop2
from reloop2_keras.core.online import Online
from reloop2_keras.models import neutral

pytestmark = pytest.mark.backend


def test_it_is_core_s_online_on_the_base_s_probabilities():
    model, core = started(), Online(2, ["base"])
    core.start([(x["feature_hashes"], y) for x, y in (rows(200, 10), rows(200, 11))])
    assert model.online.crosses == core.crosses and model.online.bits == core.bits
    for seed in range(4):  # gates and Hedge step, after 512 rows
        x, y = rows(seed=seed)
        served = model.serve(x)
        want = core.predict(x["feature_hashes"], {"base": served["probability"]})
        for name in want:
            np.testing.assert_array_equal(served[name], want[name], err_msg=name)
        np.testing.assert_allclose(
            served["probability"], model.base.predict(plain(x), verbose=0)[:, 0], atol=1e-6
        )
        assert model.observe(served, y) == 300
        core.learn(want, y)
    same(state(model), core.state())
    assert np.abs(served["corrected"] - served["probability"]).max() > 0.1


def test_predict_evaluate_and_a_call_give_what_serve_gives():
    model, (x, y) = started(), rows()
    model.observe(x, y)
    want = model.serve(x)["corrected"]
    np.testing.assert_array_equal(model.predict(x, verbose=0)[:, 0], want)
    np.testing.assert_array_equal(model.predict_on_batch(x)[:, 0], want)
    some = {name: array[:150] for name, array in x.items()}
    both = InOrder([(some, y[:150]), ({name: array[150:] for name, array in x.items()}, y[150:])])
    np.testing.assert_allclose(model.predict(both)[:, 0], want, atol=1e-5)
    np.testing.assert_allclose(model.predict(both, steps=1)[:, 0], want[:150], atol=1e-5)
    np.testing.assert_allclose(model.predict(iter(both.batches))[:, 0], want, atol=1e-5)
    tensors = {name: keras.ops.convert_to_tensor(array) for name, array in x.items()}
    called = keras.ops.convert_to_numpy(model(tensors))
    assert called.shape == (300, 1) and called.dtype == "float32"
    np.testing.assert_allclose(called[:, 0], want, atol=1e-5)
    model.compile(keras.optimizers.SGD(0.0), "binary_crossentropy")
    loss = -np.log(np.where(y[:, 0] == 1, want, 1 - want)).mean()
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), loss, rtol=1e-4)
    model.base.compile("sgd", "binary_crossentropy")
    history = model.fit(x, y, validation_data=(x, y), verbose=0).history
    base = model.base.evaluate(plain(x), y, verbose=0)
    np.testing.assert_allclose(history["val_loss"], [base], rtol=1e-4)  # the base alone, as ever
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0), loss, rtol=1e-4)
    np.testing.assert_allclose(model.test_on_batch(x, y), loss, rtol=1e-4)


def test_predictions_within_fit_are_corrected_and_see_the_trained_weights():
    model, (x, y) = started(), rows()
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(model.predict(x, verbose=0)[:, 0])

    model.fit(x, y, epochs=2, verbose=0, callbacks=[Watch()])
    np.testing.assert_allclose(seen[-1], model.serve(x)["corrected"], atol=1e-6)
    assert np.abs(seen[0] - seen[1]).max() > 1e-4


def test_a_graph_is_refused_with_what_to_do():
    model, (x, _) = started(), rows()
    model.predict(x, verbose=0)
    inputs = {k: keras.Input(v.shape[1:], dtype=str(v.dtype), name=k) for k, v in x.items()}
    with pytest.raises(ValueError, match="read on the host: use `serve` or `predict`"):
        model(inputs)
    with pytest.raises(ValueError, match="`export` its `base`"):
        model.export("nowhere")
    with pytest.raises(ValueError, match="`callbacks`"):
        model.predict(x, callbacks=[keras.callbacks.History()])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda x: x.pop("feature_hashes"), "must be a dict with 'feature_hashes'.*online"),
        (lambda x: x.update(feature_hashes=x["feature_hashes"] + 0.5), "floats lose bits"),
        (lambda x: x.update(feature_hashes=x["feature_hashes"][:, :1]), r"\(rows, 2\)"),
        (lambda x: x.update(feature_hashes=x["feature_hashes"][:9]), "must have 300 rows"),
        (lambda x: x["feature_values"].__setitem__((7, 1), np.nan), "row 7"),
        (lambda x: x["feature_ids"].__setitem__((7, 0), 25), "row 7"),
    ],
)
def test_wrong_rows_are_one_error_and_change_nothing(change, error):
    model, (x, y) = started(), rows()
    model.observe(x, y)
    before = state(model)
    change(x)
    for call in (
        model.serve,
        lambda x: model.observe(x, y),
        lambda x: model.predict(x, verbose=0),
    ):
        with pytest.raises(ValueError, match=error):
            call(x)
    same(state(model), before)


def test_what_was_served_is_learnt_once_and_labels_are_checked():
    model, (x, y) = started(), rows()
    served, before = model.serve(x), state(model)
    for bad in (y[:50], y + 0.5, np.where(y == 1, np.nan, y)):
        with pytest.raises(ValueError, match="`labels` must"):
            model.observe(served, bad)
        same(state(model), before)
    assert model.observe(served, y) == 300
    learnt = state(model)
    with pytest.raises(ValueError, match="learnt already"):
        model.observe(served, y)
    by_memories = ReLoop2(deepfm(), FeatureErrorMemory(8), gate=True).serve(x)
    with pytest.raises(ValueError, match="`served` must be what `predict` returned"):
        model.observe(by_memories, y)
    same(state(model), learnt)


def test_a_warm_start_takes_what_is_in_order_and_can_be_read_again():
    batches = [rows(200, 10), rows(200, 11)]
    model = ReLoop2(deepfm(), rule="online")
    before = state(model)
    for shuffled in (InOrder(batches, shuffle=True), lambda: InOrder(batches, shuffle=True)):
        with pytest.raises(ValueError, match=r"in the order of the log.*shuffle=True"):
            model.warm_start(shuffled)
    with pytest.raises(ValueError, match="read several times"):
        model.warm_start(iter(batches))
    with pytest.raises(ValueError, match=r"of \(x, y\)"):
        model.warm_start([batches[0][0]])
    with pytest.raises(ValueError, match="'feature_hashes'"):
        model.warm_start([(plain(x), y) for x, y in batches])
    with pytest.raises(ValueError, match="at least one row"):
        model.warm_start([])
    same(state(model), before)
    assert model.warm_start(InOrder(batches)) == 400
    same(state(model), state(started()))
    with pytest.raises(ValueError, match="`start` must come before"):
        model.warm_start(batches)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "`memory` must be an ErrorMemory"),
        ({"rule": "offline"}, "`rule` must be None, 'online' or an Online"),
        ({"rule": "online", "memory": FeatureErrorMemory(4)}, "`memory` must be left out"),
        ({"rule": "online", "gate": True}, "`gate` must be left out"),
        ({"rule": "online", "compensation": 0.1}, "`compensation` must be left out"),
        ({"rule": Online(2)}, "must stand on one base"),
        ({"rule": Online(3, ["base"])}, "must have width 2"),
    ],
)
def test_arguments_that_do_not_fit(options, error):
    with pytest.raises(ValueError, match=error):
        ReLoop2(deepfm(), **options)


def test_a_model_by_memories_takes_no_options_of_online_and_online_has_no_correction():
    with pytest.raises(TypeError, match="max_crosses"):
        ReLoop2(deepfm(), FeatureErrorMemory(8), gate=True).warm_start([rows()], max_crosses=2)
    with pytest.raises(ValueError, match="`correction` is of memories"):
        _ = ReLoop2(deepfm(), rule="online").correction


def test_a_neutral_file_keeps_tables_and_all(tmp_path):
    model, (x, y) = ReLoop2(deepfm(), rule="online"), rows()
    with pytest.raises(ValueError, match="without weights"):
        neutral.arrays_of(model)
    for _ in range(3):
        model.observe(model.serve(x), y)
    neutral.dump(model, tmp_path / "a.npz")
    again = neutral.load(tmp_path / "a.npz")
    for name, array in model.online.core.state().items():
        np.testing.assert_array_equal(again.online.core.state()[name], array)
    np.testing.assert_array_equal(again.serve(x)["corrected"], model.serve(x)["corrected"])


def test_a_model_takes_back_what_wrong_labels_taught():
    made, (x, y) = {}, rows()
    y = np.reshape(y, -1)
    wrong = np.flatnonzero(np.arange(300) % 6 == 0)
    first = np.where(np.isin(np.arange(300), wrong), 1 - y, y)
    for name in ("right", "wrong", "retracted"):
        made[name] = model = ReLoop2(deepfm(), rule="online")
        for _ in range(2):
            model.observe(model.serve(x), y)
        receipt = model.observe_with_receipt(model.serve(x), y if name == "right" else first)
        if name == "retracted":
            model.observe(model.retract(receipt.part(wrong)), y[wrong])
    p = {name: model.serve(x)["corrected"][wrong] for name, model in made.items()}
    far, without_it = (np.abs(p[name] - p["right"]).mean() for name in ("retracted", "wrong"))
    assert far < 0.5 * without_it, (far, without_it)


def test_an_online_of_ones_own_is_shown_and_not_copied():
    core = Online(2, ["deep"], crosses=[[0, 1]], bits=8, block_rows=50)
    model, (x, y) = ReLoop2(deepfm(), rule=core), rows()
    model.observe(x, y)
    assert model.online.core is core and core.arms.tables.rows == 300 and core.waiting.held == 0

"""Belief tables as a cell, and a `ReLoop2` with `rule="online"`: the same as on Keras."""

import mindspore as ms
import numpy as np
import pytest
from ms_support import CARDINALITIES, batch, tensors

from mindspore_port import DeepFM, OnlineTables, ReLoop2, neutral
from mindspore_port.convert import convert
from mindspore_port.models import load_model, save_model
from reloop2_keras.core.online import Online


def model_of(rule="online", **options):
    fields = [{"cardinality": c} for c in CARDINALITIES]
    base = DeepFM([c["cardinality"] for c in fields], 4, (8,), initializer_stddev=0.3, **options)
    return ReLoop2(base, rule=rule)


def taught(rows=900):
    model = model_of()
    model.warm_start([batch(500, seed) for seed in range(4)])
    for seed in range(4, 8):
        x = batch(rows // 4, seed)
        model.observe(model.serve(x), x["label"])
    return model


def test_the_cell_is_core_and_exchanges_its_state():
    x = batch(200)
    p = np.random.default_rng(0).uniform(0.1, 0.9, 200).astype("float32")
    core, cell = Online(3, ["base"], bits=8), OnlineTables(3, bits=8)
    for _ in range(4):
        want = core.predict(x["feature_hashes"], p)
        got = cell(ms.Tensor(p), ms.Tensor(x["feature_hashes"])).asnumpy()
        np.testing.assert_array_equal(got, want["corrected"])
        core.learn(want, x["label"])
        served = cell.predict(x["feature_hashes"], p)
        assert cell.learn(served, ms.Tensor(x["label"].astype("float32"))) == 200
    twin = OnlineTables(**cell.get_config())
    twin.load_state(core.state())
    for name, array in core.state().items():
        np.testing.assert_array_equal(array, cell.core.state()[name])
        np.testing.assert_array_equal(array, twin.core.state()[name])
    around = OnlineTables.around(core)
    assert (
        around.core is core
        and around.bits == core.bits
        and around.get_config() == core.get_config()
    )
    receipt = twin.learn_with_receipt(twin.predict(x["feature_hashes"], p), np.zeros(200))
    twin.learn(twin.retract(receipt), x["label"])
    with pytest.raises(ValueError, match="one base"):
        OnlineTables(3, bases=["a", "b"])


def test_a_graph_around_it_is_refused(mode):
    model = taught(400)

    class Around(ms.nn.Cell):
        def __init__(self):
            super().__init__()
            self.tables = model.online

        def construct(self, p, hashes):
            return self.tables.construct(p, hashes)

    x = batch(8)
    with pytest.raises(Exception, match="read on the host"):
        Around()(ms.Tensor(np.full(8, 0.5, "float32")), ms.Tensor(x["feature_hashes"]))


def test_it_serves_learns_and_is_called(mode):
    model, x = taught(), batch(64, 99)
    served = model.serve(x)
    called = model(*tensors(x), ms.Tensor(x["feature_hashes"])).asnumpy()
    np.testing.assert_allclose(called[:, 0], served["corrected"], atol=1e-6)
    np.testing.assert_array_equal(model.predict(x), served["corrected"])
    odd = x["feature_ids"][:, 0] % 2 == 1  # `batch` labels by it, and its hashes say nothing
    assert served["corrected"].shape == (64,) and odd.any()
    assert model.observe(served, x["label"]) == 64
    with pytest.raises(ValueError, match="learnt already"):
        model.observe(served, x["label"])
    with pytest.raises(ValueError, match="`correction` is of memories"):
        _ = model.correction
    base = model.base
    again = model.with_base(base)
    assert again.online is model.online
    assert not model.with_base(base, "reset").online.core.waiting.held


def test_retraction_through_the_model():
    one, two, x = taught(), taught(), batch(40, 77)
    for name, array in one.online.core.state().items():
        two.online.core.state()[name][...] = array
    two.online.load_state(one.online.core.state())
    two = ReLoop2(one.base, rule=two.online)
    receipt = one.observe_with_receipt(one.serve(x), np.zeros(40))
    one.observe(one.retract(receipt), np.ones(40))
    two.observe(two.serve(x), np.ones(40))
    for name, array in two.online.core.state().items():
        np.testing.assert_allclose(one.online.core.state()[name], array, rtol=1e-9, atol=1e-9)


def test_files_keep_all_of_it(tmp_path):
    model, x = taught(), batch(64, 99)
    save_model(model, tmp_path / "a.ckpt")
    neutral.dump(model, tmp_path / "a.npz")
    for again in (load_model(tmp_path / "a.ckpt"), neutral.load(tmp_path / "a.npz")):
        for name, array in model.online.core.state().items():
            np.testing.assert_array_equal(array, again.online.core.state()[name])
        np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-7)


def test_keras_says_the_same_both_ways(tmp_path, keras_forks):
    pytest.importorskip("keras")
    model = taught()
    save_model(model, tmp_path / "a.ckpt")
    there = convert("mindspore-to-keras", tmp_path / "a.ckpt", tmp_path / "a.keras")
    back = convert("keras-to-mindspore", tmp_path / "a.keras", tmp_path / "b.ckpt")
    assert there["corrected"] <= 1e-6 and back["corrected"] <= 1e-6
    again = load_model(tmp_path / "b.ckpt")
    for name, array in model.online.core.state().items():
        np.testing.assert_array_equal(array, again.online.core.state()[name])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rule": "offline"}, "`rule` must be None"),
        ({"rule": Online(5, ["base"])}, "`rule` must have width 3"),
        ({"rule": "online", "compensation": 0.3}, "`compensation` must be left out"),
        ({"rule": "online", "gate": True}, "`gate` must be left out"),
        ({}, "`memory` must be an ErrorMemory"),
    ],
)
def test_what_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        ReLoop2(DeepFM(CARDINALITIES, 4, (8,)), **arguments)


def test_training_batches_must_be_in_order_and_read_again():
    model, shuffled = model_of(), type("Shuffled", (list,), {"shuffle": True})
    with pytest.raises(ValueError, match="order of the log"):
        model.warm_start(shuffled([batch(50)]))
    with pytest.raises(ValueError, match="read several times"):
        model.warm_start(iter([batch(50)]))
    assert model.warm_start(lambda: [batch(50), batch(70, 1)]) == 120

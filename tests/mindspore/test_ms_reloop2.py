"""ReLoop2 served, observed, called: both modes, late labels, bad input, a new base, threads."""

import numpy as np
import pytest
from ms_support import batch, ms, tensors
from threads import SECONDS, run_threads

from mindspore_port import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    OnlineGate,
    ReLoop2,
    SketchErrorMemory,
)
from mindspore_port.convert import outputs, sure_rows
from mindspore_port.streaming import Gated


def base():
    return DeepFM([20, 10, 1], 4, (8, 6), initializer_stddev=0.5)


def feature(**arguments):
    return FeatureErrorMemory(8, residual="corrected", **arguments)


def make(kind, model=ReLoop2):
    if kind == "gated":
        memories = [feature(), SketchErrorMemory(7, 4), ExactErrorMemory(64, 5)]
        return model(base(), memories, key=["hidden", "embedding", "hidden"], gate=True)
    memory = ExactErrorMemory(64, 5) if kind == "exact" else SketchErrorMemory(7, 4)
    return model(base(), memory, 0.6, 0.7, "embedding")


def states(model):
    parts = [*model.memories, *([model.gate] if model.gate else [])]
    return [part.core.state() for part in parts]


def assert_states(model, want):
    for mine, theirs in zip(states(model), want, strict=True):
        for name, array in mine.items():
            np.testing.assert_array_equal(array, theirs[name], err_msg=name)


@pytest.mark.parametrize("kind", ["exact", "sketch", "gated"])
def test_graphs_say_what_is_served(mode, kind):
    x, model = batch(200), make(kind)
    model.adapt([x])
    plain = model.base(*tensors(x)).asnumpy()[:, 0]
    given = [*tensors(x), ms.Tensor(x["feature_hashes"])]

    def check():
        served = model.predict(x)
        # where rounding alone may decide what is found, MindSpore and NumPy may differ
        sure = sure_rows(model, outputs(model, x))
        assert sure.mean() > 0.9
        np.testing.assert_allclose(model(*given).asnumpy()[sure, 0], served[sure], atol=1e-5)
        return served

    np.testing.assert_allclose(check(), plain, atol=1e-5)  # empty memories
    served = model.serve(x)
    assert model.observe(served, x["label"]) == 200
    again = batch(90, 1)
    assert model.observe((again, again["label"][:, None])) == 90
    assert np.abs(check() - plain).max() > 0.05
    empty = model.with_base(model.base, "reset")
    np.testing.assert_allclose(empty.predict(x), plain, atol=1e-5)


def test_late_labels_are_learnt_with_what_was_read_at_serving_time():
    late, arm = ReLoop2(base(), feature(), gate=True), Gated([(feature(), "feature_hashes")])
    slots, pending = [batch(80, seed) for seed in range(4)], []
    for x in slots:  # few values, so that slots share them
        x["feature_hashes"] = x["feature_hashes"] // 2**29
        served = late.serve(x)
        assert set(served) == {"probability", "corrected", "offsets", "places_0"}
        given = {"probability": served["probability"], "feature_hashes": x["feature_hashes"]}
        predicted, kept = arm.predict(given)
        np.testing.assert_array_equal(served["corrected"], predicted)
        pending.append((served, given, kept, x["label"]))
        if len(pending) > 2:
            served, given, kept, y = pending.pop(0)
            assert late.observe(served, y) == 80
            arm.observe(given, y, kept)
    np.testing.assert_array_equal(late.gate.coefficients, arm.gate.coefficients)
    np.testing.assert_array_equal(late.memory.sums, arm.memories[0].sums)
    assert np.abs(late.predict(slots[3]) - pending[-1][0]["corrected"]).max() > 0.01


def test_bad_input_leaves_gate_and_memories_as_they_were(mode):
    model, x = make("gated"), batch(60)
    model.adapt([x])
    model.observe(x, x["label"])
    before, y = states(model), x["label"]
    served = model.serve(x)
    with pytest.raises(ValueError, match="`labels` must be 0 or 1.* in row 7"):
        model.observe(served, np.where(np.arange(60) == 7, np.nan, y))
    with pytest.raises(ValueError, match="`labels` must have 60 rows"):
        model.observe(x, y[:59])
    hashes = x["feature_hashes"]
    for change, message in (
        ({"feature_hashes": hashes.astype("float64")}, "must be integers: floats lose bits"),
        ({"feature_hashes": hashes[:, :2]}, r"must have shape \(rows, 3\)"),
        ({"feature_values": x["feature_values"] * np.float32(np.nan)}, "must be|finite"),
    ):
        with pytest.raises(ValueError, match=message):
            model.observe({**x, **change}, y)
    with pytest.raises(ValueError, match="'feature_hashes'"):
        model.predict({k: v for k, v in x.items() if k != "feature_hashes"})
    with pytest.raises(ValueError, match="`feature_hashes` must be given"):
        model(*tensors(x))
    for bad, message in ((hashes[:, :2], "must have 3 columns"), (hashes / 2, "be integers")):
        with pytest.raises(ValueError, match=message):
            model(*tensors(x), ms.Tensor(bad))
    with pytest.raises(ValueError, match="at least one row"):
        model.serve({k: v[:0] for k, v in x.items()})
    with pytest.raises(ValueError, match="`y`, the labels, must be given"):
        model.observe(x)
    other = ReLoop2(base(), feature(), gate=True).serve(x)
    with pytest.raises(ValueError, match="must be what this model's `serve` returned"):
        model.observe(other, y)
    spoilt = type(served)({**served, "places_2": served["places_2"] * 3})
    with pytest.raises(ValueError, match="`places` must be what"):  # of the last memory
        model.observe(spoilt, y)
    assert_states(model, before)
    assert model.observe(served, y) == 60
    before = states(model)
    with pytest.raises(ValueError, match="`served` was learnt already"):
        model.observe(served, y)
    assert_states(model, before)


def test_a_new_base_keeps_or_resets_and_the_class_stays():
    class Ours(ReLoop2):
        pass

    model, x = make("gated", Ours), batch(100)
    model.adapt([x])
    for _ in range(2):
        model.observe(x, x["label"])
    kept = model.with_base(base())
    assert type(kept) is Ours and list(kept.memories) == list(model.memories)
    assert kept.gate is model.gate and kept.key == model.key
    assert_states(kept, states(model))
    empty = model.with_base(base(), "reset")
    np.testing.assert_allclose(empty.predict(x), base()(*tensors(x)).asnumpy()[:, 0], atol=1e-5)
    with pytest.raises(ValueError, match="`memory`"):
        model.with_base(base(), "forget")


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="`gate` must be given"):
        ReLoop2(base(), FeatureErrorMemory(8))
    with pytest.raises(ValueError, match="`gate` must be None"):
        ReLoop2(base(), FeatureErrorMemory(8), gate="yes")
    with pytest.raises(ValueError, match="`memory` must be an ErrorMemory"):
        ReLoop2(base(), [base()])
    with pytest.raises(ValueError, match="`key` must be one of"):
        ReLoop2(base(), SketchErrorMemory(7, 4), key="last")
    with pytest.raises(ValueError, match="`key` must list one name a memory"):
        ReLoop2(base(), [feature(), feature()], key=["hidden"], gate=True)
    with pytest.raises(ValueError, match="num_offsets=3"):
        ReLoop2(base(), feature(), gate=OnlineGate(5))
    with pytest.raises(ValueError, match="`compensation`"):
        ReLoop2(base(), SketchErrorMemory(7, 4), compensation=1.5)
    adapted = SketchErrorMemory(7, 4)
    adapted.adapt(np.ones((3, 5), "float32"))
    with pytest.raises(ValueError, match="must have 5 columns. Received: 6"):
        ReLoop2(base(), adapted)


@pytest.mark.parametrize("seconds", SECONDS)
def test_eight_threads_lose_no_row_and_tear_no_reading(mode, seconds):
    """Without turns MindSpore dies of this in graph mode and takes 13 times as long in PyNative."""
    model, rows, learnt = make("gated"), 150, []
    slots = [batch(rows, seed) for seed in range(8)]
    model.adapt(slots)
    whole = [*tensors(slots[0]), ms.Tensor(slots[0]["feature_hashes"])]

    def job(number):
        x = slots[number]

        def once():
            served = model.serve(x)
            assert np.isfinite(served["corrected"]).all()
            if number == 0:
                assert np.isfinite(model(*whole).asnumpy()).all()
            elif number % 2:
                assert model.observe(served, x["label"]) == rows
                learnt.append(number)

        return once

    run_threads([job(number) for number in range(8)], seconds)
    feature, sketch, exact = model.memories
    turns = len(learnt)
    assert turns > 8
    assert [memory.num_writes for memory in model.memories] == [turns] * 3
    assert sketch.total == turns * rows == sketch.sums[:, 0].sum() / 7
    assert exact.cursor == turns * rows
    clicks = sum(int(slots[number]["label"].sum()) for number in learnt)
    np.testing.assert_allclose(sketch.sums[:, 1].sum(), 7 * clicks, rtol=1e-12)
    assert np.isfinite(feature.sums).all() and np.isfinite(model.gate.precision).all()
    assert np.linalg.eigvalsh(model.gate.precision).min() >= 1.0 - 1e-9
    given = [*tensors(slots[1]), ms.Tensor(slots[1]["feature_hashes"])]
    sure = sure_rows(model, outputs(model, slots[1]))
    np.testing.assert_allclose(
        model(*given).asnumpy()[sure, 0], model.predict(slots[1])[sure], atol=1e-5
    )


def test_a_call_checks_ids_and_values_before_a_graph_runs(mode):
    model, x = make("gated"), batch(30)
    names = ("feature_ids", "feature_values", "feature_hashes")
    for name, value in (("feature_ids", -1), ("feature_ids", 31), ("feature_values", np.nan)):
        bad = {key: x[key].copy() for key in names}
        bad[name][3, 1] = value
        with pytest.raises(ValueError, match=f"`{name}`, row 3, field 1"):
            model(*(ms.Tensor(bad[key]) for key in names))
    found = model(*(ms.Tensor(x[key]) for key in names)).asnumpy()  # the process goes on
    assert np.isfinite(found).all()


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_batches_of_no_rows_are_refused(size):
    with pytest.raises(ValueError, match="`batch_size` must be an integer >= 1"):
        make("gated").serve(batch(30), batch_size=size)

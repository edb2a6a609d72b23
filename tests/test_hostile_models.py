"""Keras models under attack: weights set, copies, callbacks within `fit`, files under load."""

import threading

import keras
import numpy as np
import pytest
from test_serving import model, rows

from reloop2_keras import DeepFM, FeatureErrorMemory, ReLoop2, SketchErrorMemory
from reloop2_keras.core.correction import Served

pytestmark = pytest.mark.backend


def gated():
    made = model(FeatureErrorMemory(8), SketchErrorMemory(7, 4), gate=True)
    made.compile("adam", "binary_crossentropy")
    made.adapt([rows(200)[0]])
    return made


def gap(made, x):
    return np.abs(made.predict(x, verbose=0)[:, 0] - made.serve(x)["corrected"]).max()


class Calls(keras.callbacks.Callback):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def on_epoch_end(self, *_):
        self.call()


def test_set_weights_changes_no_copies_of_what_was_learnt():
    made, (x, y) = gated(), rows(300)
    made.observe(x, y)
    kept = made.get_weights()
    made.set_weights(kept)  # as EarlyStopping does
    made.observe(x, 1 - y)
    base = made.base.get_weights()
    with pytest.raises(ValueError, match="would change copies alone"):
        made.set_weights([w + 1 for w in kept])
    for mine, before in zip(made.base.get_weights(), base, strict=True):
        np.testing.assert_array_equal(mine, before)
    assert gap(made, x) < 1e-5


def test_a_copy_of_an_adapted_memory_reads_as_it_does():
    keys = np.random.default_rng(0).normal(3.0, 1.0, (200, 6)).astype("float32")
    memory = SketchErrorMemory(num_arrays=8, num_bits=4)
    memory.adapt(keys)
    memory.write(keys, np.arange(200) % 2, np.full(200, 0.4))
    twin = memory.copy()
    for name, wanted in memory(keys).items():
        found = keras.ops.convert_to_numpy(twin(keys)[name])
        np.testing.assert_allclose(found, keras.ops.convert_to_numpy(wanted), atol=1e-5)


def test_predict_within_fit_is_corrected_and_stays_so():
    made, (x, y) = gated(), rows(300)
    made.observe(x, y)
    gaps = []
    made.fit(x, y, epochs=2, verbose=0, callbacks=[Calls(lambda: gaps.append(gap(made, x)))])
    assert max([*gaps, gap(made, x)]) < 1e-5


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_batches_of_no_rows_are_refused(size):
    with pytest.raises(ValueError, match="`batch_size` must be an integer >= 1"):
        gated().serve(rows(10)[0], batch_size=size)


def test_a_file_saved_beside_observe_holds_one_moment(tmp_path):
    made, (x, y) = model(FeatureErrorMemory(8), FeatureErrorMemory(8), gate=True), rows(50)
    made.observe(x, y)
    second = made.memories[1]
    inner = second.save_own_variables

    def slow(store):  # another thread learns after the first memory was written
        thread = threading.Thread(target=made.observe, args=(x, y))
        thread.start()
        thread.join(60)
        inner(store)

    second.save_own_variables = slow
    made.save(tmp_path / "model.keras")
    assert second.num_writes == 2
    loaded = keras.saving.load_model(tmp_path / "model.keras").memories
    assert [memory.num_writes for memory in loaded] == [1, 1]


def test_first_calls_of_a_layer_at_the_same_time_add_its_weights_once():
    for _ in range(10):
        memory, start, errors = FeatureErrorMemory(4), threading.Barrier(4), []

        def write(memory=memory, start=start, errors=errors):
            start.wait()
            try:
                memory.write(np.zeros((1, 2), "int32"), [1], [0.5])
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(memory.weights) == 1 and memory.num_writes == 4


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda x, y: ReLoop2(None, FeatureErrorMemory(4), gate=True), "`base` must be a keras"),
        (lambda x, y: gated_of(key=3), "`key` must list one name a memory"),
        (lambda x, y: gated_of().observe(Served(), y), "`correction` is of a model that is built"),
        (lambda x, y: gated_of().observe([1, 2], y), "`inputs` must be a dict"),
        (lambda x, y: gated_of().observe("abc", y), "`inputs` must be a dict"),
        (lambda x, y: gated_of().adapt(7) or gated_of().warm_start(7), "`batches` must give"),
        (lambda x, y: DeepFM([20, 2.7]), "`fields` number 1: `cardinality` must be an integer"),
        (lambda x, y: DeepFM([2**31 - 1], 64).build(), "must have at most 17,179,869,184 numbers"),
        (lambda x, y: DeepFM([9], initializer_stddev=float("nan")), "`initializer_stddev` must"),
        (lambda x, y: DeepFM([9], row_sparse="no"), "`row_sparse` must be True or False"),
    ],
)
def test_arguments_that_were_taken_or_ended_in_a_traceback_are_named(call, told):
    x, y = rows(10)
    with pytest.raises(ValueError, match=told):
        call(x, y)


@pytest.mark.parametrize("way", ["serve", "predict", "observe"])
def test_hashes_of_fewer_columns_do_not_fix_a_memory_for_good(way):
    made, (x, y) = gated_of(), rows(10)
    bad = {**x, "feature_hashes": x["feature_hashes"][:, :1]}
    call = (lambda: made.observe(bad, y)) if way == "observe" else (lambda: getattr(made, way)(bad))
    with pytest.raises(ValueError, match=r"must have shape \(rows, \d+\), or more columns"):
        call()
    assert made.observe(x, y) == 10


def gated_of(**options):
    return model(FeatureErrorMemory(4), gate=True, **options)

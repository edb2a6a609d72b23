"""Training that was stopped goes on bit for bit: masks, order of rows, place within an epoch."""

import keras
import numpy as np
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras import DeepFM, ExactBackup, PreparedDataset
from reloop2_keras.layers import SeededDropout

pytestmark = pytest.mark.backend
numpy = keras.ops.convert_to_numpy


def mixed(x):
    """The hash of the masks in uint64 arithmetic; shifts are those of signed numbers."""
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39), (15, 1)):
        signed = x.astype("uint32").astype("int32")
        x = (signed ^ (signed >> shift)).astype("uint32").astype("uint64") * factor % 2**32
    return x


def test_masks_are_those_of_an_oracle_and_files_hold_the_step(tmp_path):
    x = np.random.default_rng(0).random((9, 5)).astype("float32")
    layer = SeededDropout(0.4, seed=70_001)
    model = keras.Sequential([keras.Input((5,)), layer])
    for step in range(3):
        salt = 70_001 % 65_521 * 32_749
        start = mixed(np.array([(step + salt) % 2**32], "uint64"))
        bits = mixed(np.arange(45, dtype="uint64") ^ start).astype("int64") & 0xFFFFFF
        kept = (bits >= int(0.4 * 2**24)).reshape(9, 5)
        got = numpy(model(x, training=True))
        np.testing.assert_allclose(got, x * kept / 0.6, rtol=1e-6)
    np.testing.assert_array_equal(numpy(model(x)), x)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(numpy(again(x, training=True)), numpy(model(x, training=True)))
    for rate in (1.0, "a tenth", True):
        with pytest.raises(ValueError, match="`rate`"):
            SeededDropout(rate)


def test_masks_count_places_whatever_the_shape():
    x = np.random.default_rng(1).random((6, 4, 2)).astype("float32")
    one, two = (SeededDropout(0.5, seed=2)(a, training=True) for a in (x, x.reshape(6, 8)))
    np.testing.assert_array_equal(numpy(one).reshape(6, 8), numpy(two))
    row = keras.Input((4, 2))
    model = keras.Model(row, SeededDropout(0.5, seed=2)(row))
    np.testing.assert_array_equal(numpy(model(x, training=True)), numpy(one))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("backup") / "dataset"
    prepare(synthetic(rows=900, users=20, items=10), out, slots=2, progress=False)
    return PreparedDataset(out)


def made(dataset, hidden=(6,), dropout=0.2):
    keras.utils.set_random_seed(3)
    model = DeepFM(dataset.fields, 4, hidden, dropout)
    model.build()
    area = keras.metrics.AUC(num_thresholds=20, name="auc")
    model.compile("adam", "binary_crossentropy", metrics=[area])
    return model


class Stop(keras.callbacks.Callback):
    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def fitted(dataset, backup=None, stop=None, epochs=3):
    model = made(dataset)
    callbacks = [c for c in (backup, stop and Stop(stop)) if c is not None]
    try:
        history = model.fit(dataset.train(200), epochs=epochs, verbose=0, callbacks=callbacks)
    except KeyboardInterrupt:
        return None
    return [numpy(v) for v in (*model.weights, *model.optimizer.variables)], history.history


def assert_same(one, two):
    for a, b in zip(one[0], two[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert one[1] == two[1]


def test_a_run_goes_on_from_within_an_epoch_and_from_the_state_before_a_damaged_one(
    dataset, tmp_path
):
    whole, steps = fitted(dataset), len(dataset.train(200))
    assert steps >= 3
    for after in (1, steps + 2):
        assert fitted(dataset, ExactBackup(tmp_path / "a", every=1), after) is None
    newest = ExactBackup(tmp_path / "a").states.paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-20])
    with pytest.warns(UserWarning, match="the state before it is taken"):
        got = fitted(dataset, ExactBackup(tmp_path / "a", every=1))
    assert_same(whole, got)
    # one that has ended is not run again; with more epochs it goes on
    assert_same(whole, fitted(dataset, ExactBackup(tmp_path / "a"), stop=1))
    assert_same(fitted(dataset, epochs=4), fitted(dataset, ExactBackup(tmp_path / "a"), epochs=4))
    for every in (0, 1.5, "often"):
        with pytest.raises(ValueError, match="`every`"):
            ExactBackup(tmp_path, every=every)


def test_the_order_of_an_epoch_is_that_of_its_number_in_fit(dataset):
    asked = []
    batches = dataset.train(200)
    read = batches._rows.read
    batches._rows.read = lambda epoch, *rows: asked.append(epoch) or read(epoch, *rows)
    model = made(dataset)
    model.fit(batches, initial_epoch=2, epochs=4, verbose=0)
    assert batches.epoch == 3 and {2, 3} <= set(asked) <= {0, 2, 3}  # 0: to build metrics
    model.fit(batches, epochs=1, verbose=0)  # counts on
    assert batches.epoch == 4


def test_the_backup_of_another_run_is_refused_by_name(dataset, tmp_path):
    def run(data=None, stop=None, change=None, model=None):
        stop = keras.callbacks.EarlyStopping("loss", patience=3 if stop is None else stop)
        backup = ExactBackup(tmp_path / "a", callbacks=[stop])
        model = made(dataset) if model is None else model
        given = {"epochs": 1, "verbose": 0, "callbacks": [stop, backup]}
        model.fit(dataset.train(200) if data is None else data, **given)

    run()
    run()  # the same again, whatever names layers have by now
    prepare(synthetic(rows=900, users=20, items=10), tmp_path / "other", slots=3, progress=False)
    other = made(dataset)
    other.compile(keras.optimizers.Adam(0.5), "mse", metrics=[keras.metrics.AUC(name="auc")])
    for given, told in (
        ({"data": PreparedDataset(tmp_path / "other").train(200)}, "data.checksum: "),
        ({"data": dataset.train(200, seed=7)}, "data.seed: 1001 then, 7 now"),
        ({"data": dataset.train(100)}, "data.batch_size: 200 then, 100 now"),
        ({"stop": 4}, "callbacks: .*"),
        ({"model": made(dataset, (7,))}, r"hidden_units: \[6\] then, \[7\] now"),
        ({"model": made(dataset, dropout=0.3)}, "dropout: 0.2 then, 0.3 now"),
        ({"model": other}, "compiled.loss: binary_crossentropy then, mse now"),
        ({"model": other}, "compiled.optimizer.*learning_rate: .* then, 0.5 now"),
    ):
        with pytest.raises(ValueError, match=f"expected the state of this run.*{told}"):
            run(**given)
    states = ExactBackup(tmp_path / "a").states
    head, arrays = states.newest()
    states.save({**head, "about": {**head["about"], "backend": "numpy"}}, arrays)
    with pytest.raises(ValueError, match="backend: numpy then, "):
        run()
    states.save({**head, "about": {**head["about"], "code": "0"}}, arrays)
    with pytest.warns(UserWarning, match="not bit for bit: code"):
        run()

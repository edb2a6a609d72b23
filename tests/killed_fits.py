"""Kills runs of `fit` and tells whether the next run ends as one that was never stopped.

python killed_fits.py FOLDER KILLS [FIRST] prints one line of JSON a kill, from number FIRST. Each
run is a fork of this process, which imports Keras and computes nothing, so that no thread is
missed.
"""

import json
import os
import random
import sys
from pathlib import Path

from absent import hide

hide(*{"tensorflow", "jax", "torch"} - {os.environ["KERAS_BACKEND"]})

import keras  # noqa: E402
import numpy as np  # noqa: E402
from killed_steps import Watch  # noqa: E402

from data_scripts import prepare, synthetic  # noqa: E402
from reloop2_keras import DeepFM, ExactBackup, PreparedDataset  # noqa: E402
from reloop2_keras.layers import SeededDropout  # noqa: E402

EPOCHS = 4
KINDS = ("plain", "rows", "functional")


def made(kind, fields):
    keras.utils.set_random_seed(3)
    if kind == "functional":
        ids = keras.Input((len(fields),), name="feature_ids", dtype="int32")
        values = keras.Input((len(fields),), name="feature_values")
        hidden = keras.layers.Dense(8, "relu")(values)
        hidden = keras.layers.Dropout(0.3, seed=4)(SeededDropout(0.2)(hidden))
        out = keras.layers.Dense(1, "sigmoid")(hidden)
        model = keras.Model({"feature_ids": ids, "feature_values": values}, out)
    else:
        model = DeepFM(fields, 4, (8, 4), 0.2, embedding_l2=1e-5, row_sparse=kind == "rows")
        model.build()
    area = keras.metrics.AUC(num_thresholds=50, name="auc")
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy", metrics=[area])
    return model


class Moments(keras.callbacks.Callback):
    """Counts moments of a run: steps of training, and file events; dies at one of them."""

    def __init__(self, folder, kill_at):
        super().__init__()
        self.watch = Watch(folder, kill_at)

    def on_train_batch_begin(self, batch, logs=None):
        self.watch.one()

    def on_train_batch_end(self, batch, logs=None):
        self.watch.one()


def fit(folder, kind, name, kill_at=None, every=3):
    """Train, gone on from the backup that is there; writes all that came out."""
    dataset = PreparedDataset(folder / "dataset")
    model, batches = made(kind, dataset.fields), dataset.train(120, seed=5, shuffle_rows=200)
    stop = keras.callbacks.EarlyStopping("loss", patience=9, restore_best_weights=True)
    backup, moments = ExactBackup(folder / name, every, [stop]), Moments(folder / name, kill_at)
    backup.follow(batches)  # which `fit` of a functional model does not
    shared = {"epochs": EPOCHS, "verbose": 0, "shuffle": False}
    history = model.fit(batches, callbacks=[stop, moments, backup], **shared)
    state = [*model.weights, *model.optimizer.variables]
    found = {str(n): keras.ops.convert_to_numpy(v) for n, v in enumerate(state)}
    found |= history.history
    found |= {"moments": moments.watch.seen, "renamed": len(moments.watch.renamed)}
    np.savez(folder / f"{name}.npz", **found)


def forked(function, *arguments):
    """Start `function` in a fork; returns its process id."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            function(*arguments)
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(status)
    return process


def ended(process):
    """Wait for a fork; returns its exit status, below 0 if it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def differences(one, two):
    """Names of what differs between two runs' ends."""
    with np.load(one) as a, np.load(two) as b:
        names = sorted({*a.files, *b.files} - {"moments", "renamed"})
        return [n for n in names if not (n in a and n in b and np.array_equal(a[n], b[n]))]


def prepared(folder):
    made = synthetic(rows=1500, seed=1, users=20, items=10)
    prepare(made, folder / "dataset", slots=3, progress=False)


def main(folder, kills, first=0):
    """Print one line of JSON a kill."""
    if not (folder / "dataset").exists():
        assert ended(forked(prepared, folder)) == 0
    for number in range(first, first + kills):
        rng = random.Random(11 + number)
        kind = KINDS[number % len(KINDS)]
        whole = folder / f"whole-{kind}.npz"
        if not whole.exists():
            assert ended(forked(fit, folder, kind, whole.stem)) == 0
        with np.load(whole) as found:
            moment = rng.randint(1, int(found["moments"]))
            if number % 4 == 1:  # while a state is half written
                moment = f"half {rng.randint(1, int(found['renamed']))}"
        name = f"{kind}-{number}"
        killed = ended(forked(fit, folder, kind, name, moment))
        states = len(list((folder / name).glob("*.state")))
        again = ended(forked(fit, folder, kind, name))
        line = {"kind": kind, "moment": moment, "killed": killed, "states": states, "again": again}
        line["left"] = len(list((folder / name).glob("*.state")))
        line["strays"] = len(list((folder / name).glob(".*")))
        line["differ"] = differences(whole, folder / f"{name}.npz") if again == 0 else ["all"]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

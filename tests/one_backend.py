"""Writes and reads model files where no backend but one can be imported: a process of its own.

python one_backend.py write FOLDER    models, and what they predict and how they train on
python one_backend.py read FOLDER …   ends with an error unless the same comes out here
"""

import os
import sys
from pathlib import Path

from absent import hide

hide(*{"tensorflow", "jax", "torch"} - {os.environ["KERAS_BACKEND"]})
# Keras notes in a functional model's file that JAX compiled it; torch.compile takes 9 s for each
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import keras  # noqa: E402
import numpy as np  # noqa: E402

from reloop2_keras import DeepFM, FieldEmbedding, ReLoop2, SketchErrorMemory  # noqa: E402

numpy = keras.ops.convert_to_numpy
# a dense term in the gradient: without it Keras on TensorFlow squares the parts of a repeated
# id's gradient one by one, and Adam differs from that of the other backends
L2 = 1e-3


def batch(seed, rows=64):
    rng = np.random.default_rng(seed)
    ids = (rng.integers(0, 10, (rows, 3)) + [0, 10, 20]).astype("int32")
    values = rng.random((rows, 3)).astype("float32")
    return {"feature_ids": ids, "feature_values": values}, rng.integers(0, 2, (rows, 1))


def fitted(model, optimizer):
    model.compile(optimizer, "binary_crossentropy", metrics=["AUC"])
    for seed in range(3):
        model.train_on_batch(*batch(seed))
    return model


def deepfm(**options):
    keras.utils.set_random_seed(1)
    options = {"embedding_l2": L2, "initializer_stddev": 0.3, **options}
    return DeepFM([10, 10, 10], 4, (8, 6), **options)


def functional():
    ids = keras.Input((3,), dtype="int32", name="feature_ids")
    values = keras.Input((3,), name="feature_values")
    vectors = FieldEmbedding(30, 4, embeddings_regularizer="l2")(ids, values)
    last = keras.layers.Dense(6, activation="relu", name="hidden")(keras.layers.Flatten()(vectors))
    out = keras.layers.Dense(1, activation="sigmoid")(last)
    return keras.Model({"feature_ids": ids, "feature_values": values}, out)


def wrapped(base):
    model = ReLoop2(base, SketchErrorMemory(5, 4))
    model.observe(*batch(7))
    return model


def models():
    """Yield (name, model): compiled and fitted, alone, or as the base of a ReLoop2."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.05, 2, 0.5)
    yield "base", fitted(deepfm(), "adam")
    yield "schedule", fitted(deepfm(), keras.optimizers.Adam(schedule))
    yield "rows", fitted(deepfm(row_sparse=True), keras.optimizers.SGD(0.1, momentum=0.9))
    yield "dropout", fitted(deepfm(dropout=0.2), "adamw")
    yield "half", fitted(deepfm(dtype="mixed_float16"), "rmsprop")
    yield "wrapped", wrapped(fitted(deepfm(row_sparse=True), "adam"))
    yield "functional", wrapped(fitted(functional(), "adagrad"))
    yield "whole", fitted(wrapped(deepfm()), "adam")


def told(model):
    """What a model holds and does: optimizer state, predictions, weights after another step."""
    trained = model if getattr(model, "optimizer", None) else model.base
    state = [numpy(v) for v in trained.optimizer.variables]
    predicted = model.predict(batch(8)[0], verbose=0)
    trained.train_on_batch(*batch(9))
    after = [numpy(w) for w in trained.trainable_weights]
    out = {f"state{i}": array for i, array in enumerate(state)}
    out |= {f"after{i}": array for i, array in enumerate(after)}
    return {**out, "predicted": predicted}


def write(folder):
    for name, model in models():
        model.save(f"{folder}/{name}.keras")
        np.savez(f"{folder}/{name}.npz", **told(model))


def read(*folders):
    for path in sorted(path for folder in folders for path in Path(folder).glob("*.keras")):
        name, model = path.stem, keras.saving.load_model(path)
        with np.load(path.with_suffix(".npz")) as expected:
            found = told(model)
            assert found.keys() == set(expected), (name, found.keys() ^ set(expected))
            for key, array in found.items():
                if key.startswith("state"):
                    np.testing.assert_array_equal(array, expected[key], err_msg=f"{name} {key}")
                elif not key.startswith("after") or name != "dropout":  # masks differ
                    atol = 5e-3 if name == "half" else 2e-5
                    np.testing.assert_allclose(
                        array, expected[key], atol=atol, err_msg=f"{name} {key}"
                    )


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])

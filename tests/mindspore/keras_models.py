"""Makes Keras models with filled memories: python keras_models.py FOLDER (a process of its own)."""

import sys

import keras
import numpy as np

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    ReLoop2,
    SketchErrorMemory,
)


def batch(seed, rows=500):
    rng = np.random.default_rng(seed)
    ids = (rng.integers(0, 10, (rows, 3)) + [0, 10, 20]).astype("int32")
    return {
        "feature_ids": ids,
        "feature_values": rng.random((rows, 3)).astype("float32"),
        "feature_hashes": (ids * np.int32(40503)).astype("int32"),
    }, (rng.random(rows) < np.where(ids[:, 0] % 2, 0.8, 0.2)).astype("uint8")


def models():
    keras.utils.set_random_seed(1)
    base = DeepFM([10, 10, 10], 4, (8, 6), initializer_stddev=0.5)
    base.build()
    yield "base", base
    yield (
        "sketch",
        ReLoop2(base, SketchErrorMemory(20, 8, key_normalization="whiten"), 0.6, 0.7, "hidden"),
    )
    yield "exact", ReLoop2(base, ExactErrorMemory(400, 9), key="embedding")
    memories = [
        FeatureErrorMemory(8, crosses=[[0, 2]], residual="corrected"),
        SketchErrorMemory(9, 6, decay=0.9),
        ExactErrorMemory(600, 7, key_normalization="none"),
    ]
    yield "gated", ReLoop2(base, memories, key=["hidden", "embedding", "hidden"], gate=True)


if __name__ == "__main__":
    for name, model in models():
        if name != "base":
            model.adapt([batch(0)[0]])
            for seed in (1, 2):
                model.observe(*batch(seed))
        model.save(f"{sys.argv[1]}/{name}.keras")

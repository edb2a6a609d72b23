"""Makes Keras models with filled memories: a process of its own.

python keras_models.py FOLDER        models, neutral files, and what keras_stream.py writes
python keras_models.py FOLDER OUT    neutral files, loaded and written anew
"""

import sys
from pathlib import Path

import keras
import keras_stream
import numpy as np

from reloop2_keras import (
    DeepFM,
    ExactErrorMemory,
    FeatureErrorMemory,
    ReLoop2,
    SketchErrorMemory,
)
from reloop2_keras.models import neutral


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


def again(folder, out):
    """Load the neutral files of a folder and write them anew."""
    for path in Path(folder).glob("*.npz"):
        neutral.dump(neutral.load(path), Path(out) / path.name)


if __name__ == "__main__":
    folder = sys.argv[1]
    if len(sys.argv) > 2:
        again(*sys.argv[1:])
        sys.exit()
    for name, model in models():
        if name != "base":
            model.adapt([batch(0)[0]])
            for seed in (1, 2):
                model.observe(*batch(seed))
        model.save(f"{folder}/{name}.keras")
        neutral.dump(model, f"{folder}/{name}.npz")
    feature, sketch = model.memories[:2]
    h = np.random.default_rng(0).integers(-(2**31), 2**31, (300, 3)).astype("int32")
    k = np.random.default_rng(1).standard_normal((300, 12)).astype("float32")
    buckets = {"feature": feature.places(h), "sketch": sketch.places(k)}
    buckets = {kind: keras.ops.convert_to_numpy(value) for kind, value in buckets.items()}
    np.savez(f"{folder}/buckets.npz", h=h, k=k, **buckets)
    keras_stream.write(folder)

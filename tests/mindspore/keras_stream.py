"""A small stream through the arms of Keras or MindSpore: python keras_stream.py FOLDER.

The log and the arms are made here for both: `predictions` takes the package to make them of.
"""

import sys

import numpy as np


class ArraySlot:
    def __init__(self, arrays):
        self.arrays = arrays

    def load(self):
        return self.arrays


def slots(count=6, rows=300):
    """A log whose clicks depend on the user, and on the item more and more.

    The last field's value differs from row to row, so that no two keys are alike: which of equally
    near neighbours are the 50 nearest is up to each backend's top_k.
    """
    rng = np.random.default_rng(0)
    made = []
    for step in range(count):
        user, item = rng.integers(0, 40, rows), rng.integers(0, 30, rows)
        ids = np.stack([user, 40 + item, np.full(rows, 70)], axis=1).astype("int32")
        values = np.ones((rows, 3), "float32")
        values[:, 2] = rng.uniform(0.5, 1.5, rows)
        logits = np.where(user % 2, 1.0, -1.0) + step / 4 * np.where(item % 3, 0.5, -1.0)
        arrays = {"feature_ids": ids, "feature_values": values}
        arrays["feature_hashes"] = (ids * np.int32(40503)).astype("int32")
        arrays["label"] = (rng.random(rows) < 1 / (1 + np.exp(-logits))).astype("uint8")
        made.append(ArraySlot(arrays))
    return made


def predictions(package, streaming, base):
    """Return arm -> probabilities of the stream; labels come a slot late, the ring fills up."""
    log = slots()
    frozen = streaming.FrozenBase(base)
    keys = frozen.serve(log[0].load())
    feature = package.FeatureErrorMemory(9, crosses=[[0, 1]], residual="corrected", decay=0.9)
    sketch = package.SketchErrorMemory(30, 10)
    exact = package.ExactErrorMemory(800, 50)
    for memory in (sketch, exact):
        memory.adapt(keys["embedding"])
    fast = {
        "frozen": None,
        "recalibrated": streaming.Recalibration(),
        "sketch": streaming.Memory(sketch, "embedding", 0.8, 0.7),
        "exact": streaming.Memory(exact, "embedding", 0.6),
        "feature": streaming.Gated([(feature, "feature_hashes")]),
    }
    arms = [streaming.Arm(name, frozen, part) for name, part in fast.items()]
    trained = streaming.IncrementalBase(base, learning_rate=0.02, batch_size=100)
    arms.append(streaming.Arm("incremental", trained))
    report = package.prequential(log[2:], arms, delay=1, warmup=log[1:2])
    return {arm: runs[0] for arm, runs in report.predictions.items()}


def write(folder):
    """Write the base as `stream_base.npz` (neutral), Keras' predictions as `stream.npz`."""
    import reloop2_keras
    from reloop2_keras import DeepFM, streaming
    from reloop2_keras.models import neutral

    model = DeepFM([40, 30, 1], 4, (8, 6))
    model.build()
    draw = np.random.default_rng(1).normal  # alike on every backend
    model.set_weights([draw(0.0, 0.3, w.shape).astype("float32") for w in model.get_weights()])
    neutral.dump(model, f"{folder}/stream_base.npz")
    np.savez(f"{folder}/stream.npz", **predictions(reloop2_keras, streaming, model))


if __name__ == "__main__":
    write(sys.argv[1])

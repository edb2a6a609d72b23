"""M4: what the feature-keyed memory, its gate and its writes add to the T1 model's predict."""

import numpy as np

from benchmarks.common import clicks, deepfm, interleaved, median, write

BACKENDS = ("torch", "jax", "tensorflow")


def run(quick):
    from reloop2_keras import FeatureErrorMemory
    from reloop2_keras.streaming import Gated

    x, y, cardinalities = clicks(4096, 1_000_000 // 26)
    base = deepfm(cardinalities, "whole")
    memory = FeatureErrorMemory(num_bits=16)
    hashes = np.random.default_rng(0).integers(-(2**31), 2**31, (4096, 39)).astype("int32")
    labels, p = y[:, 0], np.random.default_rng(1).random(4096).astype("float32")
    memory.write(hashes, labels, p)
    arm = Gated([(memory, "feature_hashes")])
    served = {"feature_hashes": hashes, "probability": p}

    def ours():
        _, kept = arm.predict(served)
        arm.observe(served, labels, kept)

    times = interleaved(
        {"ours": ours, "base": lambda: np.asarray(base.predict_on_batch(x))},
        repetitions=7 if quick else 15,
        warmup=2,
    )
    share = np.array(times["ours"]) / np.array(times["base"])
    write(
        "m4-read-gate-write-over-base-predict",
        median(times, "ours") * 1e6 / 4096,
        median(times, "base") * 1e6 / 4096,
        "us a row",
        float(np.median(1 / share)),
        1 / 0.1,
        note="ratio: base predict over ours",
    )

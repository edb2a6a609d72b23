"""V2: `ReLoop2.serve` with `rule="online"` over the base model's `predict`; 39 fields."""

import numpy as np

from benchmarks.common import clicks, compare, deepfm, interleaved
from benchmarks.v1 import MODELS

BACKENDS = ("torch", "jax", "tensorflow")
LIMIT = 1.25
BATCHES = {512: 20, 4096: 4}  # rows -> steps a turn
CROSSES = [[0, 1], [1, 2], [2, 3], [0, 3]]


def run(quick):
    from reloop2_keras import ReLoop2
    from reloop2_keras.core.online import Online

    x, y, cardinalities = clicks(4096 * 4, 1000)
    rng = np.random.default_rng(0)
    ids = np.minimum(rng.pareto(1.05, (len(y), 39)) * 200, 60_000).astype("int64")
    hashes = ((ids * 2654435761 + np.arange(39) * 97) & 0xFFFFFFFF).astype("uint32").view("int32")
    for label, hidden_units in MODELS.items():
        base = deepfm(cardinalities, "whole", 16, hidden_units)
        online = Online(39, ["base"], CROSSES)
        online.start([(hashes, y[:, 0])])
        model = ReLoop2(base, rule=online)
        both = {**x, "feature_hashes": hashes}
        model.observe(model.serve(both, batch_size=4096), y[:, 0])
        for batch, steps in BATCHES.items():
            part = {name: array[: batch * steps] for name, array in both.items()}
            plain = {name: array for name, array in part.items() if name != "feature_hashes"}
            times = interleaved(
                {
                    "serve": lambda m=model, p=part, b=batch: m.serve(p, batch_size=b),
                    "base": lambda m=base, p=plain, b=batch: m.predict(p, batch_size=b, verbose=0),
                    "core": lambda m=online, h=part["feature_hashes"]: m.predict(
                        h, np.full(len(h), 0.3)
                    ),
                },
                repetitions=5 if quick else 15,
            )
            rows = batch * steps
            took = float(np.median(times["core"]))
            compare(
                f"v2-serve-online-batch-{batch}{label}",
                times,
                "serve",
                "base",
                1 / LIMIT if batch == 4096 else None,
                unit="us a row",
                scale=1e6 / rows,
                note=f"the two stages alone take {took * 1e6 / rows:.2f} us a row",
            )

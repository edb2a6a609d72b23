"""T1: a training step of DeepFM, 26 + 13 fields, table 1e6 x 16, MLP 3 x 400, batch 4096."""

from benchmarks.common import BACKEND, clicks, compare, deepfm, interleaved, step_seconds

BACKENDS = ("torch", "jax", "tensorflow")


def run(quick):
    x, y, cardinalities = clicks(4096 * (4 if quick else 6), 1_000_000 // 26)
    models = {kind: deepfm(cardinalities, kind) for kind in ("rows", "whole", "frozen")}
    times = interleaved(
        {kind: lambda m=m: step_seconds(m, x, y, 4096) for kind, m in models.items()},
        repetitions=3 if quick else 5,
    )
    target = 1.8 if BACKEND == "torch" else 1.25
    compare("t1-step-against-keras-adam", times, "rows", "whole", target)
    compare("t1-step-against-frozen-table", times, "rows", "frozen", 1 / 1.35)

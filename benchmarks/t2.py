"""T2: the same with a table of 5e6 x 16 and batches of 256: the table should not matter."""

from benchmarks.common import clicks, compare, deepfm, interleaved, step_seconds

BACKENDS = ("torch", "jax", "tensorflow")


def run(quick):
    x, y, cardinalities = clicks(256 * (3 if quick else 4), 5_000_000 // 26)
    models = {kind: deepfm(cardinalities, kind) for kind in ("rows", "whole")}
    times = interleaved(
        {kind: lambda m=m: step_seconds(m, x, y, 256) for kind, m in models.items()},
        repetitions=3 if quick else 5,
    )
    compare("t2-step-large-table", times, "rows", "whole", 20)

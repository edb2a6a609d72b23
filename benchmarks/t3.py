"""T3: the step's time as the table grows from 1e5 to 1e7 rows."""

from benchmarks.common import clicks, compare, deepfm, interleaved, step_seconds

BACKENDS = ("torch", "jax", "tensorflow")
QUICK_BACKENDS = ("torch",)


def run(quick):
    sizes = (100_000, 10_000_000)
    steps = {}
    for size in sizes:
        x, y, cardinalities = clicks(4096 * 4, size // 26)
        model = deepfm(cardinalities, "rows")
        steps[size] = lambda m=model, x=x, y=y: step_seconds(m, x, y, 4096)
    times = interleaved(steps, repetitions=3 if quick else 5)
    compare("t3-step-from-1e5-to-1e7-rows", times, sizes[1], sizes[0], 1 / 1.15)

"""V1: `ReLoop2.predict` over the base model's `predict`, 32 x 2^12, d = 64."""

from benchmarks.common import clicks, compare, deepfm, interleaved

BACKENDS = ("torch", "jax", "tensorflow")
BATCHES = {1: (100, 1.25), 64: (60, 1.15), 512: (20, 1.1), 4096: (4, 1.1)}


def run(quick):
    from reloop2_keras import ReLoop2, SketchErrorMemory

    x, y, cardinalities = clicks(4096 * 4, 1000)
    base = deepfm(cardinalities, "whole", 16, (128, 64))
    model = ReLoop2(base, SketchErrorMemory(32, 12))
    model.adapt([x])
    model.observe(x, y)
    for batch, (steps, limit) in BATCHES.items():
        part = {name: array[: batch * steps] for name, array in x.items()}
        times = interleaved(
            {
                "reloop2": lambda p=part, b=batch: model.predict(p, batch_size=b, verbose=0),
                "base": lambda p=part, b=batch: base.predict(p, batch_size=b, verbose=0),
            },
            repetitions=5 if quick else 9,
        )
        scale = 1e3 / steps
        compare(f"v1-predict-batch-{batch}", times, "reloop2", "base", 1 / limit, scale=scale)

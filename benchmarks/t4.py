"""T4: the reference configuration (embedding 80, 1024-512-256-128, batch 4096)."""

import tempfile
import time

import numpy as np

from benchmarks.common import (
    BACKEND,
    clicks,
    compare,
    deepfm,
    interleaved,
    median,
    need,
    step_seconds,
    write,
)

BACKENDS = ("torch", "jax", "tensorflow")
QUICK_BACKENDS = ("torch",)
HIDDEN = (1024, 512, 256, 128)


def matmul_seconds():
    """Time of the first layer's product on this backend: the measured peak."""
    import keras

    a = keras.ops.convert_to_tensor(np.random.rand(4096, 39 * 80).astype("float32"))
    b = keras.ops.convert_to_tensor(np.random.rand(39 * 80, 1024).astype("float32"))

    def once():
        start = time.perf_counter()
        float(keras.ops.convert_to_numpy(keras.ops.matmul(a, b))[0, 0])
        return time.perf_counter() - start

    return min(once() for _ in range(3))


def run(quick):
    compare_step(quick, "", 10_000)
    if BACKEND == "torch" and not quick:
        # FuxiCTR trains the whole table in every step: how many ids there are decides. The row
        # above has 260,000; this one has as many as T1
        compare_step(quick, "-1e6-ids", 1_000_000 // 26)


def compare_step(quick, suffix, cardinality):
    x, y, cardinalities = clicks(4096 * 3, cardinality)
    model = deepfm(cardinalities, "rows", 80, HIDDEN, initializer_stddev=0.01)
    functions = {
        "rows": lambda: step_seconds(model, x, y, 4096),
        "matmul": matmul_seconds,
    }
    name = f"t4-step-against-fuxictr{suffix}"
    if BACKEND == "torch" and need("fuxictr", name, 1.3, "ms"):
        try:
            functions["fuxictr"] = fuxictr_step(x, y, cardinalities)
        except Exception as error:  # the row says what the peer could not do
            note = f"peer fuxictr broke: {type(error).__name__}: {error}"[:200]
            write(name, None, None, "ms", None, 1.3, note=note)
    times = interleaved(functions, repetitions=3 if quick else 5)
    widths = [39 * 80, *HIDDEN, 1]
    products = sum(a * b for a, b in zip(widths[:-1], widths[1:], strict=True))
    # forward, and twice that backward
    step = 6 * 4096 * products / median(times, "rows") / 1e9
    peak = 2 * 4096 * widths[0] * widths[1] / median(times, "matmul") / 1e9
    pairs = zip(times["rows"], times["matmul"], strict=True)
    share = float(np.median([3 * m * products / (widths[0] * widths[1]) / r for r, m in pairs]))
    note = "share of the matmul peak measured between the steps"
    write(f"t4-share-of-matmul-peak{suffix}", step, peak, "GFLOP/s", share, 0.4, note=note)
    if "fuxictr" in functions:
        compare(name, times, "rows", "fuxictr", 1.3)


def fuxictr_step(x, y, cardinalities):
    from benchmarks.fuxictr_deepfm import make

    model, batch = make(cardinalities, 80, HIDDEN, tempfile.mkdtemp())
    offsets = np.cumsum([0, *cardinalities[:-1]])
    part = {name: array[:4096] for name, array in x.items()}
    data = batch(part, y[:4096], offsets)

    def step():
        taken = []
        for _ in range(2):
            start = time.perf_counter()
            float(model.train_step(data))
            taken.append(time.perf_counter() - start)
        return float(np.median(taken))

    return step

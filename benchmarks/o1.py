"""O1: one row through the public API, `serve` and then `observe`; feature memory, base on JAX."""

import numpy as np

from benchmarks.common import clicks, deepfm, interleaved, median, write

BACKENDS = ("jax",)
LIMIT = 1.2  # ms for both
ROWS = 200  # a turn


def run(quick):
    from reloop2_keras import FeatureErrorMemory, ReLoop2

    x, y, cardinalities = clicks(4096, 1000)
    base = deepfm(cardinalities, "whole", 16, (400, 400, 64))
    model = ReLoop2(base, FeatureErrorMemory(), gate=True)
    hashes = np.random.default_rng(0).integers(-(2**31), 2**31, (4096, 39)).astype("int32")
    with_hashes = {**x, "feature_hashes": hashes}
    model.observe(with_hashes, y)
    rows = [{name: a[i : i + 1] for name, a in with_hashes.items()} for i in range(ROWS)]
    plain = [{name: a[i : i + 1] for name, a in x.items()} for i in range(ROWS)]
    labels = y[:ROWS, 0]

    def serve():
        for row in rows:
            model.serve(row)

    def both():
        for row, label in zip(rows, labels, strict=True):
            model.observe(model.serve(row), [label])

    def alone():
        for row in plain:
            np.asarray(base.predict_on_batch(row))

    functions = {"both": both, "serve": serve, "base": alone}
    times = interleaved(functions, repetitions=7 if quick else 15)
    took = {name: median(times, name) * 1e3 / ROWS for name in functions}
    share = took["base"] / took["both"]
    write(
        "o1-serve-and-observe-one-row",
        took["both"],
        LIMIT,
        "ms",
        LIMIT / took["both"],
        1,
        share_of_base=share,
        note=f"peer: the limit. `serve` alone {took['serve']:.2f} ms; the base alone, by its "
        f"predict_on_batch, {took['base']:.2f} ms, {share:.0%}",
    )

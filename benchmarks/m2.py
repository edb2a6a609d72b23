"""M2: writing to a sketch (bucket indices of the read reused), against faiss' add."""

import numpy as np

from benchmarks.common import compare, interleaved, need
from benchmarks.m1 import SHAPES, filled, ivf

BACKENDS = ("torch", "jax", "tensorflow")


def run(quick):
    faiss = need("faiss", "m2-write", 1)
    if faiss is None:
        return
    import keras

    rng = np.random.default_rng(2)
    keys = rng.standard_normal((4096, 128), "float32")
    labels, p = rng.integers(0, 2, 4096), rng.random(4096)
    functions = {}
    for shape in SHAPES:
        memory = filled(shape)
        buckets = memory.places(keras.ops.convert_to_tensor(keys))
        buckets = keras.ops.convert_to_numpy(buckets)

        def write(memory=memory, buckets=buckets):
            memory.write_at(buckets, labels, p)
            float(memory.sums[0, 0])

        functions[shape] = write
    flat = ivf(faiss, 100_000)
    functions["ivf"] = lambda: flat.add(keys)
    times = interleaved(functions, repetitions=7)
    graph = faiss.IndexHNSWFlat(128, 32)
    graph.add(rng.standard_normal((20_000, 128), "float32"))
    slow = interleaved({"hnsw": lambda: graph.add(keys[:1024])}, repetitions=5)
    times["hnsw"] = [t * 4 for t in slow["hnsw"]]
    times = {name: t[:5] for name, t in times.items()}
    for arrays, bits in SHAPES:
        name = f"m2-write-{arrays}x2^{bits}"
        unit = {"unit": "us a row", "scale": 1e6 / 4096}
        compare(f"{name}-against-ivf", times, (arrays, bits), "ivf", 1, **unit)
        note = "HNSW adds timed after, 1,024 rows each"
        compare(f"{name}-against-hnsw", times, (arrays, bits), "hnsw", 20, **unit, note=note)

"""M2: writing to a sketch (places of the read reused), against faiss' add."""

import numpy as np

from benchmarks.common import compare, interleaved, need
from benchmarks.m1 import filled, ivf

# core's memory, which every backend and MindSpore write to
BACKENDS = (None,)
# shape -> targets against IVFFlat and HNSW
SHAPES = {(32, 12): (1.5, 60), (180, 16): (0.5, 20)}


def run(quick):
    faiss = need("faiss", "m2-write", 1.5)
    if faiss is None:
        return
    rng = np.random.default_rng(2)
    keys = rng.standard_normal((4096, 128), "float32")
    labels, p = rng.integers(0, 2, 4096), rng.random(4096)
    functions = {}
    for shape in SHAPES:
        memory = filled(shape)
        places = memory.look_up(keys)[1]
        functions[shape] = lambda m=memory, at=places: m.write_at(at, labels, p)
    flat = ivf(faiss, 100_000)
    functions["ivf"] = lambda: flat.add(keys)
    times = interleaved(functions, repetitions=7 if quick else 15)
    graph = faiss.IndexHNSWFlat(128, 32)
    graph.add(rng.standard_normal((20_000, 128), "float32"))
    slow = interleaved({"hnsw": lambda: graph.add(keys[:1024])}, repetitions=5)
    graphs = {shape: times[shape][-5:] for shape in SHAPES}
    graphs["hnsw"] = [t * 4 for t in slow["hnsw"]]
    for (arrays, bits), (flat_target, graph_target) in SHAPES.items():
        name = f"m2-write-{arrays}x2^{bits}"
        unit = {"unit": "us a row", "scale": 1e6 / 4096}
        compare(f"{name}-against-ivf", times, (arrays, bits), "ivf", flat_target, **unit)
        note = "HNSW adds timed after, 1,024 rows each"
        name = f"{name}-against-hnsw"
        compare(name, graphs, (arrays, bits), "hnsw", graph_target, **unit, note=note)

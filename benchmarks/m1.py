"""M1: reading a sketch, d = 128, batch 4096, against faiss IVFFlat (nlist 100, nprobe 1)."""

import numpy as np

from benchmarks.common import compare, interleaved, need

# core's memory, which every backend and MindSpore read
BACKENDS = (None,)
# shape -> targets against 1e5 and 1e6 rows
SHAPES = {(32, 12): (20, 200), (180, 16): (2, 25)}
ROWS = (100_000, 1_000_000)


def ivf(faiss, rows, seed=0):
    """An IVFFlat index of random rows; nlist 100, nprobe 1."""
    x = np.random.default_rng(seed).standard_normal((rows, 128), "float32")
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(128), 128, 100)
    index.nprobe = 1
    index.train(x[:20_000])
    index.add(x)
    return index


def filled(shape, rows=20_000):
    """A sketch that has seen `rows` rows of random keys."""
    from reloop2_keras.core.memories import SketchMemory

    rng = np.random.default_rng(1)
    memory = SketchMemory(*shape, key_normalization="none")
    keys = rng.standard_normal((rows, 128), "float32")
    memory.write(keys, rng.integers(0, 2, rows), rng.random(rows))
    return memory


def run(quick):
    faiss = need("faiss", "m1-read", 20)
    if faiss is None:
        return
    queries = np.random.default_rng(2).standard_normal((4096, 128), "float32")
    functions = {}
    for shape in SHAPES:
        memory = filled(shape)
        functions[shape] = lambda memory=memory: memory.look_up(queries)[0]["mean_label"]
    for rows in ROWS[: 1 if quick else 2]:
        index = ivf(faiss, rows)
        functions[rows] = lambda index=index: index.search(queries, 32)
    for rows in ROWS[: 1 if quick else 2]:
        peers = {key: f for key, f in functions.items() if key not in ROWS or key == rows}
        times = interleaved(peers, repetitions=5 if quick else 9)
        for (arrays, bits), targets in SHAPES.items():
            name = f"m1-read-{arrays}x2^{bits}-against-ivf-{rows:.0e}"
            target = targets[ROWS.index(rows)]
            compare(name, times, (arrays, bits), rows, target, "us a query", 1e6 / 4096)

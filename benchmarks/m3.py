"""M3: cost and bytes of a sketch after 1e4 and after 1e7 writes."""

import numpy as np

from benchmarks.common import compare, interleaved, write

BACKENDS = ("torch",)


def run(quick):
    from reloop2_keras import SketchErrorMemory

    rng = np.random.default_rng(0)
    memories, sizes = {}, (10_000, 1_000_000 if quick else 10_000_000)
    queries = rng.standard_normal((4096, 16), "float32")
    for size in sizes:
        memory = memories[size] = SketchErrorMemory(32, 12, key_normalization="none")
        memory.build((None, 16))
        for start in range(0, size, 100_000):
            rows = min(100_000, size - start)
            keys = rng.standard_normal((rows, 16), "float32")
            memory.write(keys, rng.integers(0, 2, rows), rng.random(rows))
    functions = {}
    for size, memory in memories.items():
        functions[size] = lambda memory=memory: memory.look_up(queries)[0]["found"]
    times = interleaved(functions, repetitions=15, warmup=3)
    name = f"m3-read-after-{sizes[1]:.0e}-writes"
    compare(name, times, sizes[1], sizes[0], 1 / 1.1, "us a query", 1e6 / 4096)
    held = [sum(w.value.nbytes for w in memory.weights) for memory in memories.values()]
    write("m3-bytes", held[1], held[0], "bytes", held[0] / held[1], 1 / 1.1)

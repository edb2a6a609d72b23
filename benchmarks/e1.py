"""E1: the exact memory, d = 64: a read of 1e5 rows against faiss; a write at two capacities."""

import numpy as np

from benchmarks.common import compare, interleaved, need

BACKENDS = (None,)
HELD, WIDTH, NEIGHBORS = 100_000, 64, 50
CAPACITIES = (10_000, 1_000_000)
ROWS = 256  # of a write


def filled(capacity):
    """An exact memory that is full, so that every page of its buffer was touched."""
    from reloop2_keras.core.memories import ExactMemory

    rng = np.random.default_rng(0)
    memory = ExactMemory(capacity, NEIGHBORS, key_normalization="none")
    for start in range(0, capacity, HELD):
        rows = min(HELD, capacity - start)
        keys = rng.standard_normal((rows, WIDTH), "float32")
        memory.write(keys, rng.integers(0, 2, rows), rng.random(rows))
    return memory


def run(quick):
    rng = np.random.default_rng(1)
    write(rng, quick)
    name = f"e1-read-{HELD:.0e}-rows-against-flat-ip"
    faiss = need("faiss", name, 1)
    if faiss is None:
        return
    memory, index = filled(HELD), faiss.IndexFlatIP(WIDTH)
    index.add(memory.keys)
    queries = rng.standard_normal((4096, WIDTH), "float32")
    units = memory.places(queries)  # faiss is given them: it does not normalize
    functions = {
        "ours": lambda: memory.look_up(queries)[0],
        "faiss": lambda: index.search(units, NEIGHBORS),
    }
    times = interleaved(functions, repetitions=3 if quick else 7)
    compare(name, times, "ours", "faiss", 1, "us a query", 1e6 / 4096)


def write(rng, quick):
    """Time a write of 256 rows; 20 writes a turn, as one takes less than the clock is good for."""
    keys = rng.standard_normal((ROWS, WIDTH), "float32")
    labels, p = rng.integers(0, 2, ROWS), rng.random(ROWS)
    functions = {}
    for capacity in CAPACITIES:
        memory = filled(capacity)
        places = memory.places(keys)

        def many(memory=memory, places=places):
            for _ in range(20):
                memory.write_at(places, labels, p)

        functions[capacity] = many
    times = interleaved(functions, repetitions=7 if quick else 15)
    small, large = CAPACITIES
    note = f"capacity {large:.0e} (ours) against {small:.0e} (peer)"
    name = "e1-write-at-two-capacities"
    compare(name, times, large, small, 0.8, "us a row", 1e6 / ROWS / 20, note=note)

"""S4: memory and time an event after 1e4, 1e6 and 1e7 events, of which ever new values come."""

import time
from pathlib import Path

import numpy as np

from benchmarks.common import write

BACKENDS = (None,)
SLOT = 10_000
MARKS = (10**4, 10**6, 10**7)
TIMED = 5  # slots after a mark: what an event costs then is their median
POOL = 20  # slots that are drawn; their new values are new each time
KINDS = {  # -> fields, whether it is `Online` as a whole or its tables alone
    "tables-39-fields": (39, False),
    "online-4-fields": (4, True),
}


def run(quick):
    for kind, (fields, whole) in KINDS.items():
        kept, pool = {}, list(drawn(fields))
        learn, used = learner(fields, whole)
        taken: list[float] = []
        for slot in range((MARKS[-2] if quick else MARKS[-1]) // SLOT + TIMED):
            hashes, labels, base = events(slot, pool)
            start = time.process_time()
            learn(hashes, labels, base)
            taken.append((time.process_time() - start) * 1e6 / SLOT)
            mark = (slot + 1) * SLOT
            if mark in MARKS:
                kept[mark] = [None, peak(), used()]
            for done in kept:
                if slot == done // SLOT - 1 + TIMED:
                    kept[done][0] = float(np.median(taken[-TIMED:]))
        first, last = min(kept), max(kept)
        told = "; ".join(
            f"{mark:.0e}: {us:.2f} us, {mib:.0f} MiB, {share:.0%} of the places in use"
            for mark, (us, mib, share) in kept.items()
        )
        name = f"s4-{kind}-{last:.0e}"
        for number, what, unit in ((0, "time", "us an event"), (1, "peak-memory", "MiB")):
            ours, peer = kept[last][number], kept[first][number]
            note = f"peer: after {first:.0e} events. {told}"
            write(f"{name}-{what}", ours, peer, unit, peer / ours, None, note=note)


def learner(fields, whole):
    """A function that predicts a slot and learns it, and one of the share of places in use."""
    from reloop2_keras.core.online import BeliefTables, Online

    if whole:
        online = Online(fields, ["base"], crosses=[[0, 1], [2, 3]])
        tables = online.arms.tables

        def learn(hashes, labels, base):
            online.learn(online.predict(hashes, base), labels)
    else:
        tables = BeliefTables(fields, bits=16, noises=[0.0, 1e-3, 1e-2])
        weights = np.full((fields, 3), 3.0 / fields)

        def learn(hashes, labels, base):
            words = tables.words(hashes)
            offsets = np.zeros((len(words), 3))
            tables.weighed(words, weights, offsets)
            tables.learn(words, labels, weights, offsets)

    return learn, lambda: float((tables.keys != 0).mean())


def drawn(fields):
    """What a slot's values are drawn by, `POOL` times: old values, their kind, and an age."""
    rng, shape = np.random.default_rng(0), (SLOT, fields)
    for _ in range(POOL):
        old = np.minimum(rng.pareto(1.05, shape) * 200, 20_000).astype("int64")
        yield old, rng.random(shape, "float32"), rng.integers(0, 25_000, shape)


def events(slot, pool):
    """A slot: in each field 80 % of the values are old ones, few of which come often, 15 % are of
    the last 50 slots or so, and 5 % are new: 1e7 events bring 500,000 new values a field.
    """
    old, kind, age = pool[slot % POOL]
    now = 10**6 + slot * SLOT // 20
    new = now + (np.arange(SLOT) % (SLOT // 20))[:, None]
    ids = np.where(kind < 0.8, old, np.where(kind < 0.95, now - age, new))
    hashes = ((ids * 2654435761 + np.arange(old.shape[1]) * 97) & 0xFFFFFFFF).astype("uint32")
    rng = np.random.default_rng(slot)
    return hashes.view("int32"), (rng.random(SLOT) < 0.3).astype("float64"), rng.random(SLOT)


def peak():
    """The most memory this process ever held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if "VmHWM" in line)
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

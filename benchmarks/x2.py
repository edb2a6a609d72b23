"""X2: two worker processes over two shards of a stream against one, merged every second.

Each worker serves and learns rows as fast as it can; after a second it tells the other what it
learnt, goes back to the last merge and takes in what both learnt.
"""

import multiprocessing
import time

import numpy as np

from benchmarks.common import write
from reloop2_keras.distributed.peers import connected

BACKENDS = (None,)
EVERY = 1.0  # seconds between two merges
CHUNK = 256  # rows that are served, then learnt
POOL = 200_000  # rows drawn, gone round
MOST_VALUES = 100_000  # of the largest field; the smallest has 10
FIELDS = (8, 39)
WARM = 2  # intervals before it counts


def run(quick):
    intervals, repetitions = (4, 1) if quick else (6, 3)
    for fields in FIELDS:
        found = {1: [], 2: []}
        for _ in range(repetitions):
            for workers in found:  # in turns, so that a busy machine slows both
                found[workers].append(measured(workers, fields, intervals))
        one, two = (float(np.median([one["rate"] for one in found[n]])) for n in (1, 2))
        runs = found[2]
        cpu = [float(np.median([r["cpu_rate"] for r in found[n]])) for n in found]
        by_cpu = cpu[1] / cpu[0]
        told = (
            f"{two / 1e3:.0f} thousand events/s on two, {one / 1e3:.0f} on one; a merge: "
            f"{np.median([r['entries'] for r in runs]):,.0f} beliefs, "
            f"{np.median([r['bytes'] for r in runs]) / 1e6:.1f} MB of both workers' deltas; "
            f"waiting for the other {np.median([r['waiting'] for r in runs]):.1%}; by CPU time, as "
            f"if the cores did nothing else: ratio {by_cpu:.2f}, merging "
            f"{np.median([r['cpu_share'] for r in runs]):.1%}"
        )
        ratios = [b["rate"] / a["rate"] for a, b in zip(found[1], found[2], strict=True)]
        more = {"spread": [round(r, 3) for r in ratios], "note": told}
        write(f"x2-two-workers-{fields}-fields", two, one, "events/s", two / one, 1.7, **more)
        share = float(np.median([r["share"] for r in runs]) * 100)
        more = {"spread": [round(100 * r["share"], 2) for r in runs], "note": "peer: the most"}
        write(f"x2-sync-{fields}-fields", share, 3.0, "% of the time", 3.0 / share, 1.0, **more)


def measured(workers, fields, intervals):
    """Events/s of all workers together, and what a merge takes of the time."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for me, sockets in enumerate(connected(workers)):
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, me, sockets, fields, intervals))
        process.start()
        for end in (theirs, *sockets.values()):
            end.close()
        pipes.append(ours)
        processes.append(process)
    try:
        for pipe in pipes:
            pipe.recv()  # it has compiled and warmed up
        for pipe in pipes:
            pipe.send("go")
        told = [pipe.recv() for pipe in pipes]
    finally:
        for process in processes:
            process.join(60)
            if process.is_alive():
                process.kill()
    mean = {name: float(np.mean([one[name] for one in told])) for name in told[0]}
    mean["rate"] = sum(one["rate"] for one in told)
    mean["cpu_rate"] = sum(one["cpu_rate"] for one in told)
    mean["bytes"] = sum(one["bytes"] for one in told)
    return mean


def draw(fields, seed):
    """Rows whose values are about Zipf's, fields of 10 to `MOST_VALUES` values."""
    rng = np.random.default_rng(seed)
    most = np.geomspace(10, MOST_VALUES, fields)
    values = np.floor(np.exp(rng.random((POOL, fields)) * np.log(most + 1))).astype("int64")
    hashes = ((values * 2654435761) & 0x7FFFFFFF).astype("int32")
    logits = (values % 7 == 3).sum(axis=1) * 0.3 - 1.5
    return hashes, (rng.random(POOL) < 1 / (1 + np.exp(-logits))).astype("float64")


def work(pipe, me, sockets, fields, intervals):
    """A worker's process."""
    from reloop2_keras.core.deltas import Delta
    from reloop2_keras.core.online import Online
    from reloop2_keras.distributed.merging import Worker
    from reloop2_keras.distributed.peers import Peers

    peers, workers = Peers(me, sockets), 1 + len(sockets)
    online = Online(fields, crosses=[], bits=17)
    common = draw(fields, 0)
    Worker(online).learn(common[0][:20_000], common[1][:20_000], chunk=CHUNK)
    worker, own, at = Worker(online.copy()), draw(fields, 1 + me), 0
    worker.learn(*common, chunk=CHUNK)  # compiled, and then all begin alike
    worker.take([worker.delta()])
    worker = Worker(online)
    pipe.send("ready")
    pipe.recv()
    rows, times, began, cpu = 0, {"own": 0.0, "waiting": 0.0, "cpu": 0.0}, 0.0, 0.0
    for interval in range(WARM + intervals):
        if interval == WARM:
            rows, times, began = 0, dict.fromkeys(times, 0.0), time.perf_counter()
            cpu = time.process_time()
        start = time.perf_counter()
        while time.perf_counter() < start + EVERY:
            part = slice(at, at + CHUNK)
            worker.learn(own[0][part], own[1][part], chunk=CHUNK)
            rows, at = rows + len(own[0][part]), (at + CHUNK) % POOL
        if workers == 1:
            continue
        marks, used = [time.perf_counter()], time.process_time()
        data = worker.delta()
        marks.append(time.perf_counter())
        parts = peers.exchange(data)
        marks.append(time.perf_counter())
        worker.take(parts)
        marks.append(time.perf_counter())
        times["own"] += marks[1] - marks[0] + marks[3] - marks[2]
        times["waiting"] += marks[2] - marks[1]
        times["cpu"] += time.process_time() - used
    whole, cpu = time.perf_counter() - began, time.process_time() - cpu
    told = {"rate": rows / whole, "share": times["own"] / whole, "bytes": 0, "entries": 0}
    told |= {"cpu_rate": rows / cpu, "cpu_share": times["cpu"] / cpu}
    if workers > 1:
        told |= {"bytes": len(data), "entries": len(Delta.from_bytes(data).ids)}
    pipe.send({**told, "waiting": times["waiting"] / whole})

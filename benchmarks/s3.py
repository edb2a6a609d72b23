"""S3: belief tables' read and learn an event, beside Vowpal Wabbit on its own cache; one core.

CPU time on one core, as both are bound by it: on a busy machine it moves less than the wall's.
"""

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.common import compare, interleaved, median, need, write

BACKENDS = (None,)
SLOT = 4096
FIELDS = {4: 1.5, 39: 4.0}  # -> limit, us an event for read and learn
# an arm alone has one speed of forgetting, `Online` without a base three (five with crosses), with
# a base nine: VW learns one
LEARNERS = (1, 3, 9)
NOISES = [0.0, 1e-3, 1e-2] * 3
SHOWN = 3
ONE_ROW = 60  # us, limit of `predict` and of `learn`
ROWS = 1000  # one by one, a turn
PASSES = 3


def run(quick):
    if hasattr(os, "sched_setaffinity"):  # before the library looks how many cores there are
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for fields, limit in FIELDS.items():
        rows = SLOT * (10 if quick else 40) // (1 if fields < 10 else 4)
        tables(fields, limit, *log(rows, fields), "", quick)
        tables(fields, limit, *log(rows, fields, uniform=True), "-uniform", quick)
        one_row(fields, quick)


def log(rows, fields, uniform=False, seed=0):
    """Hashes int32 and labels: few values come often and new ones always, or 30,000 all alike."""
    rng = np.random.default_rng(seed)
    if uniform:
        ids = rng.integers(0, 30_000, (rows, fields))
    else:
        ids = np.minimum(rng.pareto(1.05, (rows, fields)) * 200, 60_000).astype("int64")
    hashes = ((ids * 2654435761 + np.arange(fields) * 97) & 0xFFFFFFFF).astype("uint32")
    return hashes.view("int32"), (rng.random(rows) < 0.3).astype("float64")


def cpu(function):
    """A function that returns the CPU seconds of a call."""

    def timed():
        start = time.process_time()
        function()
        return time.process_time() - start

    return timed


def tables(fields, limit, hashes, labels, kind, quick):
    """Rows of the tables, one for each number of learners, and of `Online` as a whole."""
    from reloop2_keras.core.online import BeliefTables, Online

    rows, functions, used = len(hashes), {}, {}
    for learners in LEARNERS:
        made = BeliefTables(fields, bits=16, noises=NOISES[:learners])
        weights = np.full((fields, learners), min(1.0, 3.0 / fields))

        def pass_over(made=made, weights=weights):
            for i in range(0, rows, SLOT):
                words = made.words(hashes[i : i + SLOT])
                offsets = np.zeros((len(words), weights.shape[1]))
                made.weighed(words, weights, offsets)
                made.learn(words, labels[i : i + SLOT], weights, offsets)

        functions[learners] = cpu(pass_over)
        pass_over()
        used[learners] = float((made.keys != 0).mean())
    online = Online(fields, ["base"], crosses=[[0, 1], [1, 2], [2, 3], [0, 3]])
    base = np.random.default_rng(1).random(rows)

    def whole():
        for i in range(0, rows, SLOT):
            served = online.predict(hashes[i : i + SLOT], base[i : i + SLOT])
            online.learn(served, labels[i : i + SLOT])

    functions["online"] = cpu(whole)
    with tempfile.TemporaryDirectory() as folder:
        name = f"s3-tables-{fields}-fields{kind}"
        if need("vowpalwabbit", f"{name}-against-vw-cache", None, "us an event"):
            functions["vw"] = vowpal(Path(folder) / "log.vw", hashes, labels)
        times = interleaved(functions, repetitions=3 if quick else 9)
    scale = 1e6 / rows
    for learners in LEARNERS:
        took = median(times, learners) * scale
        write(
            f"{name}-{learners}-speeds",
            took,
            limit,
            "us an event",
            limit / took,
            1 if learners <= SHOWN else None,
            spread=[round(t * scale, 3) for t in times[learners]],
            note=f"peer: the limit. Hash, read, learn; {used[learners]:.0%} of the places in use",
        )
        if "vw" in times:
            full = f"{name}-{learners}-speeds-against-vw-cache"
            note = "VW has one weight a value, no weight a table, no forgetting"
            unit = {"unit": "us an event", "scale": scale}
            compare(full, times, learners, "vw", None, **unit, note=note)
    if "vw" in times:
        note = "predict and learn of 9 arms, gates and Hedge, 4 crosses"
        unit = {"unit": "us an event", "scale": scale}
        full = f"s3-online-{fields}-fields{kind}-against-vw-cache"
        compare(full, times, "online", "vw", None, **unit, note=note)


def vowpal(path, hashes, labels):
    """A function that returns the CPU seconds of a pass of VW over its cache, start-up apart."""
    from vowpalwabbit import pyvw

    from reloop2_keras.rivals.vowpal_text import lines

    path.write_bytes(lines(hashes, np.ones(hashes.shape, "float32"), labels=labels))
    bits = 18 if hashes.shape[1] < 10 else 22  # as many places as ours, or a little more
    words = ["--quiet", "--no_stdin", "--loss_function", "logistic", "-b", str(bits)]
    words += ["-l", "0.5", "--cache_file", f"{path}.cache", "--holdout_off"]

    def passes(number):
        start = time.process_time()
        with pyvw.Workspace(arg_list=[*words, "-d", str(path), "--passes", str(number)]):
            pass
        return time.process_time() - start

    passes(1)  # makes the cache
    path.write_bytes(b"")  # from now on there is nothing else to read
    return lambda: (passes(1 + PASSES) - passes(1)) / PASSES


def one_row(fields, quick):
    """Rows of `Online`, asked and taught a row at a time."""
    from reloop2_keras.core.online import Online

    hashes, labels = log(SLOT, fields)
    base = np.random.default_rng(1).random(SLOT)
    online = Online(fields, ["base"], crosses=[[0, 1], [1, 2], [2, 3], [0, 3]])
    online.learn(online.predict(hashes, base), labels)
    served: list = []

    def predict():
        served[:] = [online.predict(hashes[i : i + 1], base[i : i + 1]) for i in range(ROWS)]

    def learn():
        for i, one in enumerate(served):
            online.learn(one, labels[i : i + 1])

    times = interleaved({"predict": cpu(predict), "learn": cpu(learn)}, 5 if quick else 15)
    for name in ("predict", "learn"):
        took = median(times, name) * 1e6 / ROWS
        note = "peer: the limit. 9 arms; blocks' steps of gates and Hedge are among it"
        row = f"s3-online-{fields}-fields-one-row-{name}"
        write(row, took, ONE_ROW, "us", ONE_ROW / took, 1, note=note)

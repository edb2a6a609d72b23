"""Timing, rows, and what several claims share."""

import importlib
import json
import os
import re
import time
from pathlib import Path

import numpy as np

FOLDER = Path("runs/bench")
PAUSE = 0.03  # seconds: idle threads of one library spin for a while, on the next one's cores
BACKEND = os.environ.get("KERAS_BACKEND")


def interleaved(functions, repetitions=5, warmup=1):
    """Time functions in turns, A B C A B C …, so that a busy machine slows all alike.

    Args:
        functions: dict name -> function without arguments. One that returns a number has timed
            itself (seconds); else the call is timed.

    Returns:
        dict name -> list of seconds, `repetitions` long.
    """
    times = {name: [] for name in functions}
    for repetition in range(-warmup, repetitions):
        for name, function in functions.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            own = function()
            took = time.perf_counter() - start
            if repetition >= 0:
                times[name].append(own if isinstance(own, float) else took)
    return times


def ratio(times, ours, peer):
    """Median of the peer's time over ours, repetition by repetition."""
    return float(np.median(np.array(times[peer]) / np.array(times[ours])))


def median(times, name):
    return float(np.median(times[name]))


def write(name, ours, peer, unit, ratio, target, **more):
    """Print a row and write it to runs/bench/<name>.json (see README.md there)."""
    name = f"{name}-{BACKEND}" if BACKEND else name
    row = {
        "name": name,
        "backend": BACKEND or "none",
        "ours": ours,
        "peer": peer,
        "unit": unit,
        "ratio": ratio,
        "target": target,
        "passed": None if ratio is None or target is None else ratio >= target,
        **more,
        "load": round(os.getloadavg()[0], 1),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / (re.sub(r"[^a-z0-9]+", "-", name.lower()) + ".json")
    path.write_text(json.dumps(row, indent=1) + "\n")
    print(line(row), flush=True)
    return row


def line(row):
    def number(x):
        return "-" if x is None else f"{x:.3g}"

    verdict = {
        None: "no ratio" if row["ratio"] is None else "no target",
        True: "met",
        False: "MISSED",
    }[row["passed"]]
    return (
        f"{row['name']:44s} ours {number(row['ours']):>8s} peer {number(row['peer']):>8s} "
        f"{row['unit']:14s} ratio {number(row['ratio']):>6s} target {number(row['target']):>6s} "
        f"{verdict}{'  ' + row['note'] if row.get('note') else ''}"
    )


def compare(name, times, ours, peer, target, unit="ms", scale=1e3, **more):
    """Write a row of two of `interleaved`'s names; the ratio is the peer's time over ours."""
    return write(
        name,
        median(times, ours) * scale,
        median(times, peer) * scale,
        unit,
        ratio(times, ours, peer),
        target,
        spread=[round(v * scale, 4) for v in times[ours]],
        peer_spread=[round(v * scale, 4) for v in times[peer]],
        **more,
    )


def need(module, name, target, unit="-"):
    """Import a peer, or write a row that says it is missing and return None."""
    try:
        return importlib.import_module(module)
    except Exception as error:  # whatever keeps a peer from running is its row's note
        note = f"peer {module} is missing: {type(error).__name__}: {error}"[:200]
        write(name, None, None, unit, None, target, note=note)
        return None


def clicks(rows, cardinality, numeric=13, categorical=26, seed=0, zipf=False):
    """Model inputs: `numeric` fields of one id each, then `categorical` of `cardinality` each."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((rows, numeric + categorical), "int32")
    if zipf:
        draw = np.minimum(rng.pareto(1.05, (rows, categorical)) * 5, cardinality - 1)
        ids[:, numeric:] = draw.astype("int32")
    else:
        ids[:, numeric:] = rng.integers(0, cardinality, (rows, categorical))
    cardinalities = [1] * numeric + [cardinality] * categorical
    ids += np.cumsum([0, *cardinalities[:-1]]).astype("int32")
    values = np.ones((rows, numeric + categorical), "float32")
    values[:, :numeric] = rng.random((rows, numeric))
    labels = (rng.random((rows, 1)) < 0.25).astype("float32")
    return {"feature_ids": ids, "feature_values": values}, labels, cardinalities


def step_seconds(model, x, y, batch_size):
    """Median time of a step within one `fit`, the first step apart."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.taken = []

        def on_train_batch_begin(self, batch, logs=None):
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # waits for what was dispatched
            self.taken.append(time.perf_counter() - self.start)

    clock = Clock()
    model.fit(x, y, batch_size=batch_size, shuffle=False, verbose=0, callbacks=[clock])
    return float(np.median(clock.taken[1:]))


def deepfm(cardinalities, kind, embedding_dim=16, hidden_units=(400, 400, 400), **kwargs):
    """A compiled DeepFM: kind "rows" (row-sparse), "whole" (plain Keras) or "frozen" tables."""
    from reloop2_keras import DeepFM

    model = DeepFM(cardinalities, embedding_dim, hidden_units, row_sparse=kind == "rows", **kwargs)
    model.build()
    if kind == "frozen":
        model.field_embedding.trainable = model.linear_embedding.trainable = False
    model.compile("adam", "binary_crossentropy")
    return model

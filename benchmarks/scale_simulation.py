"""What workers lose by not knowing of one another: python -m benchmarks.scale_simulation [DATASET].

N workers share a stream row by row (or user by user), each serves and learns its own, and all merge
every T rows. Nothing is timed: the workers are played one after the other, seeded. Without DATASET
it is a made-up log; with one, tables alone start with its training and validation periods. Writes
runs/scale/<name>.json and prints the table; --figure draws what runs/scale holds.
"""

import json
import time
from functools import partial
from pathlib import Path

import numpy as np

from reloop2_keras.core.command_line import Parser
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.metrics import evaluate
from reloop2_keras.core.online import Online
from reloop2_keras.distributed.merging import SideBySide
from reloop2_keras.distributed.shards import by_turns, by_value

FOLDER = Path("runs/scale")
WORKERS, EVERY = (2, 4, 16, 64), (1_024, 4_096, 16_384)
CHUNK = 256  # rows of the stream that are served before their labels are learnt
ROWS, TRAIN = 80_000, 30_000
REDRAWN = 10_000  # rows after which each category has another effect
USERS, ITEMS, CATEGORIES = 3_000, 2_000, 20


def made_up(seed=0):
    """Hashes (rows, 3) and labels: items come and go, categories change at once, users stay."""
    rng = np.random.default_rng(seed)
    users = (rng.pareto(1.0, ROWS) * 100).astype("int64") % USERS
    age = (rng.pareto(1.0, ROWS) * 60).astype("int64")  # most rows are of new items
    items = np.maximum(np.arange(ROWS) * ITEMS // ROWS - age, 0)
    of_item = rng.integers(0, CATEGORIES, ITEMS)
    category = of_item[items]
    effects = rng.normal(0.0, 0.7, (ROWS // REDRAWN + 1, CATEGORIES))
    logits = rng.normal(0.0, 1.0, USERS)[users] + rng.normal(0.0, 1.0, ITEMS)[items] - 1.0
    logits += effects[np.arange(ROWS) // REDRAWN, category]
    labels = (rng.random(ROWS) < 1.0 / (1.0 + np.exp(-logits))).astype("float64")
    ids = np.stack([users, items, category], axis=1)
    return ((ids + 1) * 2654435761 & 0x7FFFFFFF).astype("int32"), labels


def started(dataset):
    """An `Online` that has learnt what comes before the stream, and the stream."""
    if dataset is None:
        hashes, labels = made_up()
        online = Online(hashes.shape[1], bits=13)
        online.start([(hashes[:TRAIN], labels[:TRAIN])])
        return online, hashes[TRAIN:], labels[TRAIN:]
    online = Online(len(dataset.fields))
    rows = dataset.train_rows(4096, shuffle=False, hashes=True)
    online.start([(part["feature_hashes"], part["label"]) for part in rows])
    parts = []
    for slots in (dataset.validation_slots(5), dataset.slots()):
        loaded = [slot.load(["feature_hashes", "label"]) for slot in slots]
        parts.append(
            [np.concatenate([one[n] for one in loaded]) for n in ("feature_hashes", "label")]
        )
    (before, known), (hashes, labels) = parts
    SideBySide(online, 1, by_row(1)).run(before, known.reshape(-1), len(before))
    return online, hashes, labels.reshape(-1).astype("float64")


def by_row(workers):
    return lambda first, hashes: by_turns(first, len(hashes), workers)


def by_user(workers):
    return lambda first, hashes: by_value(hashes, 0, workers)


def result(online, hashes, labels, workers, every, choose):
    """One cell of the table."""
    side, began = SideBySide(online.copy(), workers, choose(workers), CHUNK), time.time()
    scores = evaluate(labels, side.run(hashes, labels, every))
    entries, size = np.sum(side.merged, axis=0) if side.merged else (0, 0)
    return {
        "workers": workers,
        "every": every,
        "by": "row" if choose is by_row else "user",
        "auc": scores["auc"],
        "logloss": scores["logloss"],
        "bytes_a_row": float(size) / len(hashes),
        "entries_a_row": float(entries) / len(hashes),
        "seconds": round(time.time() - began, 1),
    }


def simulate(dataset):
    """All cells of a log; None: of the made-up one."""
    online, hashes, labels = started(dataset)
    run = partial(result, online, hashes, labels)
    rows = [run(1, len(hashes), by_row)]
    for choose in (by_row, by_user):
        for workers in WORKERS:
            for every in (*EVERY, len(hashes)):
                rows.append(run(workers, every, choose))
    return {"rows": len(hashes), "fields": hashes.shape[1], "cells": rows}


def table(found):
    """AUC / log loss as Markdown, a line for N and how rows are shared out, a column for T."""
    one, *cells = found["cells"]
    heads = [f"{every:,}" for every in EVERY] + ["never"]
    lines = [
        f"One worker: {one['auc']:.4f} / {one['logloss']:.4f}, {found['rows']:,} rows",
        "",
        "| N, shared by | " + " | ".join(heads) + " |",
        "| --- |" + " --- |" * len(heads),
    ]
    for by in ("row", "user"):
        for workers in WORKERS:
            mine = [c for c in cells if (c["by"], c["workers"]) == (by, workers)]
            shown = [f"{c['auc']:.4f} / {c['logloss']:.4f}".replace("0.", ".") for c in mine]
            lines.append(f"| {workers}, {by} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def draw(path):
    """Lost AUC over the rows between two merges, a panel a log and a line for N."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scale"  # the same bytes each time
    import matplotlib.pyplot as plt

    logs = sorted(FOLDER.glob("*.json"))
    figure, panels = plt.subplots(
        1, len(logs), figsize=(4.5 * len(logs), 3.4), layout="constrained", squeeze=False
    )
    for axes, log in zip(panels[0], logs, strict=True):
        found = json.loads(log.read_text(encoding="utf-8"))
        one, *cells = found["cells"]
        for number, workers in enumerate(WORKERS):
            for by, style in (("row", "-"), ("user", ":")):
                mine = [c for c in cells if (c["by"], c["workers"]) == (by, workers)]
                label = f"{workers} workers" if by == "row" else None
                lost = [one["auc"] - c["auc"] for c in mine]
                every = [c["every"] for c in mine]
                axes.plot(every, lost, f"{style}o", c=f"C{number}", ms=3, label=label)
        axes.set_xscale("log")
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_title(f"{log.stem}, {found['rows']:,} rows", fontsize=9)
        axes.set_xlabel("rows of the stream between two merges (last: never)")
        axes.set_ylabel("AUC below one worker's")
        axes.legend(fontsize=7, title="dotted: shared by user", title_fontsize=7)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main():
    """Simulate a log, or draw."""
    parser = Parser(prog="python -m benchmarks.scale_simulation", description=__doc__)
    parser.add_argument("dataset", nargs="?", help="a prepared dataset; default: a made-up log")
    parser.add_argument("--figure", help="draw what runs/scale holds to this .svg, nothing else")
    args = parser.parse_args()
    if args.figure:
        draw(args.figure)
        return
    dataset = None if args.dataset is None else parser.opened(PreparedDataset, args.dataset)
    found = simulate(dataset)
    FOLDER.mkdir(parents=True, exist_ok=True)
    name = "made-up" if args.dataset is None else Path(args.dataset).name
    (FOLDER / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()

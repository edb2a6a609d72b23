"""A soak of a shipped model's service: python -m benchmarks.service_soak MODEL --seconds 600

Serves a fixed rate with labels for each request, watches the process's memory, stops it, and then
does the whole log again from the first snapshot: the states must be equal to the bit.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.service_load import Connection, raw_rows, service
from reloop2_keras.core.serving import load_shipped
from reloop2_keras.service.running import Running


def resident(process):
    """MB that a process holds."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def soak(folder, state, rows, seconds, rate):
    """Returns requests, labels, and MB sampled each tenth of the time."""
    rng, asked, labels, memory = np.random.default_rng(0), 0, 0, []
    options = ["--keep", "1000", "--snapshot-seconds", str(max(5, seconds / 20))]
    with service(folder, state, options) as (port, process):
        connection, start = Connection(port), time.perf_counter()
        waiting = []
        while (now := time.perf_counter() - start) < seconds:
            time.sleep(max(0.0, asked / rate - now))
            row = rows[int(rng.integers(len(rows)))]
            answer = json.loads(connection.ask("/predict", json.dumps({"rows": [row]}).encode()))
            waiting.append(answer["id"])
            asked += 1
            if len(waiting) == 20:
                truth = rng.integers(0, 2, 20).tolist()
                body = json.dumps({"ids": waiting, "labels": truth}).encode()
                answer = json.loads(connection.ask("/learn", body))
                labels += answer["learnt"]
                waiting = []
            if now > (len(memory) + 1) * seconds / 10:
                memory.append(round(resident(process), 1))
    return asked, labels, memory


def state_of(folder, state, oldest):
    """State after a start from the newest snapshot, or from the oldest and all events."""
    with tempfile.TemporaryDirectory() as other:
        copied = Path(shutil.copytree(state, Path(other) / "state"))
        for path in sorted(copied.glob("snapshot-*.state"))[1:] if oldest else ():
            path.unlink()
        running = Running(folder, copied, strict=False)
        found, notes = running.model.state(), running.store.notes
        running.end()
    return found, notes


def main():
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("model")
    made.add_argument("--seconds", type=float, default=600.0)
    made.add_argument("--rate", type=float, default=200.0)
    args = made.parse_args()
    rows = raw_rows(load_shipped(args.model).encoder, 600)
    with tempfile.TemporaryDirectory() as state:
        asked, labels, memory = soak(args.model, state, rows, args.seconds, args.rate)
        (head, arrays), notes = state_of(args.model, state, False)
        (again, others), all_notes = state_of(args.model, state, True)
    counts = head["counts"]
    equal = all(np.array_equal(arrays[name], others[name]) for name in arrays if name != "unseen")
    told = {"requests": asked, "labels_acknowledged": labels, "labels_learnt": counts["learnt"]}
    told |= {"a_second": round(asked / args.seconds), "memory_mb": memory, "notes": notes}
    print(json.dumps({**told, "replayed": all_notes, "equal": equal and again == head}))


if __name__ == "__main__":
    main()

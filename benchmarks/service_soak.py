"""A soak of a shipped model's service: python -m benchmarks.service_soak MODEL --seconds 600

Serves a fixed rate with labels for each request, watches the process's memory, stops it, and then
does the whole log again offline, from the first snapshot: each row is predicted anew where the log
says that it was served. Every score that was answered, all that was kept for learning, and the
state at the end must be equal to the bit; else it exits with 1.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.service_load import Connection, raw_rows, service, tell
from reloop2_keras.core.command_line import Parser, real
from reloop2_keras.core.serving import load_shipped
from reloop2_keras.core.serving.event_log import read_events
from reloop2_keras.core.serving.snapshot_file import read_state
from reloop2_keras.service.running import Running

BESIDE = ("model", "time", "why", "seen")  # what a snapshot holds beside the state


def resident(process):
    """MB that a process holds."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def soak(folder, state, rows, seconds, rate):
    """Returns id -> (row, score) of each request, labels learnt, MB at each tenth of the time."""
    rng, told, labels, memory = np.random.default_rng(0), {}, 0, []
    options = ["--keep", "1000", "--snapshot-seconds", str(max(5, seconds / 20))]
    taken = []
    with service(folder, state, options) as (port, process):
        connection, start = Connection(port), time.perf_counter()
        waiting = []
        while (now := time.perf_counter() - start) < seconds:
            time.sleep(max(0.0, len(told) / rate - now))
            place = int(rng.integers(len(rows)))
            body, before = json.dumps({"rows": [rows[place]]}).encode(), time.perf_counter()
            answer = json.loads(connection.ask("/predict", body))  # or an error, and that is all
            taken.append(time.perf_counter() - before)
            told[answer["id"]] = place, answer["scores"][0]
            waiting.append(answer["id"])
            if len(waiting) == 20:
                truth = rng.integers(0, 2, 20).tolist()
                body = json.dumps({"ids": waiting, "labels": truth}).encode()
                answer = json.loads(connection.ask("/learn", body))
                labels += answer["learnt"]
                waiting = []
            if now > (len(memory) + 1) * seconds / 10:
                memory.append(round(resident(process), 1))
    tell("soak, 1 row, 1 client", taken)
    return told, labels, memory


def replayed(folder, state, rows, told):
    """State after the whole log, done again; scores compared, and those that differ."""
    with tempfile.TemporaryDirectory() as other:
        running = Running(folder, other, strict=False)
        model = running.model
        model.log = None
        oldest = min(Path(state).glob("snapshot-*.state"))
        model.load_state(*read_state(oldest))
        compared = differ = 0
        for path in sorted(Path(state).glob("events-*.log")):
            for head, arrays in read_events(path, last=True):
                if head["kind"] == "served":
                    place, score = told[head["id"]]
                    _, served = model._served([rows[place]])
                    same = np.float32(score) == served["corrected"][0]
                    same &= set(served) == set(arrays)
                    same &= all(served[n].tobytes() == a.tobytes() for n, a in arrays.items())
                    compared, differ = compared + 1, differ + (not same)
                model.replay(head, arrays)
        found = model.state()
        running.end()
    return found, compared, differ


def last_state(state):
    """What the service wrote when it was stopped."""
    head, arrays = read_state(max(Path(state).glob("snapshot-*.state")))
    return {name: value for name, value in head.items() if name not in BESIDE}, {
        name: array for name, array in arrays.items() if not name.startswith("seen/")
    }


def main():
    made = Parser(description=__doc__.splitlines()[0])
    made.add_argument("model")
    made.add_argument("--seconds", type=real("(0, inf)"), default=600.0)
    made.add_argument("--rate", type=real("(0, inf)"), default=200.0)
    args = made.parse_args()
    rows = raw_rows(made.opened(load_shipped, args.model).encoder, 20_000)
    with tempfile.TemporaryDirectory() as state:
        told, labels, memory = soak(args.model, state, rows, args.seconds, args.rate)
        state = next(Path(state).iterdir())  # the one model that was served there
        head, arrays = last_state(state)
        (again, others), compared, differ = replayed(args.model, state, rows, told)
    # unseen values are counted where a request is encoded, and not again
    unequal = [n for n in arrays if n != "unseen" and not np.array_equal(arrays[n], others[n])]
    unequal += [name for name in head if json.dumps(head[name]) != json.dumps(again[name])]
    grown = max(memory) / memory[0] - 1
    answer = {"requests": len(told), "a_second": round(len(told) / args.seconds)}
    answer |= {"labels_acknowledged": labels, "labels_learnt": head["counts"]["learnt"]}
    answer |= {"memory_mb": memory, "memory_grown": round(grown, 4)}
    answer |= {"scores_compared": compared, "scores_that_differ": differ}
    print(json.dumps({**answer, "parts_of_state_that_differ": unequal}))
    right = compared == len(told) and not differ and not unequal and grown <= 0.05
    sys.exit(0 if right and labels == head["counts"]["learnt"] else 1)


if __name__ == "__main__":
    main()

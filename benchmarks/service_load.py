"""Load on a shipped model's service, from a second process: python -m benchmarks.service_load MODEL

Prints one line of JSON a measurement: predictions in process, and over loopback with learning going
on beside them; milliseconds, and requests a second. Nothing is asserted: it depends on the machine.
"""

import argparse
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

from reloop2_keras.core.serving import load_shipped
from reloop2_keras.service.running import Running


def raw_rows(encoder, count, seed=0):
    """Rows of values that training saw, and one in twenty that it did not."""
    rng = np.random.default_rng(seed)
    kept = {
        name: list(texts) for name, texts in encoder.vocabulary.by_field(encoder.fields).items()
    }
    rows = []
    for number in range(count):
        row = {}
        for field in encoder.fields:
            name = field["name"]
            if field["kind"] == "numeric":
                row[name] = int(rng.integers(0, 100))
            elif rng.random() < 0.05 or not kept[name]:
                row[name] = f"new{number % 50}"
            else:
                row[name] = kept[name][int(len(kept[name]) * rng.random())]
        rows.append(row)
    return rows


def tell(what, seconds, **more):
    some = np.array(seconds) * 1e3
    told = {"what": what, "n": len(some), "p50_ms": round(float(np.median(some)), 3)}
    told["p99_ms"] = round(float(np.percentile(some, 99)), 3)
    print(json.dumps({**told, **more, "load": round(os.getloadavg()[0], 1)}), flush=True)


def in_process(folder, rows, seconds):
    with tempfile.TemporaryDirectory() as state:
        running = Running(folder, state, strict=False)
        for size in (1, 100):
            taken, used, at, end = [], [], 0, time.perf_counter() + seconds
            while time.perf_counter() < end:
                some = rows[at % 500 : at % 500 + size]
                at += size
                start, busy = time.perf_counter(), time.thread_time()
                prediction = running.model.predict(some)
                used.append(time.thread_time() - busy)
                taken.append(time.perf_counter() - start)
                running.model.learn(prediction.id, [int(at % 3 == 0)] * size)
            cpu = round(float(np.median(used[20:])) * 1e3, 3)  # what others on the machine spare
            tell(f"in process, {size} rows", taken[20:], cpu_p50_ms=cpu)
        running.end()


class Connection:
    """Keeps one connection open."""

    def __init__(self, port):
        self._port = port
        self._open()

    def _open(self):
        self._to = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)

    def ask(self, path, body):
        self._to.request("POST", path, body, {"Content-Type": "application/json"})
        reply = self._to.getresponse()
        data = reply.read()
        if reply.status != 200:
            raise RuntimeError(data.decode())
        return data


@contextlib.contextmanager
def service(folder, state, options=()):
    """Yield (port, process); it is told to stop at the end."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    words = ["serve", str(folder), "--port", str(port), "--state", str(state), "--lenient"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", "reloop2_keras", *words, *options], **quiet)
    try:
        while process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        process.wait()


def asking(port, bodies, stop, taken, ids=None):
    connection, at = Connection(port), 0
    while not stop.is_set():
        start = time.perf_counter()
        data = connection.ask("/predict", bodies[at % len(bodies)])
        taken.append(time.perf_counter() - start)
        at += 1
        if ids is not None:
            ids.append(json.loads(data)["id"])


def learning(port, rows, stop, learnt, pause):
    """Labels of 50 rows at a time."""
    connection, at = Connection(port), 0
    while not stop.is_set():
        some = rows[at % 10 * 50 : at % 10 * 50 + 50]
        at += 1
        body = {"rows": some, "labels": [int(at % 3 == 0)] * len(some)}
        connection.ask("/learn_rows", json.dumps(body).encode())
        learnt.append(len(some))
        time.sleep(pause)


def over_loopback(folder, rows, seconds):
    bodies = {
        size: [json.dumps({"rows": rows[k : k + size]}).encode() for k in range(400)]
        for size in (1, 100)
    }
    with tempfile.TemporaryDirectory() as state, service(folder, state) as (port, _):
        for size, clients in ((1, 1), (100, 1), (1, 4)):
            stop, taken, learnt = threading.Event(), [], []
            jobs = [(asking, port, bodies[size], stop, taken) for _ in range(clients)]
            jobs.append((learning, port, rows, stop, learnt, 0.05))
            threads = [threading.Thread(target=job[0], args=job[1:]) for job in jobs]
            for thread in threads:
                thread.start()
            time.sleep(seconds)
            stop.set()
            for thread in threads:
                thread.join()
            rates = {"requests_a_second": round(len(taken) / seconds)}
            rates["learnt_a_second"] = round(sum(learnt) / seconds)
            tell(f"loopback, {size} rows, {clients} clients, learning on", taken[20:], **rates)


def main():
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    made.add_argument("model")
    made.add_argument("--seconds", type=float, default=5.0)
    args = made.parse_args()
    rows = raw_rows(load_shipped(args.model).encoder, 600)
    in_process(args.model, rows, args.seconds)
    over_loopback(args.model, rows, args.seconds)


if __name__ == "__main__":
    main()

"""Load on a shipped model's service, from a second process: python -m benchmarks.service_load MODEL

Prints one line of JSON a measurement: predictions in process, and over loopback while the label of
each row that was served is learnt; milliseconds, and requests a second. Nothing is asserted: it
depends on the machine. `--in-process` leaves the service out, for a base that Keras serves.
"""

import collections
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import numpy as np

from reloop2_keras.core.command_line import Parser, real
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
        names = [field["name"] for field in running.model.encoder.fields]
        kinds = [field["kind"] for field in running.model.encoder.fields]
        for size, new in ((1, False), (1, True), (100, False)):
            taken, used, at, end = [], [], 0, time.perf_counter() + seconds
            while time.perf_counter() < end:
                some = rows[at % (len(rows) - size) :][:size]
                if new:  # each value for the first time
                    values = [at + 0.5 if kind == "numeric" else f"first {at}" for kind in kinds]
                    some = [dict(zip(names, values, strict=True))]
                at += size
                start, busy = time.perf_counter(), time.thread_time()
                prediction = running.model.predict(some)
                used.append(time.thread_time() - busy)
                taken.append(time.perf_counter() - start)
                running.model.learn(prediction.id, [int(at % 3 == 0)] * size)
            cpu = round(
                float(np.median(used[len(used) // 10 :])) * 1e3, 3
            )  # what others on the machine spare
            what = ", each value new" if new else ""
            tell(f"in process, {size} rows{what}", taken[len(taken) // 10 :], cpu_p50_ms=cpu)
        running.end()


class Connection:
    """Keeps one connection open; a bare one, since a client shares the cores with the service."""

    def __init__(self, port):
        self._to = socket.create_connection(("127.0.0.1", port), 30)
        self._to.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def request(path, body):
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def ask(self, path, body):
        return self.answer(self.request(path, body))

    def answer(self, request):
        self._to.sendall(request)
        data = self._to.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._to.recv(65536)
        at = data.find(b"content-length: ") + 16
        whole = end + 4 + int(data[at : data.find(b"\r", at)])
        while len(data) < whole:
            data += self._to.recv(65536)
        if not data.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(data.decode())
        return data[end + 4 :]


@contextlib.contextmanager
def service(folder, state, options=()):
    """Yield (port, process) once it answers; it is told to stop at the end."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        port = some.getsockname()[1]
    words = ["serve", str(folder), "--port", str(port), "--state", str(state), "--lenient"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", "reloop2_keras", *words, *options], **quiet)
    try:
        while process.poll() is None:
            try:  # the port is taken before the model is loaded: an answer is what counts
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port, process
    finally:
        process.terminate()
        process.wait()


def asking(port, requests, stop, taken, ids):
    connection, at = Connection(port), 0
    while not stop.is_set():
        start = time.perf_counter()
        data = connection.answer(requests[at % len(requests)])
        taken.append(time.perf_counter() - start)
        at += 1
        ids.append(data[8 : data.index(b'"', 8)].decode())


def learning(port, ids, size, stop, learnt):
    """Labels of some rows at a time, of all that were served."""
    connection, some = Connection(port), max(1, 50 // size)
    while not stop.is_set():
        if len(ids) < some:
            time.sleep(0.001)
            continue
        names = [ids.popleft() for _ in range(some)]
        labels = [[int(k % 3 == 0)] * size for k in range(some)]
        body = json.dumps({"ids": names, "labels": labels}).encode()
        learnt.append(json.loads(connection.ask("/learn", body))["learnt"])


def requests_of(rows, size):
    """Requests of `size` rows each, as bytes."""
    return [
        Connection.request("/predict", json.dumps({"rows": rows[k : k + size]}).encode())
        for k in range(0, len(rows) - size, max(1, size // 4))
    ]


def under_load(port, requests, size, clients, seconds):
    """Ask for some seconds, the label of each row learnt; (seconds of each answer, rows learnt)."""
    stop, taken, learnt, ids = threading.Event(), [], [], collections.deque()
    jobs = [(asking, port, requests, stop, taken, ids) for _ in range(clients)]
    jobs.append((learning, port, ids, size, stop, learnt))
    threads = [threading.Thread(target=job[0], args=job[1:]) for job in jobs]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return taken, sum(learnt)


def over_loopback(folder, rows, seconds):
    requests = {size: requests_of(rows, size) for size in (1, 100)}
    with tempfile.TemporaryDirectory() as state, service(folder, state) as (port, process):
        for size, clients in ((1, 1), (100, 1), (1, 2), (1, 4), (1, 8)):
            mine, theirs = time.process_time(), cpu_of(process)
            taken, learnt = under_load(port, requests[size], size, clients, seconds)
            rates = {"requests_a_second": round(len(taken) / seconds)}
            rates["learnt_a_second"] = round(learnt / seconds)
            # of one core: a client that takes much is the limit itself
            rates["client_cpu"] = round((time.process_time() - mine) / seconds, 2)
            rates["service_cpu"] = round((cpu_of(process) - theirs) / seconds, 2)
            tell(
                f"loopback, {size} rows, {clients} clients, learning on",
                taken[len(taken) // 10 :],
                **rates,
            )


def cpu_of(process):
    """Seconds of CPU that a process has taken."""
    with open(f"/proc/{process.pid}/stat") as file:
        parts = file.read().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def main():
    made = Parser(description=__doc__.splitlines()[0])
    made.add_argument("model")
    made.add_argument("--seconds", type=real("(0, inf)"), default=5.0)
    made.add_argument("--in-process", action="store_true", help="leave the service out")
    args = made.parse_args()
    rows = raw_rows(made.opened(load_shipped, args.model).encoder, 5000)
    in_process(args.model, rows, args.seconds)
    if not args.in_process:
        over_loopback(args.model, rows, args.seconds)


if __name__ == "__main__":
    main()

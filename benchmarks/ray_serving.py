"""A service on Ray beside one process: python -m benchmarks.ray_serving MODEL [--paces 0 20 50 200]

Prints one line of JSON a measurement: over loopback, while the label of each row that was served is
learnt; milliseconds, requests a second, and how long after a label is acknowledged every reader has
it. Nothing is asserted: it depends on the machine, and on two cores readers take each other's.
"""

import collections
import json
import tempfile
import threading
import time
import urllib.request

from benchmarks.service_load import Connection, asking, learning, raw_rows, service, tell
from reloop2_keras.core.command_line import Parser, real
from reloop2_keras.core.serving import load_shipped


def health(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as reply:
        return json.loads(reply.read())


def measured(port, rows, size, clients, seconds, what):
    """Ask for some seconds; the first ones of a service are not counted."""
    requests = [
        Connection.request("/predict", json.dumps({"rows": rows[k : k + size]}).encode())
        for k in range(0, len(rows) - size, max(1, size // 4))
    ]
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
    more = {"requests_a_second": round(len(taken) / seconds)}
    more["learnt_a_second"] = round(sum(learnt) / seconds)
    lag = health(port).get("staleness", {})
    more |= {f"stale_{name}": lag[name] for name in ("p50_ms", "p99_ms", "max_ms") if name in lag}
    if lag.get("messages"):
        more["kb_a_message"] = round(lag["bytes"] / lag["messages"] / 1e3, 1)
    tell(f"{what}: {size} rows, {clients} clients", taken[len(taken) // 10 :], **more)


def main():
    made = Parser(description=__doc__.splitlines()[0])
    made.add_argument("model")
    made.add_argument("--seconds", type=real("(0, inf)"), default=5.0)
    made.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    made.add_argument("--paces", type=float, nargs="+", default=[50.0])
    args = made.parse_args()
    rows = raw_rows(load_shipped(args.model).encoder, 5000)
    ways = [("one process", ())]
    for replicas in args.replicas:
        for pace in args.paces:
            words = ("--ray", "--replicas", str(replicas), "--pace-ms", str(pace))
            ways.append((f"{replicas} readers, {pace:g} ms", words))
    for what, options in ways:
        with tempfile.TemporaryDirectory() as state, service(args.model, state, options) as there:
            port, _ = there
            measured(port, rows, 1, 2, 2.0, "warming up")
            for size, clients in ((1, 1), (1, 4), (1, 16), (100, 4)):
                measured(port, rows, size, clients, args.seconds, what)


if __name__ == "__main__":
    main()

"""A service on Ray beside one process: python -m benchmarks.ray_serving MODEL [--paces 0 20 50 200]

Prints one line of JSON a measurement: over loopback, while the label of each row that was served is
learnt; milliseconds, requests a second, and how long after a label is acknowledged every reader has
it. Nothing is asserted: it depends on the machine, and on two cores readers take each other's.
"""

import json
import tempfile
import urllib.request

from benchmarks.service_load import raw_rows, requests_of, service, tell, under_load
from reloop2_keras.core.command_line import Parser, real, whole
from reloop2_keras.core.serving import load_shipped


def health(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as reply:
        return json.loads(reply.read())


def measured(port, rows, size, clients, seconds, what):
    """Ask for some seconds; the first ones of a service are not counted."""
    taken, learnt = under_load(port, requests_of(rows, size), size, clients, seconds)
    more = {"requests_a_second": round(len(taken) / seconds)}
    more["learnt_a_second"] = round(learnt / seconds)
    lag = health(port).get("staleness", {})
    more |= {f"stale_{name}": lag[name] for name in ("p50_ms", "p99_ms", "max_ms") if name in lag}
    if lag.get("messages"):
        more["kb_a_message"] = round(lag["bytes"] / lag["messages"] / 1e3, 1)
    tell(f"{what}: {size} rows, {clients} clients", taken[len(taken) // 10 :], **more)


def main():
    made = Parser(description=__doc__.splitlines()[0])
    made.add_argument("model")
    made.add_argument("--seconds", type=real("(0, inf)"), default=5.0)
    made.add_argument("--replicas", type=whole(1), nargs="+", default=[1, 2])
    made.add_argument("--paces", type=real("[0, inf)"), nargs="+", default=[50.0])
    args = made.parse_args()
    rows = raw_rows(made.opened(load_shipped, args.model).encoder, 5000)
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

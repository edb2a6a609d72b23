"""A hand-made report with everything that report.html shows, and curves of several."""

import dataclasses

import numpy as np

from reloop2_keras.core.curve import Curve
from reloop2_keras.core.report import PrequentialReport

# names that would be code if they were not taken for text
EVIL = {
    "exact": "<script>window.pwned = 1</script>",
    "user": "</script><script>window.pwned = 1</script>",
    "item": "<img src=x onerror=window.pwned=1>",
    "log": "\"'><svg onload=window.pwned=1>@name{safe} $$x^2$$ <!--",
}


def report(names=None, labels=None, rows=400, slots=8):
    """Return a report of 5 arms, 2 seeds and 8 slots; `online` is the best by far.

    Args:
        names: other names for "exact", "user", "item" and "log".
        labels: other labels.
        rows, slots: int.
    """
    name = {n: (names or {}).get(n, n) for n in EVIL}
    rng = np.random.default_rng(3)
    truth = rng.standard_normal(rows)
    drawn = (rng.random(rows) < 1 / (1 + np.exp(-3 * truth))).astype("uint8")
    scales = {"frozen": 0.3, "recalibrated": 0.4, "shuffled": 0.1, name["exact"]: 0.8, "online": 3}
    p = {
        arm: [1 / (1 + np.exp(-scale * truth - 0.1 * rng.standard_normal(rows))) for _ in "12"]
        for arm, scale in scales.items()
    }
    weights = [[{"tables": 1 - t / 10, "frozen": t / 10} for t in range(slots)]] * 2
    tables = [[{name["user"]: 0.1 * t, name["item"]: 0.5} for t in range(slots)]] * 2
    return PrequentialReport(
        arms=list(scales),
        seeds=[1, 2],
        predictions={arm: [one.astype("float32") for one in two] for arm, two in p.items()},
        labels=drawn if labels is None else labels,
        slot_of_row=np.arange(rows) * slots // rows,
        groups=np.arange(rows) % 7,
        unseen_share={name["user"]: np.linspace(0, 0.6, slots), name["item"]: np.zeros(slots)},
        info={
            "dataset": "table",
            "path": f"runs/{name['log']}/dataset".replace("</", "<"),  # a path has no such part
            "checksum": "0" * 64,
            "revision": "git 123456789abc",
            "rows": rows,
            "backend": "numpy",
            "date": "2026-11-26T10:00:00+00:00",
            "parameters": {"slots": slots, name["item"]: name["user"]},
            "versions": {"numpy": "1"},
            "microseconds": dict.fromkeys(scales, 2.5),
            "weights": {"online": weights},
            "table_weights": {"online": tables},
            "crosses": [[name["user"], name["item"]]],
            "picked": [{"seed": 1, "arm": name["exact"], "compensation": 0.4}],
        },
    )


def curve(late=False, **options):
    """Return a curve of three delays, or of what to do about late clicks, over `report`.

    `online` loses a little at each point of a delay; of the ways "retract" is the best.

    Args:
        late: which of the two.
        **options: of `report`.
    """
    shares = {"none late": 0.0, "wait": 0.5, "assume": 0.6, "retract": 0.3}
    points = shares if late else {"0 slots": 0.0, "1 slots": 0.2, "5 slots": 0.4}
    first, made = report(**options), {}
    for name, lost in points.items():
        p = dict(first.predictions)
        p["online"] = [(1 - lost) * mine + lost * 0.5 for mine in p["online"]]
        given = {**first.info["parameters"], "delay": "0 slots" if late else name}
        info = {**first.info, "parameters": given, "seconds": 1.5}
        made[name] = dataclasses.replace(first, predictions=p, info=info)
    axis = "30% late, 0 slots + 4 slots" if late else "delay"
    return Curve(axis, made, "none late" if late else None)

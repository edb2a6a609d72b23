"""Kills comparisons and tells whether the next run writes the metrics.json of one never stopped.

python killed_studies.py FOLDER KILLS [WAY] [ARM …] prints one line of JSON a kill. Each run is a
fork of this process, which imports the framework and computes nothing. WAY is "delays" or "late",
for a comparison at two delays, or with clicks that come late: then it is their curve.json.
"""

import json
import os
import random
import sys
from pathlib import Path

if "KERAS_BACKEND" in os.environ:
    from absent import hide

    hide(*{"tensorflow", "jax", "torch"} - {os.environ["KERAS_BACKEND"]})
    from reloop2_keras import PreparedDataset, compare, compare_delays, compare_late_clicks
else:
    from mindspore_port.data import PreparedDataset
    from mindspore_port.streaming.study import compare, compare_delays, compare_late_clicks

from killed_runs import ended, forked  # noqa: E402

from data_scripts import prepare, synthetic  # noqa: E402
from reloop2_keras.core.candidates import Candidates  # noqa: E402
from reloop2_keras.core.metrics_content import without_times  # noqa: E402

SMALL = Candidates(
    validation_slots=3,
    exact_capacity=300,
    num_neighbors=5,
    sketch_sizes=((6, 5),),
    compensations=(0.0, 0.5),
    label_weights=(0.5, 1.0),
    feature_bits=9,
    learning_rates=(1e-2,),
)
BASE = {"search": None, "max_epochs": 1, "hidden_units": (8,), "embedding_dim": 4}


def study(folder, name, arms, kill_at=None, delay=1):
    """Compare; returns the number of file events in the folder of the state."""
    import signal

    state, seen = folder / name / "state", [0]

    def count(event, arguments):
        if event.startswith(("open", "os.", "tempfile.")) and str(state) in str(arguments):
            seen[0] += 1
            if seen[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    ways = {
        "delays": lambda *given, **more: compare_delays(*given, delays=[0, delay], **more),
        "late": lambda *given, **more: compare_late_clicks(*given, delay=delay, longest=1, **more),
    }
    run = ways.get(arms[0], lambda *given, **more: compare(*given, delay=delay, **more))
    report = run(
        PreparedDataset(folder / "dataset"),
        arms=arms[1:] if arms[0] in ways else arms,
        seeds=[1, 2],
        settings=SMALL,
        base_options=BASE,
        progress=False,
        state=state,
    )
    report.save(folder / name)
    return seen[0]


def made(folder):
    source = synthetic(rows=2500, seed=1, users=30, items=10)
    prepare(source, folder / "dataset", slots=4, progress=False)
    return 1


def metrics(folder, name):
    path = next(path for path in (folder / name).glob("*.json"))
    return without_times(json.loads(path.read_text()))


def main(folder, kills, arms):
    """Print one line of JSON a kill."""
    assert ended(*forked(lambda: made(folder)))
    events = ended(*forked(lambda: study(folder, "whole", arms)))
    assert events
    want, rng = metrics(folder, "whole"), random.Random(13)
    for number in range(kills):
        name = f"killed{number}"
        moments = [rng.randint(1, events)]
        if number % 3 == 2:  # killed once more on the way
            moments.append(rng.randint(1, events))
        left = []
        for moment in moments:
            ended(*forked(lambda m=moment, n=name: study(folder, n, arms, m)))
            left.append(len(list((folder / name).rglob("*.state"))))
        again = ended(*forked(lambda n=name: study(folder, n, arms)))
        line = {"moments": moments, "of": events, "states": left, "again": again}
        line["equal"] = again is not None and metrics(folder, name) == want
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

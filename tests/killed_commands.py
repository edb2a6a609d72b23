"""Kills commands and tells whether the next run leaves the files of one that was never stopped.

python killed_commands.py KIND FOLDER KILLS [WORD …] prints one line of JSON a kill; KILLS may be
their numbers, 10:20, to go on where FOLDER has the run that was never stopped; WORDs are further
words of the command. Each run is a fork of this process, which imports the framework and computes
nothing. Kills come before a file event in the command's folder, or after some seconds. KILLS "half"
is one kill for each kind of file that the command writes, while half of it is written; "chain" is
the same and kills within writes, each of the run that goes on where the one before was killed;
"1:2,half state-N.state" is kill 1, and one for that kind.
"""

import functools
import json
import os
import random
import signal
import sys
import time
import types
from pathlib import Path

KIND = sys.argv[1]
# what the kernel kills a command within a write of
WRITTEN = ("metrics.json", "model.json", "report.html", "state-N.state", "base.ckpt")
if KIND == "compare":
    from absent import hide

    hide(*{"tensorflow", "jax", "torch"} - {os.environ["KERAS_BACKEND"]})
    import bokeh.embed
    import bokeh.layouts
    import bokeh.plotting  # noqa: F401

    import reloop2_keras.streaming.figures
    import reloop2_keras.streaming.shipping
    import reloop2_keras.streaming.study  # noqa: F401
    from reloop2_keras import __main__ as made
    from reloop2_keras.rivals import grids

    command = made.main
    # 2^18 buckets a field took most of a run
    made.Candidates = functools.partial(made.Candidates, feature_bits=10)

    # what rivals are chosen from: less of it, for a run of seconds
    grids.RATES = {"linear": ("-l", (0.2, 0.5)), "coin": (None, (None,))}
    grids.BETAS, grids.EPSILONS, grids.STRENGTHS = (1.0, 2.0), (0.0,), (0.1, 1.0)
else:
    from mindspore_port.compare import main as ms_compare
    from mindspore_port.train import main as ms_train

    command = ms_train if KIND == "train" else ms_compare

from killed_runs import ended, forked  # noqa: E402
from killed_steps import Watch, chained_moments, half_moments  # noqa: E402
from run_content import content, differences  # noqa: E402

from data_scripts import prepare, synthetic  # noqa: E402
from reloop2_keras.core import running  # noqa: E402


def words(folder, out, more):
    """The command's words: what it reads, where it writes, small settings."""
    if KIND == "train":
        flags = {
            "dataset_path": folder / "dataset",
            "ckpt_path": out,
            "loss_file_name": out / "loss.log",
            "eval_file_name": out / "auc.log",
            "epochs": 4,
            "batch_size": 128,
            "embedding_dim": 4,
            "hidden_units": "[8, 6]",
            "dropout": 0.2,
            "learning_rate": 0.01,
            "keep_checkpoints": 2,
        }
        return [*(w for name, value in flags.items() for w in (f"--{name}", str(value))), *more]
    given = ["--resume", "--quiet", "--seeds", "1", "--delay", "1", "--max-epochs", "2"]
    given += ["--validation-slots", "3", "--search-seconds", "0"]
    start = ["compare"] if KIND == "compare" else []
    return [*start, str(folder / "dataset"), str(out), *given, *more]


def run(folder, out, more, kill_at=None):
    """Run the command; returns the number of file events in its folder."""
    # what an event took is all that may differ
    running.time = types.SimpleNamespace(perf_counter=lambda: 0.0)
    os.dup2(2, 1)
    watch = Watch(out, kill_at)
    status = command(words(folder, out, more))
    if out.name == "whole":
        (folder / "renamed.json").write_text(json.dumps([watch.renamed, watch.sizes]))
    return watch.seen if status == 0 else 1 / 0


def prepared(folder):
    source = synthetic(rows=2500, seed=1, users=30, items=10)
    prepare(source, folder / "dataset", slots=4, progress=False)
    return 1


def whole_run(folder, more):
    """One that is never stopped, unless FOLDER has one; returns what is told of it."""
    note = folder / "whole.json"
    if not note.exists():
        assert ended(*forked(lambda: prepared(folder)))
        start = time.monotonic()
        events = ended(*forked(lambda: run(folder, folder / "whole", more)))
        assert events, "the command failed"
        told = {"events": events, "seconds": round(time.monotonic() - start, 1)}
        note.write_text(json.dumps({**told, "files": sorted(content(folder / "whole"))}))
    return json.loads(note.read_text())


def killed_run(folder, out, more, moment):
    """Run until it is killed; returns what is told of it."""
    seconds = isinstance(moment, float)
    process, pipe = forked(lambda: run(folder, out, more, None if seconds else moment))
    if seconds:
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
    killed = ended(process, pipe) is None
    states = len([*out.rglob("*.state"), *out.rglob("*.ckpt")]) if out.exists() else 0
    moment = round(moment, 2) if seconds else moment
    return {"moment": moment, "killed": killed, "states": states}


def told(name, killed, folder, out, more):
    """Run to the end; print what is told of the kills before, and what differs."""
    again = ended(*forked(lambda: run(folder, out, more)))
    line = {"kill": name, "killed": killed, "states": [kill["states"] for kill in killed]}
    line["again"] = again
    line["strays"] = sorted(path.relative_to(out).as_posix() for path in out.rglob(".*"))
    line["differ"] = differences(content(folder / "whole"), out) if again else ["all"]
    print(json.dumps(line), flush=True)


def numbered_moments(number, whole):
    """Moments of the kill of a number: seconds, or the number of a file event."""
    rng, events = random.Random(f"17 {number}"), whole["events"]
    moments = [whole["seconds"] * rng.random() if number % 2 else rng.randint(1, events)]
    if number % 3 == 2:  # killed once more on the way
        moments.append(rng.randint(1, events))
    return moments


def main(folder, kills, more):
    """Print one line of JSON a kill; of a chain, one."""
    whole = whole_run(folder, more)
    renamed, sizes = json.loads((folder / "renamed.json").read_text())
    print(json.dumps(whole), flush=True)
    moments = {}
    for word in kills.split(","):
        if word == "chain":
            moments["chain"] = [*chained_moments(renamed, sizes, WRITTEN).values()]
        elif word.startswith("half"):
            half = half_moments(renamed, random.Random(len(renamed)))
            kinds = [word[5:]] if word[5:] else [*half]
            moments |= {kind: [half[kind]] for kind in kinds}
        else:
            first, _, last = word.rpartition(":")
            numbers = range(int(first or 0), int(last))
            moments |= {number: numbered_moments(number, whole) for number in numbers}
    for name, chain in moments.items():
        out, killed = folder / f"killed {name}", []
        for moment in chain:
            killed.append(killed_run(folder, out, more, moment))
            print(json.dumps(killed[-1]), file=sys.stderr, flush=True)
        told(name, killed, folder, out, more)


if __name__ == "__main__":
    main(Path(sys.argv[2]), sys.argv[3], sys.argv[4:])

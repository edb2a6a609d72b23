"""Kills commands and tells whether the next run leaves the files of one that was never stopped.

python killed_commands.py KIND FOLDER KILLS [WORD …] prints one line of JSON a kill; KILLS may be
their numbers, 10:20, to go on; WORDs are further words of the command. Each run is a fork of this
process, which imports the framework and computes nothing. Kills come before a file event in the
command's folder, or after some seconds. KILLS "half" is one kill for each kind of file that the
command writes, while half of it is written; "1:2,half state-N.state" is kill 1, and one for that
kind.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import types
from pathlib import Path

KIND = sys.argv[1]
if KIND == "compare":
    from absent import hide

    hide(*{"tensorflow", "jax", "torch"} - {os.environ["KERAS_BACKEND"]})
    import reloop2_keras.streaming.shipping  # noqa: F401
    import reloop2_keras.streaming.study  # noqa: F401
    from reloop2_keras.__main__ import main as command
    from reloop2_keras.rivals import grids

    # what rivals are chosen from: less of it, for a run of seconds
    grids.RATES = {"linear": ("-l", (0.2, 0.5)), "coin": (None, (None,))}
    grids.BETAS, grids.EPSILONS, grids.STRENGTHS = (1.0, 2.0), (0.0,), (0.1, 1.0)
else:
    from mindspore_port.compare import main as ms_compare
    from mindspore_port.train import main as ms_train

    command = ms_train if KIND == "train" else ms_compare

from killed_runs import ended, forked  # noqa: E402
from killed_steps import Watch, half_moments  # noqa: E402
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
    if not kill_at:
        (folder / "renamed.json").write_text(json.dumps(watch.renamed))
    return watch.seen if status == 0 else 1 / 0


def prepared(folder):
    source = synthetic(rows=2500, seed=1, users=30, items=10)
    prepare(source, folder / "dataset", slots=4, progress=False)
    return 1


def main(folder, kills, more):
    """Print one line of JSON a kill."""
    if not (folder / "dataset").exists():
        assert ended(*forked(lambda: prepared(folder)))
    shutil.rmtree(folder / "whole", ignore_errors=True)
    start = time.monotonic()
    events = ended(*forked(lambda: run(folder, folder / "whole", more)))
    seconds = time.monotonic() - start
    assert events, "the command failed"
    want = content(folder / "whole")
    renamed = json.loads((folder / "renamed.json").read_text())
    whole = {"events": events, "seconds": round(seconds, 1), "files": sorted(want)}
    print(json.dumps(whole), flush=True)
    half = half_moments(renamed, random.Random(len(renamed)))
    for number in kills or half:
        by_half = isinstance(number, str)
        rng, out = random.Random(f"17 {number}"), folder / f"killed {number}"
        if not by_half:
            moments = [seconds * rng.random() if number % 2 else rng.randint(1, events)]
            if number % 3 == 2:  # killed once more on the way
                moments.append(rng.randint(1, events))
        else:
            moments = [half[number]]
        left = []
        for moment in moments:
            at = None if isinstance(moment, float) else moment
            process, pipe = forked(lambda o=out, a=at: run(folder, o, more, a))
            if at is None:
                time.sleep(moment)
                os.kill(process, signal.SIGKILL)
            ended(process, pipe)
            left.append(len([*out.rglob("*.state"), *out.rglob("*.ckpt")]) if out.exists() else 0)
        again = ended(*forked(lambda o=out: run(folder, o, more)))
        moments = [round(m, 2) if isinstance(m, float) else m for m in moments]
        line = {"kill": number, "moments": moments, "states": left, "again": again}
        line["strays"] = sorted(path.relative_to(out).as_posix() for path in out.rglob(".*"))
        line["differ"] = differences(want, out) if again else ["all"]
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    given: list = []
    for word in sys.argv[3].split(","):
        first, _, last = word.rpartition(":")
        half = word.startswith("half")
        given += [word[5:]] if half else range(int(first or 0), int(last))
    main(Path(sys.argv[2]), [one for one in given if one != ""], sys.argv[4:])

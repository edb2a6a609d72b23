"""`learn` and `predict` that are killed and started again: nothing lost, nothing learnt twice."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from batch_case import labelled, learn, predict, shipped_model, write
from served_model import assert_same

from reloop2_keras.core.serving import Store

ROOT = Path(__file__).parents[1]
EVENTS = ("open", "os.", "shutil.")
KILLS = 20


def dying(work, folder, kill_at):
    """Do work in a child that dies just before one of its file events; returns its exit status."""
    child = os.fork()
    if child == 0:
        seen = [0]

        def count(event, arguments):
            if event.startswith(EVENTS) and any(str(folder) in str(a) for a in arguments):
                seen[0] += 1
                if seen[0] == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            work()
            (folder / "events").write_text(str(seen[0]))
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1]


def moments(work, folder):
    """Numbers of file events at which to die: some in between, and all of the last ones."""
    assert dying(work, folder, -1) == 0
    count = int((folder / "events").read_text())
    rng = random.Random(3)
    return sorted({*range(count - 8, count + 1), *rng.sample(range(1, count), KILLS - 9)})


def test_learning_killed_at_any_file_event_ends_as_if_it_had_not_been(tmp_path):
    delay = 300  # so that batches wait for their labels
    path = write(tmp_path, labelled(900))
    whole, _ = learn(tmp_path, path, "whole", delay=delay)
    options = {"delay": delay, "chunk_rows": 256, "snapshot_seconds": 0.0}
    kept = moments(lambda: learn(tmp_path, path, "first", **options), tmp_path)
    began = set()
    for number in kept:
        state = f"state{number}"
        status = dying(lambda s=state: learn(tmp_path, path, s, **options), tmp_path, number)
        assert os.WTERMSIG(status) == signal.SIGKILL
        model, done = learn(tmp_path, path, state, **options)
        began.add(done.first)
        assert done.whole and done.rows == 900
        assert_same(model, whole)
        assert not [p.name for p in (tmp_path / state).iterdir() if p.name.startswith(".")]
    assert {0, 900} < began


def test_predicting_killed_at_any_file_event_writes_the_same_bytes(tmp_path):
    path, out = write(tmp_path, labelled(900)), tmp_path / "out.parquet"
    options = {"chunk_rows": 256, "part_rows": 256, "copy": ["user"]}
    predict(tmp_path, path, tmp_path / "whole.parquet", **options)
    want = (tmp_path / "whole.parquet").read_bytes()
    began, ready = set(), 0
    for number in moments(lambda: predict(tmp_path, path, out, **options), tmp_path):
        out.unlink(missing_ok=True)
        status = dying(lambda: predict(tmp_path, path, out, **options), tmp_path, number)
        assert os.WTERMSIG(status) == signal.SIGKILL
        if out.exists():
            assert out.read_bytes() == want
            ready += 1
        began.add(predict(tmp_path, path, out, **options).first)
        assert out.read_bytes() == want
        assert not out.with_name("out.parquet.parts").exists()
        assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]
    assert len(began) > 2 and ready


def command(*arguments):
    words = [sys.executable, "-m", "reloop2_keras", *map(str, arguments), "--quiet"]
    return subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def killed(seconds, *arguments):
    """Run a command, killed after some seconds; returns whether it ended before."""
    with command(*arguments) as run:
        end = time.monotonic() + seconds
        while run.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        run.kill()
    return run.returncode == 0


def test_the_commands_killed_at_random_moments(tmp_path):
    path, model = write(tmp_path, labelled(70_000)), tmp_path / "model"
    shipped_model(tmp_path)
    start = time.monotonic()
    with command("learn", model, path, "--state", tmp_path / "whole") as run:
        said, wrong = run.communicate()
        assert run.returncode == 0, wrong
    seconds, rng = time.monotonic() - start, random.Random(1)
    assert "read 70000 rows, learnt" in said and "log loss 0." in said
    again = ["learn", model, path, "--snapshot-seconds", "0"]
    kills = [not killed(seconds * rng.uniform(0.4, 1.1), *again) for _ in range(3)]
    with command(*again) as run:
        assert run.wait() == 0 and any(kills), run.stderr.read()
    models = []
    for state in ("whole", "model-state"):
        one, name = shipped_model(tmp_path)
        (folder,) = (tmp_path / state).iterdir()
        store = Store(folder, name=name)
        store.start(one)
        store.close(snapshot=False)
        models.append(one)
    assert_same(*models)
    names = [tmp_path / "out.csv", tmp_path / "whole.csv"]
    for _ in range(2):
        killed(seconds * rng.uniform(0.4, 1.1), "predict", model, path, names[0])
    for out in names:
        with command("predict", model, path, out) as run:
            said, wrong = run.communicate()
            assert run.returncode == 0, wrong
    assert names[0].read_bytes() == names[1].read_bytes()
    assert "snapshot-" in said and names[0].read_text().count("\n") == 70_001


def test_a_command_that_is_told_to_stop_goes_on_later(tmp_path):
    path, model = write(tmp_path, labelled(60_000)), tmp_path / "model"
    shipped_model(tmp_path)
    with command("learn", model, path) as run:
        while run.poll() is None and not (tmp_path / "model-state").exists():
            time.sleep(0.02)
        time.sleep(0.3)
        run.send_signal(signal.SIGTERM)
        said, wrong = run.communicate()
    assert run.returncode in (0, 130, -signal.SIGTERM), wrong
    if run.returncode == 130:
        assert said.strip().endswith("stopped; the same command goes on")
    with command("learn", model, path) as run:
        said, wrong = run.communicate()
    assert run.returncode == 0 and "60000 rows" in said, wrong

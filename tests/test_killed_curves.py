"""`compare --delays` and `--late-clicks`, killed and run again, leave the very same files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras.__main__ import main
from reloop2_keras.core import curve_studies

pytestmark = pytest.mark.backend
HERE = Path(__file__).parent
FILES = ["curve.json", "curve.png", "report.html"]
CURVES = {
    "delays": ["--delays", "0,1,150rows", "--delay", "0"],
    "late": ["--late-clicks", ".4", "--longest", "1"],
}
FEW = ["--no-search", "--max-epochs", "1", "--arms", "frozen", "feature", "incremental"]
MANY = ["--seeds", "2", "--arms", "frozen", "shuffled online", "feature", "sketch", "incremental"]
MANY += ["incremental hashed", "online", "vw", "vw+base", "adpredictor"]


def killed(folder, kills, more):
    """What `killed_commands.py` tells of the run that was not stopped, and of each kill."""
    command = [sys.executable, str(HERE / "killed_commands.py"), "compare", str(folder), kills]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    environment["KERAS_BACKEND"] = keras.backend.backend()
    given = [*command, *more]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_kill_changes_no_file(tmp_path):
    if keras.backend.backend() != "torch":
        pytest.skip("PyTorch alone in the default tier: the others compile for a minute")
    given = [*CURVES["delays"], "--delays", "0,1", *FEW]
    whole, *lines = killed(tmp_path, "4:5,half state-N.state", given)
    assert whole["files"] == FILES and [line["kill"] for line in lines] == [4, "state-N.state"]
    assert all(line["differ"] == [] and line["strays"] == [] for line in lines), lines


OTHERS = {
    "--delays 0,1": (
        ("--delays 0,2", "delays: "),
        ("--delays 1,0", "delays: "),
        ("--delay 1", "delay: none then, 1 now"),
        ("--late-clicks .3", "delay: none then, 0 now"),
    ),
    "--late-clicks .3 --longest 1": (
        ("--late-clicks .4 --longest 1", "late.share: 0.3 then, 0.4 now"),
        ("--late-clicks .3 --longest 2", "late.longest.amount: 1.0 then, 2.0 now"),
        ("--late-clicks .3 --longest 1 --delay 1", "delay: 0 then, 1 now"),
        ("--delays 0,1", "delay: 0 then, none now"),
        ("", "late.longest.amount: 1.0 then, none now"),
    ),
}
MORE = (
    ("--seeds 2", r"seeds: [1001] then, [1001, 1002] now"),
    ("--seed 7", "seeds: [1001] then, [7] now"),
    ("--slots 2", "slots: 3 then, 2 now"),
    ("--max-epochs 2", "base.max_epochs: 1 then, 2 now"),
    ("--validation-slots 5", "settings.validation_slots: 4 then, 5 now"),
    ("--arms frozen", "arms: "),
    ("other", "checksum: "),
)


@pytest.mark.parametrize("begun", OTHERS)
def test_other_words_than_it_was_begun_with_are_refused(begun, tmp_path, monkeypatch, capsys):
    if keras.backend.backend() != "torch":
        pytest.skip("which states a run refuses is core's")
    for name, seed in (("data", 1), ("other", 2)):
        source = synthetic(900, seed=seed, users=20, items=10)
        prepare(source, tmp_path / name, slots=3, progress=False)

    def run(words, data="data"):
        few = (
            "--resume --quiet --no-search --max-epochs 1 --validation-slots 4 --arms frozen tables"
        )
        given = [str(tmp_path / data), str(tmp_path / "out"), *few.split(), *words.split()]
        capsys.readouterr()
        return main(["compare", *given]), capsys.readouterr().err

    def stopped(*given, **more):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(curve_studies, "compare", stopped)
        assert run(begun)[0] == 130
    for words, told in (*OTHERS[begun], *((f"{begun} {words}", told) for words, told in MORE)):
        data = "other" if words.endswith(" other") else "data"
        status, error = run(words.removesuffix(" other"), data)
        assert status == 2 and error.count("\n") == 1, (words, error)
        assert "/state: expected the state of this run" in error and told in error, (words, error)
    assert run(begun)[0] == 0 and not (tmp_path / "out" / "state").exists()


def test_the_state_of_tasks_is_refused(tmp_path, capsys):
    prepare(synthetic(900, users=20, items=10), tmp_path / "data", slots=3, progress=False)
    (tmp_path / "out" / "state" / "task-1001").mkdir(parents=True)
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "data"), str(tmp_path / "out"), "--resume"]) == 2
    assert "found that of tasks; go on with --engine ray" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("curve", "kills"), [("delays", "0:10"), ("delays", "half"), ("late", "0:4")]
)
def test_many_kills_change_no_file(curve, kills, tmp_path):
    if keras.backend.backend() != "torch" and kills != "half":
        kills = "0:3"
    whole, *lines = killed(tmp_path, kills, [*CURVES[curve], *MANY])
    assert whole["files"] == FILES
    assert all(line["differ"] == [] and line["strays"] == [] for line in lines), lines
    print(f"{len(lines)} kills of {whole['seconds']} s, {whole['events']} events")
    assert any(sum(line["states"]) for line in lines)
    if kills == "half":
        assert {"state-N.state", "step-base.state", "step-point-N.state", "curve.json"} <= {
            line["kill"] for line in lines
        }


@pytest.mark.slow
def test_a_point_is_what_the_command_gives_at_that_delay_alone(tmp_path):
    prepare(synthetic(2500, users=30, items=10), tmp_path / "data", slots=4, progress=False)
    few = ["--quiet", "--no-search", "--max-epochs", "1", "--validation-slots", "3", *MANY]
    for name, words in (("curve", ["--delays", "0,1"]), ("alone", ["--delay", "1"])):
        assert main(["compare", str(tmp_path / "data"), str(tmp_path / name), *few, *words]) == 0
    curve = json.loads((tmp_path / "curve" / "curve.json").read_text())
    alone = json.loads((tmp_path / "alone" / "metrics.json").read_text())
    for arm, found in curve["arms"].items():
        for metric, (_, at_one) in found.items():
            assert at_one == alone["arms"][arm][metric], (arm, metric)

"""Studies by tasks of Ray: the figures of one process, errors with seed and arm."""

import json
import os

import numpy as np
import pytest

import reloop2_keras.__main__ as command
from data_scripts import prepare, synthetic
from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.running import RunningArms
from reloop2_keras.distributed import ray_studies

TIMES = ("seconds", "date", "sha256", "microseconds", "revision")


def without_times(node):
    if isinstance(node, dict):
        return {k: without_times(v) for k, v in node.items() if k not in TIMES}
    return [without_times(v) for v in node] if isinstance(node, list) else node


def one(seed, offset):
    rng = np.random.default_rng(seed)
    info = {
        "microseconds": {"online": offset},
        "picked": [{"seed": seed, "arm": "online"}],
        "weights": {"online": [[{"user": offset}]]},
        "table_weights": {"online": [[]]},
        "parameters": {"slots": 2},
    }
    p = {"online": [rng.random(6).astype("float32")]}
    labels, slots = np.array([0, 1] * 3, "uint8"), np.repeat([0, 1], 3)
    return PrequentialReport(["online"], [seed], p, labels, slots, info=info)


def test_reports_of_seeds_are_joined_in_their_order():
    reports = [one(3, 1.0), one(4, 2.0)]
    whole = ray_studies.joined(reports, 7.04)
    assert whole.seeds == [3, 4] and whole.info["seconds"] == 7.0
    assert [row["seed"] for row in whole.info["picked"]] == [3, 4]
    assert whole.info["microseconds"] == {"online": 1.5}
    assert whole.info["weights"] == {"online": [[{"user": 1.0}], [{"user": 2.0}]]}
    for got, report in zip(whole.predictions["online"], reports, strict=True):
        assert np.array_equal(got, report.predictions["online"][0])


class Breaks:
    learns_from, keys = (), ()

    def serve(self, arrays):
        raise ZeroDivisionError("no")


class Arm:
    def __init__(self, name, slow):
        self.name, self.slow, self.fast = name, slow, None


def test_an_error_within_the_stream_notes_whose_it_is():
    broken = Breaks()
    arms = RunningArms([Arm("frozen", broken), Arm("online", broken)])
    with pytest.raises(ZeroDivisionError) as told:
        arms.predict({})
    assert told.value.__notes__ == ["the base of frozen, online"]


@pytest.mark.slow
@pytest.mark.backend
def test_the_same_figures_as_one_process_and_what_is_resumed(tmp_path, monkeypatch, capsys):
    pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
    if os.environ.get("OMP_NUM_THREADS") != "1":
        pytest.skip("sums of several threads differ in their last bits: OMP_NUM_THREADS=1")
    prepare(synthetic(2000, users=30, items=9), tmp_path / "data", slots=3, progress=False)
    words = ["--arms", "frozen", "feature", "incremental", "online", "--no-search", "--quiet"]
    words += ["--max-epochs", "1", "--seeds", "2", "--validation-slots", "3"]

    def compare(out, *more):
        status = command.main(
            ["compare", str(tmp_path / "data"), str(tmp_path / out), *words, *more]
        )
        return status, without_times(json.loads((tmp_path / out / "metrics.json").read_text()))

    alone = compare("alone")
    for workers in ("1", "2"):
        assert (
            compare(f"by {workers}", "--engine", "ray", "--workers", workers, "--resume") == alone
        )
        left = sorted(p.name for p in (tmp_path / f"by {workers}").iterdir())
        assert left == sorted(p.name for p in (tmp_path / "alone").iterdir())
        model = tmp_path / f"by {workers}" / "model"
        names = {p.name for p in model.iterdir()}
        assert names == {p.name for p in (tmp_path / "alone" / "model").iterdir()}
    (tmp_path / "old" / "state" / "seed-1001").mkdir(parents=True)
    given = ["compare", str(tmp_path / "data"), str(tmp_path / "old"), *words, "--resume"]
    assert command.main([*given, "--engine", "ray"]) == 2
    assert "found that of one process" in capsys.readouterr().err


@pytest.mark.backend
def test_an_error_in_a_task_names_its_seed(tmp_path):
    prepare(synthetic(900, users=30, items=9), tmp_path / "data", slots=3, progress=False)
    path = tmp_path / "data" / "slots" / "001.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 255
    path.write_bytes(data)
    settings = Candidates(validation_slots=3)
    options = {"arms": ["frozen"], "settings": settings, "max_epochs": 1}
    given = str(tmp_path / "data"), options, 7, None, None, False, None, str(tmp_path)
    with pytest.raises(ValueError, match=r"^seed 7: .*001.parquet"):
        ray_studies.one_seed(*given)

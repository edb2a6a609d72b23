"""`compare` ships `online` as it is at the stream's end, and it serves on from there."""

import numpy as np
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras import PreparedDataset
from reloop2_keras.__main__ import main
from reloop2_keras.core.candidates import Candidates
from reloop2_keras.core.online.fast_part import StartedTables
from reloop2_keras.core.serving import OnlineModel, load_shipped
from reloop2_keras.models import train_base
from reloop2_keras.service.running import load_base
from reloop2_keras.streaming import compare
from reloop2_keras.streaming.shipping import ship_pick

pytestmark = pytest.mark.backend
BASE = {"max_epochs": 1, "embedding_dim": 4, "hidden_units": (8,), "search": None}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    out = tmp_path_factory.mktemp("ship") / "dataset"
    prepare(synthetic(rows=3000, users=100, items=40), out, slots=2, progress=False)
    return PreparedDataset(out)


@pytest.fixture(scope="module")
def base(dataset):
    """A trained model; no arm that is run on it here changes it."""
    return train_base(dataset, 1001, **BASE)[0]


@pytest.mark.parametrize("kind", ["onnx", "keras"])
def test_what_is_shipped_serves_what_the_arm_would(tmp_path, dataset, base, kind, monkeypatch):
    if kind == "keras":
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    else:
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
    kept = {}
    arms = ["frozen", "online"]
    report = compare(dataset, base, arms, progress=False, kept=kept)
    folder = ship_pick(report, kept, dataset, tmp_path / "model")
    monkeypatch.undo()
    shipped = load_shipped(folder)
    assert shipped.base.suffix == f".{kind}"
    assert shipped.card["arm"] == "online" and shipped.card["verdict"]
    assert shipped.card["figures"]["auc"] == pytest.approx(report.scores()["online"]["auc"])
    arm = kept["online"]
    for name, array in arm.fast.online.state().items():
        np.testing.assert_array_equal(shipped.online.state()[name], array)
    arrays = dataset.slots()[0].load()
    hashes = arrays["feature_hashes"][:100]
    some = {name: array[:100] for name, array in arrays.items()}
    loaded = load_base(shipped.base)
    model = OnlineModel(shipped.online, shipped.encoder, loaded, "base")
    p, q = loaded.serve(some)["probability"], arm.slow.serve(some)["probability"]
    np.testing.assert_allclose(p, q, atol=1e-6)
    got = model.online.predict(hashes, {model.online.bases[0]: p})["corrected"]
    want = arm.fast.online.predict(hashes, {model.online.bases[0]: q})["corrected"]
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert model.predict({}).scores.shape == (1,)


def test_the_command_ships_and_says_what_comes_next(tmp_path, dataset, capsys):
    few = ["--arms", "frozen", "tables", "--quiet", "--max-epochs", "1", "--no-search"]
    command = ["compare", str(dataset.folder), str(tmp_path), "--validation-slots", "2", *few]
    assert main(command) == 0
    last, verdict = capsys.readouterr().out.strip().splitlines()[-2:]
    assert verdict.startswith(("not known: no control was run", "not known yet: "))
    assert last == f"next: python -m reloop2_keras serve {tmp_path / 'model'}"
    assert load_shipped(tmp_path / "model").base is None
    assert main(command) == 0  # replaced


@pytest.mark.parametrize("delay", [0, 1, "150rows"])
def test_what_is_shipped_has_learnt_every_row_of_the_log(tmp_path, dataset, base, delay):
    """Against tables that learn all rows one after the other, each when its label comes."""
    kept, few = {}, {"arms": ["frozen", "tables"], "progress": False}
    settings = Candidates(validation_slots=3)
    report = compare(dataset, base, delay=delay, settings=settings, kept=kept, **few)
    shipped = load_shipped(ship_pick(report, kept, dataset, tmp_path / "model"))
    twin, rows, waiting = StartedTables(dataset).online(), 0, []
    started = int(twin.arms.tables.rows)

    def learn(entry, count):
        part = slice(entry["taken"], count)
        if count > entry["taken"]:
            twin.learn(entry["served"].part(part), entry["labels"][part])
            entry["taken"] = count

    for number, slot in enumerate([*dataset.validation_slots(3), *dataset.slots()]):
        for entry in waiting:
            count = len(entry["labels"])
            if delay == "150rows":
                learn(entry, min(count, rows - 150 - entry["first"] + 1))
            elif entry["number"] < number - delay:
                learn(entry, count)
        arrays = slot.load()
        served = twin.predict(arrays["feature_hashes"])
        entry = {"served": served, "labels": arrays["label"], "taken": 0}
        waiting.append({**entry, "first": rows, "number": number})
        rows += len(arrays["label"])
    for entry in waiting:
        learn(entry, len(entry["labels"]))
    assert shipped.online.arms.tables.rows == started + rows == shipped.card["rows"]
    for name, array in twin.state().items():
        np.testing.assert_array_equal(shipped.online.state()[name], array, err_msg=name)

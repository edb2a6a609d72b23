"""What stands behind a right checksum is compared, too, before it is taken."""

import json
import os
import tracemalloc

import pytest
from onnx_case import deepfm
from served_model import Clock, labels, model, rows
from service_case import ship_tables

from reloop2_keras.core import neutral
from reloop2_keras.core.description import sealed
from reloop2_keras.core.files import file_checksum
from reloop2_keras.core.serving import load_shipped
from reloop2_keras.core.serving.snapshot_file import read_state, write_state
from reloop2_keras.core.serving.state_kinds import STATE, check_kinds
from reloop2_keras.core.serving.store import Store


@pytest.mark.parametrize(
    ("name", "value"),
    [("bits", [24] * 3), ("width", 2**20), ("block_rows", 2**22), ("bits", [2**70]), ("bits", 5)],
)
def test_a_shipped_model_that_asks_for_large_tables_is_refused_before_they_are_made(
    name, value, tmp_path
):
    folder = tmp_path / "model"
    ship_tables(folder)
    about = json.loads((folder / "model.json").read_text())
    path = folder / next(file for file in about["files"] if file.endswith(".state"))
    head, arrays = read_state(path)
    write_state(path, {**head, "config": {**head["config"], name: value}}, arrays)
    about["files"][path.name] = file_checksum(path)
    (folder / "model.json").write_text(json.dumps(sealed(about)))
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"^{path}: expected the tables of a shipped model"):
        load_shipped(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000, peak  # [24] * 3 are 6 GB


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"counts": {"rows": "x"}}, "`state.counts.rows` must be an integer >= 0. Received: 'x'"),
        ({"alarms": None}, "state.alarms: expected an object, found None"),
        ({"base": ["first"]}, "state.base: expected text, found"),
        ({"trial": {"number": 1}}, "state.trial.new: expected a value, found none"),
    ],
)
def test_a_snapshot_of_other_kinds_is_told_and_the_one_before_it_is_taken(change, told, tmp_path):
    served, store = model(clock=Clock()), Store(tmp_path)
    store.start(served)
    for number in range(2):
        some = rows(4, number)
        served.learn(served.predict(some).id, labels(some, number))
        store.snapshot()
    os.close(store._owner)
    last = sorted(tmp_path.glob("snapshot-*.state"))[-1]
    head, arrays = read_state(last)
    write_state(last, {**head, **change}, arrays)
    again, after = model(clock=Clock()), Store(tmp_path)
    after.start(again)
    assert after.notes[0].startswith(f"{last}: ") and told in after.notes[0], after.notes
    assert after.notes[1].startswith("started from snapshot-")
    assert again.counts == served.counts  # the events after it were done again
    after.close()


def test_a_number_that_float32_does_not_hold_is_refused(tmp_path):
    described, arrays = deepfm()
    name = next(iter(arrays))
    arrays[name] = arrays[name].astype("float64")
    arrays[name].flat[3] = 1e300
    with pytest.raises(ValueError, match=f"{name}: expected numbers that float32 holds, found"):
        neutral.write(tmp_path / "m.npz", described, arrays)
    arrays[name].flat[3] = 3e38
    neutral.write(tmp_path / "m.npz", described, arrays)


def test_what_a_model_says_of_itself_is_of_the_kinds():
    served = model(clock=Clock(), late_rows=30)
    some = rows(4, 0)
    served.learn(served.predict(some).id, labels(some, 0))
    check_kinds(served.state()[0], STATE)

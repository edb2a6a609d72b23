"""Files of a later schema are refused by its number; those of before there was one still load."""

import io
import json
import re

import numpy as np
import onnx_case
import pyarrow as pa
import pytest
import report_case
from service_case import ship_tables

from reloop2_keras.core import neutral
from reloop2_keras.core.description import sealed
from reloop2_keras.core.metrics_table import read_metrics
from reloop2_keras.core.run_states import RunStates
from reloop2_keras.core.serving import load_shipped, snapshot_file
from reloop2_keras.core.serving.event_log import HEAD, EventLog, read_events
from reloop2_keras.core.serving.parts import Parts
from reloop2_keras.core.serving.snapshot_file import OtherSchema, read_state, write_state


def rewritten(path, change):
    """Change a JSON file, and its checksum with it."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(sealed(content) if "sha256" in content else content))


def test_a_state_of_a_later_schema_is_refused_and_not_removed(tmp_path, monkeypatch):
    states = RunStates(tmp_path)
    states.save({"n": 1}, {})
    with monkeypatch.context() as patch:
        patch.setattr(snapshot_file, "SCHEMA", 2)
        states.save({"n": 2}, {})
    newest = states.paths()[-1]
    with pytest.raises(OtherSchema, match=f"{newest}: expected schema 1, found 2"):
        states.newest()
    assert len(states.paths()) == 2  # the later version can go on from it


def test_neutral_files_say_their_schema(tmp_path, monkeypatch):
    path = tmp_path / "m.npz"
    neutral.write(path, *onnx_case.deepfm())
    with np.load(path) as file:
        arrays = dict(file)
    described = json.loads(arrays.pop("description").tobytes())
    assert described["schema"] == 1
    for schema, message in ((2, f"{path}: .*expected schema 1, found 2"), (None, None)):
        told = {n: v for n, v in (described | {"schema": schema}).items() if v is not None}
        text = np.frombuffer(json.dumps(told).encode(), "uint8")
        np.savez(path, description=text, **arrays)
        if message is None:
            assert neutral.read(path)[0] == described["model"]  # as earlier versions wrote it
        else:
            with pytest.raises(ValueError, match=message):
                neutral.read(path)


def test_logs_say_their_schema(tmp_path):
    path = tmp_path / "events.log"
    log = EventLog(path, 0)
    log.append({"n": 1}, {"x": np.arange(4)})
    log.close()
    whole = path.read_bytes()
    assert whole.startswith(HEAD)
    path.write_bytes(whole[len(HEAD) :])  # as earlier versions wrote it
    assert [head for head, _ in read_events(path, last=True)] == [{"n": 1}]
    path.write_bytes(whole.replace(b"events 1", b"events 2", 1))
    with pytest.raises(ValueError, match=rf"{path}: expected schema 1, found b'2"):
        list(read_events(path, last=True))
    for part in range(len(HEAD) + 8):  # a kill within the first write
        path.write_bytes(whole[:part])
        assert list(read_events(path, last=True)) == [] and path.stat().st_size in (0, len(HEAD))


def test_metrics_say_their_schema(tmp_path):
    path = report_case.report(rows=60, slots=2).save(tmp_path)[0]
    rewritten(path, lambda content: content.update(schema=2))
    with pytest.raises(ValueError, match=rf"{path}: .*schema 2 in place of 1"):
        read_metrics(path)
    content = json.loads(path.read_text())
    del content["schema"], content["sha256"]
    path.write_text(json.dumps(content))  # as earlier versions wrote it
    assert read_metrics(path) == content


def test_shipped_models_say_their_schema(tmp_path):
    folder = tmp_path / "model"
    ship_tables(folder)
    whole = (folder / "model.json").read_text()
    for change, message in (
        (lambda c: c.update(schema=2), "expected schema 1, found 2"),
        (lambda c: c["card"].update(verdict="another"), None),
        (lambda c: c.update(sha257="x"), "expected .* found .'sha257'."),
    ):
        (folder / "model.json").write_text(whole)
        rewritten(folder / "model.json", change)
        if message:
            with pytest.raises(ValueError, match=f"{folder / 'model.json'}: .*{message}"):
                load_shipped(folder)
        else:
            assert load_shipped(folder).card["verdict"] == "another"  # sealed anew by its owner
    content = {n: v for n, v in json.loads(whole).items() if n != "sha256"}
    (folder / "model.json").write_text(json.dumps(content))  # as earlier versions wrote it
    assert load_shipped(folder).card == content["card"]


def test_parts_that_an_earlier_version_began_are_gone_on_with(tmp_path):
    def begun(out):
        parts = Parts(out)
        parts.begin({"model": "m"})
        return parts

    out = tmp_path / "out.csv"
    parts = begun(out)
    parts.write(pa.table({"x": [1.0]}), {"position": {"row": 1}})
    parts.close()
    for name in ("about.json", "progress.json"):
        place = out.with_name("out.csv.parts") / name
        content = json.loads(place.read_text())
        for key in ("sha256", "sums"):
            content.pop(key, None)
        place.write_text(json.dumps(content))
    parts = begun(out)
    parts.write(pa.table({"x": [2.0]}), {"position": {"row": 2}})
    parts.finish(pa.schema([("x", pa.float64())]))
    assert out.read_text() == "x\n1\n2\n"


def test_a_state_that_is_written_short_in_silence_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "x.state"
    write_state(path, {"n": 1}, {"x": np.arange(99.0)})

    class Short(io.FileIO):
        def write(self, data):
            super().write(data[:-5] if len(data) > 60 else data)
            return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(snapshot_file, "open", Short, raising=False)
        with pytest.raises(OSError, match=re.escape(f"{path}: cannot be written: what was")):
            write_state(path, {"n": 2}, {"x": np.arange(99.0)})
    assert read_state(path)[0] == {"n": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.state"]

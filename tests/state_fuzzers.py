"""Files of models and states that somebody changed and sealed again: taken, or one line.

Who can write a file can write its checksum, too. So here what is inside is changed, and every
checksum made anew: what a reader does behind the checksums is what is tried.
"""

import functools
import importlib.util
import io
import json
import os
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from fuzzers import VALUES, changed, mutated, tried
from onnx_case import deepfm
from served_model import Clock, encoder, labels, model, rows
from service_case import copy_of_shipped

from reloop2_keras.core import encoder_file
from reloop2_keras.core.description import sealed
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.files import file_checksum
from reloop2_keras.core.object_state import put_together, taken_apart
from reloop2_keras.core.seal import with_seal
from reloop2_keras.core.serving import load_shipped
from reloop2_keras.core.serving.event_log import EventLog, read_events
from reloop2_keras.core.serving.snapshot_file import read_state, write_state
from reloop2_keras.core.serving.store import Store
from reloop2_keras.core.side_file import check_side_file, replaced_with_side_file

ODD = [np.nan, np.inf, -1, 0, 2**31, 1e300, -(2**40), 0.5]


@np.errstate(all="ignore")
def odd_arrays(arrays, rng):
    """Return arrays of which one is gone, of another name, shape, type or value."""
    arrays = {name: np.array(array) for name, array in arrays.items()}
    name = rng.choice(sorted(arrays))
    array, kind = arrays[name], rng.random()
    if kind < 0.2:
        del arrays[name]
    elif kind < 0.3:
        arrays[f"{name}x"] = array
    elif kind < 0.5:
        arrays[name] = rng.choice([array[..., None], array.ravel()[:-1], np.zeros(0, array.dtype)])
    elif kind < 0.65:
        arrays[name] = array.astype(rng.choice(["U9", "bool", "float16", "int8"]))
    elif array.size:
        value = np.array(rng.choice(ODD)).astype(array.dtype)
        array.ravel()[rng.randrange(array.size)] = value
    return arrays


def fuzz_sealed_encoder(seed, folder):
    """A file of an encoder whose description or vocabulary was changed: rows stay in range."""
    rng, path = random.Random(seed), Path(folder) / "encoder.parquet"
    made = encoder()
    table = pq.read_table(io.BytesIO(made.to_bytes()))
    parts = json.loads(table.schema.metadata[encoder_file.KEY])
    parts = changed(parts, rng)
    table = table.replace_schema_metadata({encoder_file.KEY: json.dumps(sealed(parts))})
    pq.write_table(table, path)

    found = tried(lambda: Encoder.load(path), path)
    if found is not None:
        arrays = tried(lambda: found.encode([{"user": "u1", "age": 3}]))
        if arrays is not None:
            ids = arrays["feature_ids"]
            assert ((ids >= 0) & (ids < found.description["num_ids"])).all()
            assert np.isfinite(arrays["feature_values"]).all()


def fuzz_sealed_shipped(seed, folder):
    """A shipped model whose tables' file was changed: refused by name, or it serves."""
    rng, folder = random.Random(seed), Path(folder)
    copy, about = copy_of_shipped(folder)
    path = rng.choice(sorted(copy.glob("*.state")))
    head, arrays = read_state(path)
    if rng.random() < 0.5:
        head = changed(head, rng)
    else:
        arrays = odd_arrays(arrays, rng)
    try:
        write_state(path, head, arrays)
    except UnicodeEncodeError:
        return
    about["files"][path.name] = file_checksum(path)
    (copy / "model.json").write_text(json.dumps(sealed(about)))
    found = tried(lambda: load_shipped(copy), copy)
    if found is None:
        return
    made = found.encoder.encode(rows(5, 1))

    def use():
        with np.errstate(all="raise"):
            served = found.online.predict(made)
            found.online.learn(served, np.array([0, 1, 0, 1, 1]))
        return served["corrected"]

    p = tried(use)
    assert p is None or ((p >= 0) & (p <= 1)).all(), p


def _served_state(folder):
    """A service's folder that was killed: two snapshots, and events after the last one."""
    if not folder.exists():
        served, store = model(clock=Clock(), late_rows=30), Store(folder)
        store.start(served)
        for number in range(3):
            some = rows(4, number)
            served.learn(served.predict(some).id, labels(some, number))
            if number < 2:
                store.snapshot()
        os.close(store._owner)
    return folder


def _started(folder):
    """A service starts on a folder and serves, or refuses in one line that names it."""
    store = Store(folder)
    try:
        started = model(clock=Clock(), late_rows=30)
        tried(lambda: store.start(started), folder)
        if store._model is not None:
            p = tried(lambda: started.predict(rows(3, 9)).scores)
            assert p is None or all(0 <= score <= 1 for score in p), p
    finally:
        if store._model is None:
            os.close(store._owner)
        else:
            store.close()


def _copied(source, copy):
    shutil.rmtree(copy, ignore_errors=True)
    return Path(shutil.copytree(source, copy))


def fuzz_snapshot(seed, folder):
    """A service's newest snapshot was changed: the one before it is taken, and serves."""
    rng, folder = random.Random(seed), Path(folder)
    copy = _copied(_served_state(folder / "state"), folder / "copy")
    path = sorted(copy.glob("snapshot-*.state"))[-1]
    head, arrays = read_state(path)
    if rng.random() < 0.6:
        head = changed(head, rng)
    else:  # rows that wait are believed: see docs/SECURITY.md
        online = {name: array for name, array in arrays.items() if name.startswith("online/")}
        rest = {name: array for name, array in arrays.items() if name not in online}
        arrays = rest | odd_arrays(online, rng)
    try:
        write_state(path, head, arrays)
    except UnicodeEncodeError:
        return
    _started(copy)


def fuzz_event(seed, folder):
    """An event after a service's last snapshot was changed: refused, or done as it says."""
    rng, folder = random.Random(seed), Path(folder)
    copy = _copied(_served_state(folder / "state"), folder / "copy")
    path = sorted(copy.glob("events-*.log"))[-1]
    events = list(read_events(path, last=True))
    at = rng.randrange(len(events))
    events[at] = changed(events[at][0], rng), events[at][1]
    path.unlink()
    log = EventLog(path, int(path.stem.partition("-")[2]))
    try:
        for head, arrays in events:
            log.append(head, arrays)
    except UnicodeEncodeError:
        return
    finally:
        log.close()
    _started(copy)


def fuzz_run_state(seed, folder):
    """The state of a run whose nodes or arrays were changed: refused in one line, or made."""
    rng = random.Random(seed)
    kept = {"rng": np.random.default_rng(3), "rows": (1, None, {2, 3}), "a": np.arange(5.0)}
    kept |= {"part": slice(1, 2), "range": range(3), "dtype": np.dtype("int8"), "b": b"x"}
    kept["self"] = [kept["rows"], {"x": kept["a"]}]
    nodes, arrays = taken_apart(kept)
    nodes = changed(nodes, rng) if rng.random() < 0.8 else nodes
    arrays = odd_arrays(arrays, rng) if rng.random() < 0.3 else arrays
    tried(lambda: put_together(nodes, arrays))


@functools.cache
def _onnx_parts():
    import onnx

    from reloop2_keras.core.serving.onnx_file import ENTRY, export_neutral

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "m.onnx"
        export_neutral(*deepfm(), path)
        data = path.read_bytes()
    made = onnx.load_from_string(data)
    about = next(json.loads(entry.value) for entry in made.metadata_props if entry.key == ENTRY)
    return onnx, made, about, ENTRY


def fuzz_onnx(seed, folder):
    """A sealed ONNX file whose words about itself or bytes were changed: refused, or it serves."""
    from reloop2_keras.core.serving.onnx_base import OnnxBase

    rng, path = random.Random(seed), Path(folder) / "base.onnx"
    onnx, whole, about, entry = _onnx_parts()
    copy = onnx.ModelProto()
    copy.CopyFrom(whole)
    del copy.metadata_props[:]
    text = json.dumps(changed(about, rng) if rng.random() < 0.9 else rng.choice(VALUES))
    if rng.random() < 0.2:
        text = mutated(text.encode(), rng).decode("latin-1")
    onnx.helper.set_model_props(copy, {entry: text} if rng.random() < 0.95 else {})
    path.write_bytes(with_seal(copy.SerializeToString())[0])
    tried(lambda: OnnxBase(path), path)


def fuzz_side_file(seed, folder):
    """A file, or the one beside it that holds its checksum, was damaged: refused by name."""
    rng, path = random.Random(seed), Path(folder) / "m.mindir"
    with replaced_with_side_file(path) as beside:
        beside.write_bytes(b"weights" * 9)
    side = path.with_name(path.name + ".json")
    for one in (path, side) if rng.random() < 0.3 else [rng.choice([path, side])]:
        one.write_bytes(mutated(one.read_bytes(), rng))
    if tried(lambda: check_side_file(path), path):
        assert path.read_bytes() == b"weights" * 9


READERS = {
    "encoder, sealed": fuzz_sealed_encoder,
    "shipped, sealed": fuzz_sealed_shipped,
    "snapshot": fuzz_snapshot,
    "event": fuzz_event,
    "state of a run": fuzz_run_state,
    "side file": fuzz_side_file,
}
if all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
    READERS["ONNX, sealed"] = fuzz_onnx

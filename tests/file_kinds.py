"""Files of every kind of core: how each is made, and what reads all of it."""

import functools
import json
import os
import shutil

import numpy as np
import onnx_case
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import report_case
from damage import same
from served_model import Clock, encoder, labels, model, rows
from service_case import ship_tables

from data_scripts import prepare, synthetic
from reloop2_keras.core import neutral
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.description import periods_of, sealed
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.files import file_checksum
from reloop2_keras.core.metrics_table import read_metrics
from reloop2_keras.core.run_states import RunStates
from reloop2_keras.core.serving import load_shipped
from reloop2_keras.core.serving.event_log import EventLog, read_events
from reloop2_keras.core.serving.parts import Parts
from reloop2_keras.core.serving.snapshot_file import read_state, write_state
from reloop2_keras.core.serving.store import Store

HEADS = {"number": 7, "note": "a state"}


def made_state(folder):
    path = folder / "x.state"
    write_state(path, HEADS, {"x": np.arange(300.0), "names": np.array(["a", "b"])})
    return path, lambda: read_state(path), {}


def made_newest(folder):
    """What a run goes on from: `ExactBackup`, a stream, a study."""
    states = RunStates(folder / "states")
    states.save(HEADS, {"x": np.arange(50.0)})

    def load():
        # `newest` removes what is damaged, so that a copy is given to it
        shutil.rmtree(folder / "copy", ignore_errors=True)
        shutil.copytree(folder / "states", folder / "copy")
        try:
            return RunStates(folder / "copy").newest()
        except ValueError as error:  # no state before it is whole
            raise ValueError(str(error).replace("/copy/", "/states/")) from None

    # another run's state is told apart by whoever asks: `StreamBackup`, `ExactBackup`
    return states.paths()[0], load, {"without": ("state",)}


def made_neutral(folder):
    path = folder / "m.npz"
    neutral.write(path, *onnx_case.deepfm())
    return path, lambda: neutral.read(path), {}


def made_encoder(folder):
    path = folder / "encoder.parquet"
    encoder().save(path)
    return path, lambda: Encoder.load(path).encode(rows(9)), {}


def made_onnx(folder):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from reloop2_keras.core.serving import OnnxBase
    from reloop2_keras.core.serving.onnx_file import export_neutral

    path, x = folder / "base.onnx", onnx_case.batch(9)
    export_neutral(*onnx_case.deepfm(), path)

    def load():
        base = OnnxBase(path)
        return [dict(base.serve(x)), base.fields, base.keys]

    return path, load, {}


def made_metrics(folder):
    path = report_case.report(rows=60, slots=2).save(folder)[0]

    def load():
        content = read_metrics(path)
        return {name: part for name, part in content.items() if name not in ("schema", "sha256")}

    # a flip in the name of the checksum leaves a file as earlier versions wrote it, numbers equal
    def equal(one, two):
        return same({n: one.get(n) for n in two}, two)

    return path, load, {"equal": equal}


def of_shipped(name):
    def made(folder):
        ship_tables(folder / "model")

        def load():
            shipped = load_shipped(folder / "model")
            told = {n: a for n, a in shipped.online.state().items()}
            return [shipped.name, told, shipped.encoder.encode(rows(9)), shipped.card]

        return folder / "model" / name, load, {}

    return made


@functools.cache
def dataset_made(folder):
    prepare(synthetic(rows=400, users=9, items=5), folder, slots=2, progress=False)
    return folder


def without_page_checksums(out, name):
    """Write a file of a dataset as another writer of Parquet would."""
    pq.write_table(pq.read_table(out / name), out / name, compression="zstd")
    meta = json.loads((out / "dataset.json").read_text())
    for period in periods_of(meta):
        for entry in period["files"]:
            entry["sha256"] = file_checksum(out / entry["name"])
    (out / "dataset.json").write_text(json.dumps(sealed(meta)))


def of_dataset(name, other=None, plain=False):
    """A file of a dataset; `other` is one that could stand in its place by its rows and types."""

    def made(folder):
        out = dataset_made(folder / "dataset")
        if plain:
            without_page_checksums(out, name)
        row = {f"I{n}": 1.0 for n in range(1, 14)} | {f"C{n}": "ab" for n in range(1, 27)}

        def load():
            data = PreparedDataset(out)
            meta = {n: part for n, part in data.meta.items() if n != "sha256"}
            groups = [period[0] for period in data.row_groups()]
            arrays = [group.load(data.ranges) for group in groups if name in str(group.path)]
            return [meta, arrays, Encoder.load(out, strict=False).encode([row])]

        def equal(one, two):
            return same([{n: one[0].get(n) for n in two[0]}, one[1:]], [two[0], two[1:]])

        more = {"more": {f"of {other}": (out / other).read_bytes()}} if other else {}
        return out / name, load, {"equal": equal, **more}

    return made


def of_parts(name):
    def made(folder):
        out = folder / "out.csv"
        parts = Parts(out)
        parts.begin({"model": "m", "on_error": "fail"})
        for k in range(2):
            parts.write(pa.table({"score": np.arange(20.0) + k}), {"bad": 0, "position": k})
        parts.close()

        def load():
            copy = folder / "copy"
            shutil.rmtree(copy, ignore_errors=True)
            copy.mkdir()
            shutil.copytree(folder / "out.csv.parts", copy / "out.csv.parts")
            try:
                again = Parts(copy / "out.csv")
                try:
                    again.begin({"model": "m", "on_error": "fail"})
                    position = again.progress and again.progress["position"]
                    again.finish(pa.schema([("score", pa.float64())]))
                finally:
                    again.close()
            except (ValueError, OSError) as error:
                raise ValueError(str(error).replace(str(copy), str(folder))) from None
            return [position, (copy / "out.csv").read_text()]

        return folder / "out.csv.parts" / name, load, {"names": folder / "out.csv.parts"}

    return made


def made_log(folder):
    path = folder / "events.log"
    log = EventLog(path, 0)
    for number in range(6):
        log.append({"kind": "rows", "number": number}, {"truth": np.arange(9.0) * number})
    log.close()
    return path, lambda: list(read_events(path, last=True)), {"may": ("cut", "empty", "zeros")}


def made_store(folder):
    """A log as a service reads it: what it goes on from."""
    one, store = model(clock=Clock()), Store(folder / "state")
    store.start(one)
    for number in range(4):
        some = rows(5, number)
        one.learn(one.predict(some).id, labels(some, number))
    os.close(store._owner)
    path = store._log.path

    def load():
        shutil.rmtree(folder / "copy", ignore_errors=True)
        shutil.copytree(folder / "state", folder / "copy")
        again, after = model(clock=Clock()), Store(folder / "copy")
        try:
            after.start(again)
            return again.online.state()
        except (ValueError, OSError) as error:
            raise ValueError(str(error).replace("/copy/", "/state/")) from None
        finally:
            os.close(after._owner)

    return path, load, {"may": ("cut", "empty", "zeros")}


KINDS = {
    "state": made_state,
    "newest state of a run": made_newest,
    "neutral": made_neutral,
    "encoder": made_encoder,
    "onnx": made_onnx,
    "metrics.json": made_metrics,
    "shipped model.json": of_shipped("model.json"),
    "shipped online.state": of_shipped("online.state"),
    "shipped encoder.parquet": of_shipped("encoder.parquet"),
    "dataset.json": of_dataset("dataset.json"),
    "dataset's slot": of_dataset("slots/000.parquet", other="slots/001.parquet"),
    "training period": of_dataset("train/000.parquet"),
    "slot without page checksums": of_dataset("slots/000.parquet", "slots/001.parquet", plain=True),
    "vocabulary": of_dataset("vocabulary.parquet"),
    "parts' about.json": of_parts("about.json"),
    "parts' progress.json": of_parts("progress.json"),
    "a part": of_parts("part-000000.csv"),
    "event log": made_log,
    "a service's log": made_store,
}

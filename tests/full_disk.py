"""Writers of every kind on a disk that is full: a process of its own, which prints what it saw.

python full_disk.py FOLDER limit core|keras|mindspore    writes end after some bytes (RLIMIT_FSIZE)
python full_disk.py FOLDER full core|keras|mindspore     FOLDER is a small disk, which is filled
"""

import contextlib
import json
import os
import resource
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
FRACTIONS = (0.0, 0.3, 0.9)


def core(folder):
    """Yield (name, what is written, function of a number that writes it)."""
    import onnx_case
    import pyarrow as pa
    import report_case
    from served_model import encoder

    from data_scripts import synthetic
    from data_scripts.sources.synthetic_log import write_raw_tsv
    from reloop2_keras.core import neutral
    from reloop2_keras.core.curve import Curve
    from reloop2_keras.core.online import Online
    from reloop2_keras.core.run_states import RunStates
    from reloop2_keras.core.serving import ship
    from reloop2_keras.core.serving.event_log import EventLog
    from reloop2_keras.core.serving.onnx_file import export_neutral
    from reloop2_keras.core.serving.parts import Parts
    from reloop2_keras.core.serving.shipped import verified
    from reloop2_keras.core.serving.snapshot_file import write_state
    from reloop2_keras.core.serving.state_folder import keep_shipped
    from reloop2_keras.service.bases import BaseFiles

    def parts(number):
        shutil.rmtree(folder / "out.csv.parts", ignore_errors=True)
        one = Parts(folder / "out.csv")
        with contextlib.closing(one):
            one.begin({"model": "m"})
            one.write(pa.table({"x": np.arange(900.0) + number}), {"position": None})
            one.finish(pa.schema([("x", pa.float64())]))

    def shipped(number):
        return ship(folder / "model", Online(2, [], bits=4 + number), encoder())

    shipped(1)
    description, arrays = onnx_case.deepfm()
    export_neutral(description, arrays, folder / "from.onnx")
    made = [report_case.report(rows=60 + n, slots=2) for n in range(3)]
    sources = [ship(folder / f"from{n}", Online(2, [], bits=4 + n), encoder()) for n in range(3)]
    names = [verified(source)[0] for source in sources]
    log = EventLog(folder / "events.log", 0)
    yield (
        "state",
        folder / "x.state",
        lambda n: write_state(folder / "x.state", {"n": n}, {"x": np.arange(500.0) + n}),
    )
    yield (
        "state of a run",
        folder / "states",
        lambda n: RunStates(folder / "states").save({"n": n}, {"x": np.arange(500.0)}),
    )
    yield (
        "neutral",
        folder / "m.npz",
        lambda n: neutral.write(folder / "m.npz", *onnx_case.deepfm(seed=n)),
    )
    yield "encoder", folder / "e.parquet", lambda n: encoder().save(folder / "e.parquet")
    yield (
        "onnx",
        folder / "b.onnx",
        lambda n: export_neutral(*onnx_case.deepfm(seed=n), folder / "b.onnx"),
    )
    yield "report", folder / "report", lambda n: made[n].save(folder / "report")
    yield "curve", folder / "curve", lambda n: Curve(f"c{n}", {"0": made[n]}).save(folder / "curve")
    yield "shipped model", folder / "model", shipped
    yield (
        "kept model",
        folder / "state",
        lambda n: keep_shipped(sources[n], folder / "state", names[n]),
    )
    yield (
        "base of a release",
        folder / "bases",
        lambda n: BaseFiles(folder / "bases", None).take(folder / "from.onnx"),
    )
    yield "prediction", folder / "out.csv", parts
    yield (
        "raw log",
        folder / "log.tsv",
        lambda n: write_raw_tsv(synthetic(rows=300, seed=n, users=9, items=5), folder / "log.tsv"),
    )
    sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))
    import lab

    for n in range(3):
        (folder / f"books{n}").mkdir()
        (folder / f"books{n}" / "00_tour.ipynb").write_text(
            json.dumps({"n": n, "text": "x" * 5000})
        )
    yield (
        "copies for Lab",
        folder / "lab",
        lambda n: lab.prepare(folder / f"books{n}", folder / "lab"),
    )
    yield "event log", folder / "events.log", lambda n: log.append({"n": n}, {"x": np.ones(3000)})


def keras(folder):
    import report_case
    from one_backend import deepfm

    from reloop2_keras.models import neutral
    from reloop2_keras.streaming.report import PrequentialReport

    model = deepfm()
    model.build()
    plain = report_case.report(rows=60, slots=2)
    drawn = PrequentialReport(
        **{name: getattr(plain, name) for name in vars(plain) if not name.startswith("_")}
    )
    yield ".keras", folder / "m.keras", lambda n: model.save(folder / "m.keras")
    yield (
        ".weights.h5",
        folder / "w",
        lambda n: (
            (folder / "w").mkdir(exist_ok=True),
            model.save_weights(folder / "w" / "m.weights.h5"),
        ),
    )
    yield "neutral", folder / "m.npz", lambda n: neutral.dump(model, folder / "m.npz")
    yield "figures", folder / "report", lambda n: drawn.save(folder / "report")


def mindspore(folder):
    from ms_support import CARDINALITIES

    from data_scripts import prepare, synthetic
    from mindspore_port import DeepFM
    from mindspore_port.convert import convert
    from mindspore_port.export import export
    from mindspore_port.mindrecord import to_mindrecord
    from mindspore_port.models.checkpoint_file import save_model
    from mindspore_port.neutral import dump

    models = [DeepFM(CARDINALITIES, embedding_dim=4, hidden_units=(8, 6), seed=n) for n in range(3)]
    save_model(models[0], folder / "from.ckpt")
    dump(models[0], folder / "from.npz")
    prepare(synthetic(rows=400, users=9, items=5), folder / "from", slots=2, progress=False)

    def record(number):  # none is replaced
        to_mindrecord(folder / "from", folder / ("record" if number == 1 else "record2"))

    yield "checkpoint", folder / "m.ckpt", lambda n: save_model(models[n], folder / "m.ckpt")
    yield "MINDIR", folder / "m.mindir", lambda n: export(folder / "from.ckpt", folder / "m.mindir")
    yield (
        "converted",
        folder / "c.ckpt",
        lambda n: convert("keras-to-mindspore", folder / "from.npz", folder / "c.ckpt"),
    )
    yield (
        "neutral",
        folder / "c.npz",
        lambda n: convert("mindspore-to-keras", folder / "from.ckpt", folder / "c.npz"),
    )
    yield "MindRecord", folder / "record", record


def held(path):
    if not path.is_dir():
        return {"": path.read_bytes()} if path.exists() else {}
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def taken(path):
    """Bytes of the disk that the largest file takes: a MindRecord file is mostly a hole."""
    files = path.rglob("*") if path.is_dir() else [path]
    return max(file.stat().st_blocks * 512 for file in files)


@contextlib.contextmanager
def little(bytes_left):
    """Files end after so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def filled(folder, bytes_left):
    """The disk that holds a folder has so many bytes left."""
    status = os.statvfs(folder)
    size = max(status.f_bavail * status.f_frsize - bytes_left, 0)
    with open(folder / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(size, 1))
    try:
        yield
    finally:
        (folder / "filler").unlink()


def run(folder, how, which):
    for name, path, write in which(folder):
        write(1)
        before, there = held(path), sorted(os.listdir(folder))
        largest = max(map(len, before.values())) if how == "limit" else taken(path)
        for fraction in FRACTIONS:
            bytes_left = int(fraction * largest)
            limited = little(bytes_left) if how == "limit" else filled(folder, bytes_left)
            said, kind = "", ""
            try:
                with limited:
                    write(2)
            except Exception as error:
                said, kind = str(error), type(error).__name__
                oserror = isinstance(error, OSError)
            after = held(path)
            # of several files, each is whole: those before the one that failed are the new ones
            failed = {n: d for n, d in after.items() if str(path / n) in said.partition(": ")[0]}
            row = {
                "writer": name,
                "left": bytes_left,
                "kind": kind,
                "said": said[:400],
                "raised": bool(said) and oserror,
                "named": str(path) in said and "\n" not in said,
                "same": after == before
                if len(failed) != 1
                else not failed.items() - before.items(),
                "beside": sorted(set(os.listdir(folder)) - {*there, "out.csv.parts"}),
            }
            print(json.dumps(row), flush=True)
            if after != before:
                before = after


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], globals()[sys.argv[3]])
    os._exit(0)  # HDF5 tries once more to write what did not fit, and crashes

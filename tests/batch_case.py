"""Files of rows for a small shipped model, and what learning them at once gives."""

import contextlib
import csv
import gzip
import io

import pyarrow as pa
import pyarrow.parquet as pq
from served_model import labels, rows
from service_case import ship_tables

from reloop2_keras.core.serving import OnlineModel, Store, load_shipped
from reloop2_keras.core.serving.batch_learn import learn_file
from reloop2_keras.core.serving.batch_predict import predict_file
from reloop2_keras.core.serving.file_rows import open_rows
from reloop2_keras.core.serving.parts import Parts

KINDS = ("csv", "csv.gz", "tsv", "parquet")


def labelled(count, seed=0):
    """Rows with `click`, and a column that no model knows."""
    some = rows(count, seed)
    pairs = zip(some, labels(some, seed), strict=True)
    return [{**row, "page": f"p,{n}", "click": label} for n, (row, label) in enumerate(pairs)]


def text(some, separator=","):
    out = io.StringIO()
    writer = csv.DictWriter(out, some[0], delimiter=separator, lineterminator="\n")
    writer.writeheader()
    writer.writerows(some)
    return out.getvalue()


def write(folder, some, kind="csv", name="log", group=300):
    """Write rows as a file of one of `KINDS`."""
    path = folder / f"{name}.{kind}"
    if kind == "parquet":
        table = pa.Table.from_pylist(some)
        pq.write_table(table, path, row_group_size=group, write_page_checksum=True)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(text(some).encode(), mtime=0))
    else:
        path.write_text(text(some, "\t" if kind == "tsv" else ","), encoding="utf-8")
    return path


def shipped_model(folder):
    """The model of a folder; ships one if there is none."""
    if not (folder / "model").exists():
        ship_tables(folder / "model")
    shipped = load_shipped(folder / "model")
    return OnlineModel(shipped.online, shipped.encoder), shipped.name


def learn(folder, path, state="state", times=None, **options):
    """Learn a file; returns (model, what `learn_file` did).

    Args:
        folder: of the shipped model.
        state: name of the store's folder.
        times: how often `stop` is asked before it says True; None: never.
    """
    model, name = shipped_model(folder)
    store = Store(folder / state, name=name)
    asked = []

    def stop():
        asked.append(1)
        return times is not None and len(asked) > times

    try:
        store.start(model)
        with contextlib.closing(open_rows(path)) as file:
            return model, learn_file(model, store, file, stop=stop, **options)
    finally:
        store.close(snapshot=False)


def predict(folder, path, out, times=None, about=None, **options):
    """Predict a file; returns what `predict_file` did."""
    model, _ = shipped_model(folder)
    parts, asked = Parts(out), []

    def stop():
        asked.append(1)
        return times is not None and len(asked) > times

    try:
        parts.begin(about or {})
        with contextlib.closing(open_rows(path)) as file:
            return predict_file(model, file, parts, stop=stop, **options)
    finally:
        parts.close()

"""What else is fuzzed: public logs, Parquet, files to predict and learn, logs of events, archives.

As in `fuzzers`: taken, or one line. What is taken must also add up: rows in are rows out and rows
that are told as bad, and a row that no damage touched is no bad one.
"""

import contextlib
import gzip
import json
import random
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from batch_case import labelled, text
from fuzzers import changed, mutated, tried
from service_case import copy_of_shipped, ship_tables
from test_keras_file import written
from test_public_logs import MAKERS, make_amazon_json, make_movielens_1m

import data_scripts
from data_scripts import prepare
from reloop2_keras.__main__ import main
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.files import file_checksum
from reloop2_keras.core.keras_file import check_keras_file
from reloop2_keras.core.keras_seal import check_keras_seal, seal_keras_file
from reloop2_keras.core.metrics_table import read_metrics, table
from reloop2_keras.core.serving import load_shipped
from reloop2_keras.core.serving.event_log import EventLog, read_events
from reloop2_keras.core.serving.packed import pack, unpack

PUBLIC = {**MAKERS, "movielens-1m": make_movielens_1m, "amazon-json": make_amazon_json}
TYPES = [pa.string(), pa.binary(), pa.int8(), pa.uint64(), pa.float64(), pa.bool_(), pa.date32()]
TYPES += [
    pa.timestamp("ns"),
    pa.decimal128(9, 2),
    pa.list_(pa.int32()),
    pa.dictionary("int8", "string"),
]


def check_counts(out, options):
    """Rows read are rows prepared, bad ones and those beyond a limit; and all can be read."""
    dataset = PreparedDataset(out)
    rows = dataset.meta["rows"]
    assert rows["read"] == rows["prepared"] + rows["bad"] + rows["beyond_limit"], rows
    assert rows["bad"] == 0 or options["on_error"] == "skip"
    parts = [slot.load() for slot in [*dataset.slots(), *dataset.validation_slots(1)]]
    train = dataset.meta["periods"]["train"]["rows"]
    assert train + sum(len(part["label"]) for part in parts) == rows["prepared"]
    assert all(np.isfinite(part["feature_values"]).all() for part in parts)
    return rows


def prepared_or_refused(source, folder, rng):
    """Prepare; returns counts of rows, or None."""
    options = {"on_error": rng.choice(["fail", "skip"]), "chunk_rows": rng.choice([7, 65_536])}
    out = Path(folder) / "out"
    made = tried(lambda: prepare(source(), out, slots=2, progress=False, max_bad=1.0, **options))
    return None if made is None else check_counts(out, options)


def fuzz_public(seed, folder):
    """One file of a well-known log is damaged, within its packing or outside of it."""
    rng = random.Random(seed)
    name = rng.choice(list(PUBLIC))
    path = PUBLIC[name](Path(folder))
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    file = rng.choice(files)
    raw = file.read_bytes()
    if file.suffix == ".gz" and rng.random() < 0.7:
        file.write_bytes(gzip.compress(mutated(gzip.decompress(raw), rng)))
    elif rng.random() < 0.05:
        file.unlink()
    else:
        file.write_bytes(mutated(raw, rng))
    reader = getattr(data_scripts, name.partition("-")[0])
    prepared_or_refused(lambda: reader(path), folder, rng)


def fuzz_parquet(seed, folder):
    """A Parquet log with columns of any type, nulls, or damaged bytes."""
    rng = random.Random(seed)
    some, path = labelled(60, seed % 50), Path(folder) / "log.parquet"
    made = {name: [row[name] for row in some] for name in ("click", "user", "age")}
    for name in made:
        if rng.random() < 0.3:
            odd = rng.choice([None, 0, -1, 2**62, 1.5, float("nan"), "x", "", True, b"\xff", [1]])
            for at in rng.choices(range(60), k=rng.choice([1, 60])):
                made[name][at] = odd
    columns = {}
    for name, values in made.items():
        kind = rng.choice([None, None, None, *TYPES])
        with contextlib.suppress(pa.ArrowException, TypeError, OverflowError, ValueError):
            columns[name] = pa.array(values, kind)
    pq.write_table(pa.table(columns), path, row_group_size=rng.choice([7, 100]))
    if rng.random() < 0.3:
        path.write_bytes(mutated(path.read_bytes(), rng))
    kinds = {"categorical": ["user"], "numeric": ["age"]}
    prepared_or_refused(lambda: data_scripts.table(path, "click", **kinds), folder, rng)


def fuzz_lines(seed, folder):
    """A log of lines: as many rows as lines, and no untouched line is bad."""
    rng = random.Random(seed)
    folder, kind = Path(folder), rng.choice(["csv", "tsv", "jsonl", "criteo"])
    some = [{name: row[name] for name in ("click", "user", "age")} for row in labelled(60, 3)]
    path = folder / ("train.txt" if kind == "criteo" else f"log.{kind}")
    if kind == "jsonl":
        lines = [json.dumps(row) for row in some]
    elif kind == "criteo":
        lines = ["\t".join([str(row["click"]), *["5"] * 13, *[row["user"]] * 26]) for row in some]
    else:
        lines = text(some, "," if kind == "csv" else "\t").splitlines()
    raw = mutated("\n".join([*lines, ""]).encode(), rng)
    path.write_bytes(raw)
    kinds = {"categorical": ["user"], "numeric": ["age"]}
    source = data_scripts.criteo if kind == "criteo" else data_scripts.table
    given = () if kind == "criteo" else ("click",)
    rows = prepared_or_refused(
        lambda: source(path, *given, **({} if not given else kinds)), folder, rng
    )
    if rows is None:
        return
    header = kind in ("csv", "tsv")
    after = raw.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    count = len(after) - (after[-1] == b"") - header
    assert rows["read"] == count, (rows, count)
    whole = {line.encode() for line in lines[header:]}
    untouched = sum(line.removesuffix(b"\r") in whole for line in after[header:])
    assert rows["prepared"] >= untouched, (rows, untouched)


def fuzz_file(seed, folder, capsys):
    """A damaged file is predicted or learnt row by row, or refused; no row gets lost."""
    rng, folder = random.Random(seed), Path(folder)
    if not (folder / "model").exists():
        ship_tables(folder / "model")
    kind = rng.choice(["csv", "tsv", "csv.gz", "parquet"])
    some, path, out = labelled(60, 3), folder / f"log.{kind}", folder / "out.csv"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(some), path, row_group_size=20)
        path.write_bytes(mutated(path.read_bytes(), rng))
    else:
        raw = mutated(text(some, "\t" if kind == "tsv" else ",").encode(), rng)
        path.write_bytes(gzip.compress(raw) if kind == "csv.gz" else raw)
        if kind == "csv.gz" and rng.random() < 0.3:
            path.write_bytes(mutated(path.read_bytes(), rng))
    skip = ["--on-error", rng.choice(["fail", "skip"]), "--max-bad=1", "--quiet"]
    try:
        for words in (["predict", folder / "model", path, out], ["learn", folder / "model", path]):
            status = main([*map(str, words), *skip])
            said = capsys.readouterr()
            if status:
                assert status == 2 and said.err.count("\n") == 1, said.err
                assert path.name in said.err or "out.csv" in said.err, said.err
                continue
            if words[0] == "predict":
                scores = out.read_text().splitlines()[1:]
                assert f"scored {len(scores)} rows" in said.out
                told = [float(score) for score in scores if score]
                assert all(0 <= score <= 1 for score in told)
                empty = len(scores) - len(told)
                assert (f"\n{empty} bad rows were skipped" in said.out) == (empty > 0), said.out
    finally:
        for left in (folder / "model-state", folder / "out.csv.parts"):
            shutil.rmtree(left, ignore_errors=True)
        out.unlink(missing_ok=True)


def fuzz_events(seed, folder):
    """A damaged log of events yields what was written before the damage, or is refused by name."""
    rng, path = random.Random(seed), Path(folder) / "events"
    path.unlink(missing_ok=True)
    log = EventLog(path, 0)
    made = [({"kind": "rows", "n": n}, {"truth": np.arange(n + 1)}) for n in range(5)]
    for head, arrays in made:
        log.append(head, arrays)
    log.close()
    path.write_bytes(mutated(path.read_bytes(), rng))
    found = tried(lambda: list(read_events(path, last=rng.random() < 0.5)), path)
    for (head, arrays), (wanted, truth) in zip(found or [], made, strict=False):
        assert head == wanted and np.array_equal(arrays["truth"], truth["truth"])
    # who can write a log can write its checksums, too
    data = pack(*made[3])
    (length,) = struct.unpack("<Q", data[:8])
    listed = json.dumps(changed(json.loads(data[8 : 8 + length]), rng)).encode()
    data = struct.pack("<Q", len(listed)) + listed + data[8 + length :]
    path.write_bytes(struct.pack("<II", len(data), zlib.crc32(data)) + data)
    tried(lambda: list(read_events(path, last=False)), path)
    tried(lambda: unpack(mutated(data, rng)))


def fuzz_shipped(seed, folder):
    """A shipped model whose description, encoder or state was changed, and sealed again."""
    rng, folder = random.Random(seed), Path(folder)
    copy, about = copy_of_shipped(folder)
    name = rng.choice(sorted(about["files"]))
    if rng.random() < 0.6:
        (copy / name).write_bytes(mutated((copy / name).read_bytes(), rng))
        about["files"][name] = file_checksum(copy / name)
    else:
        about = changed(about, rng)
    with contextlib.suppress(UnicodeEncodeError):
        (copy / "model.json").write_text(json.dumps(about))
    tried(lambda: load_shipped(copy), copy)


def fuzz_metrics(seed, folder):
    """A changed metrics.json is shown, or refused by name."""
    rng, path = random.Random(seed), Path(folder) / "metrics.json"
    row = {"auc": 0.7, "gauc": None, "logloss": 0.5, "ece": 0.1}
    content = {"arms": {"frozen": row, "online": row}, "verdict": "helps", "seeds": [1]}
    raw = json.dumps(changed(content, rng)).encode()
    path.write_bytes(mutated(raw, rng) if rng.random() < 0.4 else raw)
    tried(lambda: table(read_metrics(path)), path)


def fuzz_keras_file(seed, folder):
    """A damaged .keras file is refused by name; a sealed one is taken as it was, or unsealed."""
    rng, path = random.Random(seed), Path(folder) / "model.keras"
    written(path)
    kind = rng.random()
    if kind < 0.3:
        seal_keras_file(path)
        whole = path.read_bytes()
        path.write_bytes(mutated(whole, rng))
        if tried(lambda: check_keras_file(path), path):
            assert path.read_bytes() == whole or not check_keras_seal(path)
    elif kind < 0.6:
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))
        written(path, changed(config, rng))
    else:
        path.write_bytes(mutated(path.read_bytes(), rng))
    tried(lambda: check_keras_file(path), path)


def fuzz_question(client, seed):
    """Routes without a body, and those that take the path of a file."""
    rng = random.Random(seed)
    odd = ["", "-1", "nan", "1e999", "9" * 400, "x", "\0", "0", "5", str(2**70), "null", "[]"]
    if rng.random() < 0.5:
        path = rng.choice(["/moved", "/snapshots", "/health", "/metrics", "/nothing", "/"])
        names = ["seconds", "count", "again", "x"]
        answer = client.get(path, {name: rng.choice(odd) for name in rng.sample(names, 2)})
    else:
        path, body = rng.choice(
            [
                (
                    "/release",
                    {"path": rng.choice(["/", "/proc/self/mem", "../x", "a\0b", "x" * 4000])},
                ),
                ("/release", {"back": True}),
                ("/release", {"path": "/none.onnx", "rows": 5, "same_vocabulary": True}),
                ("/snapshot", {}),
                ("/rollback", {"before": rng.choice([*odd, 1e308, -1, "2026-01-01", "2h ago"])}),
            ]
        )
        body = changed(body, rng) if body and rng.random() < 0.5 else body
        answer = client.post(path, content=json.dumps(body).encode())
    known = (200, 400, 404, 405, 409, 410, 413, 415, 422, 503)
    assert answer.status_code in known, (path, answer.status_code, answer.text)
    assert "Traceback" not in answer.text


READERS = {
    "public logs": fuzz_public,
    "parquet": fuzz_parquet,
    "lines": fuzz_lines,
    "events": fuzz_events,
    "shipped": fuzz_shipped,
    "metrics.json": fuzz_metrics,
    ".keras": fuzz_keras_file,
}
FRESH = ("public logs", "parquet", "lines")  # want an empty folder each time

"""Ways to make a dataset.json lie, which no reader may take; and what changes a folder."""

import copy
import json
import os

import pyarrow.parquet as pq

from reloop2_keras.core.description import sealed
from reloop2_keras.core.files import file_checksum

TRAIN, SLOT = "train/000.parquet", "slots/001.parquet"


def _set(*keys, to):
    """Put a value at a place of dataset.json."""

    def edit(meta):
        for key in keys[:-1]:
            meta = meta[key]
        meta[keys[-1]] = to

    return edit


def _drop(*keys):
    def edit(meta):
        for key in keys[:-1]:
            meta = meta[key]
        del meta[keys[-1]]

    return edit


def _cardinality(column, value):
    """Change a field's cardinality, and offsets and num_ids with it."""

    def edit(meta):
        more = value - meta["fields"][column]["cardinality"]
        meta["fields"][column]["cardinality"] = value
        for field in meta["fields"][column + 1 :]:
            field["offset"] += more
        meta["num_ids"] += more

    return edit


def _file(number, **changes):
    """Change the entry of slot `number`'s file."""

    def edit(meta):
        meta["periods"]["slots"][number]["files"][0].update(changes)

    return edit


def _rows(meta):
    entry = meta["periods"]["slots"][1]
    entry["rows"] = entry["files"][0]["rows"] = entry["rows"] - 10


def _same_file_as(period):
    def edit(meta):
        meta["periods"]["slots"][1] = copy.deepcopy(meta["periods"][period])

    return edit


def _slot_twice(meta):
    meta["periods"]["slots"].append(copy.deepcopy(meta["periods"]["slots"][0]))


def _file_twice(meta):
    slot = meta["periods"]["slots"][0]
    slot["files"] *= 2
    slot["rows"] *= 2


FILES = ("periods", "train", "files")
DESCRIPTIONS = {
    "schema 2": _set("schema_version", to=2),
    "schema as text": _set("schema_version", to="1"),
    "schema true": _set("schema_version", to=True),
    "no schema": _drop("schema_version"),
    "no source": _drop("source"),
    "source a number": _set("source", to=5),
    "no fields": _drop("fields"),
    "fields empty": _set("fields", to=[]),
    "fields an object": _set("fields", to={}),
    "a field is a text": _set("fields", 0, to="I1"),
    "a field without name": _drop("fields", 0, "name"),
    "two fields of one name": _set("fields", 1, "name", to="I1"),
    "a field without kind": _drop("fields", 0, "kind"),
    "unknown kind": _set("fields", 0, "kind", to="image"),
    "cardinality 2^40": _cardinality(14, 2**40),
    "negative cardinality": _cardinality(14, -3),
    "cardinality 0": _cardinality(14, 0),
    "cardinality 2.5": _set("fields", 38, "cardinality", to=2.5),
    "cardinality as text": _set("fields", 38, "cardinality", to="7"),
    "a cardinality missing": _drop("fields", 38, "cardinality"),
    "cardinality smaller than its ids": _cardinality(38, 1),
    "numeric field of two ids": _cardinality(0, 2),
    "wrong offset": _set("fields", 3, "offset", to=7),
    "offset a float": _set("fields", 3, "offset", to=3.0),
    "no offset": _drop("fields", 3, "offset"),
    "num_ids too great": _set("num_ids", to=10**6),
    "no num_ids": _drop("num_ids"),
    "no columns": _drop("columns"),
    "columns without label": lambda meta: meta["columns"].remove("label"),
    "columns with one that is not there": lambda meta: meta["columns"].append("time"),
    "no periods": _drop("periods"),
    "no training period": _drop("periods", "train"),
    "no validation period": _drop("periods", "validation"),
    "no slots": _drop("periods", "slots"),
    "slots empty": _set("periods", "slots", to=[]),
    "slots an object": _set("periods", "slots", to={}),
    "a slot is null": _set("periods", "slots", 0, to=None),
    "training rows wrong": _set("periods", "train", "rows", to=7),
    "slot's rows wrong": _set("periods", "slots", 0, "rows", to=7),
    "rows wrong in period and file": _rows,
    "rows wrong in file": _file(0, rows=7),
    "rows negative": _set("periods", "train", "rows", to=-300),
    "rows a float": _set("periods", "train", "rows", to=300.0),
    "rows as text": _set("periods", "train", "rows", to="300"),
    "rows 10^30": _set("periods", "train", "rows", to=10**30),
    "no rows": _drop("periods", "train", "rows"),
    "no files": _drop(*FILES),
    "files empty": _set(*FILES, to=[]),
    "file is a text": _set(*FILES, 0, to=TRAIN),
    "file without name": _drop(*FILES, 0, "name"),
    "file without rows": _drop(*FILES, 0, "rows"),
    "file without checksum": _drop(*FILES, 0, "sha256"),
    "short checksum": _set(*FILES, 0, "sha256", to="00"),
    "validation named as a slot": _same_file_as("validation"),
    "training named as a slot": _same_file_as("train"),
    "slot listed twice": _slot_twice,
    "file listed twice in its slot": _file_twice,
    "a slot's file named for another": _file(0, name=SLOT),
    "name of no file": _file(0, name="slots/900.parquet"),
    "name empty": _file(0, name=""),
    "name of a folder": _file(0, name="slots"),
    "name a number": _file(0, name=5),
    "name with a NUL": _file(0, name="slots/000.parquet\0"),
    "name that goes back": _file(0, name="slots/../slots/000.parquet"),
    "name with a backslash": _file(0, name="slots\\000.parquet"),
    "name with a dot": _file(0, name="./slots/000.parquet"),
    "name too long": _file(0, name="9" * 5000),
    "name of half a character": _file(0, name="\ud800"),
    "name of dataset.json": _file(0, name="dataset.json"),
    "no vocabulary": _drop("vocabulary"),
    "vocabulary without name": _drop("vocabulary", "name"),
    "vocabulary outside": _set("vocabulary", "name", to="../vocabulary.parquet"),
    "vocabulary is a slot": _set("vocabulary", "name", to=SLOT),
}

TEXTS = {
    "truncated": lambda raw: raw[: len(raw) // 2],
    "empty": lambda raw: b"",
    "no UTF-8": lambda raw: raw.replace(b"synthetic", b"synth\xe9tic"),
    "a list": lambda raw: b"[" + raw + b"]",
    "a number": lambda raw: b"5",
    "NaN": lambda raw: raw.replace(b'"num_ids": ', b'"maximum": NaN, "num_ids": '),
    "a key twice": lambda raw: raw.replace(b'"num_ids": ', b'"num_ids": 5, "num_ids": '),
    "too deep": lambda raw: b"[" * 100_000,
    "a number too long": lambda raw: raw.replace(b'"num_ids": ', b'"num_ids": ' + b"9" * 5000),
}


def write_table(table, path):
    """Write a table as data_scripts does, with page checksums and several pages a column."""
    pq.write_table(table, path, compression="zstd", write_page_checksum=True, data_page_size=2000)


def describe(folder, edit, seal_it=True):
    """Change dataset.json, and its own checksum with it: the liar knows of checksums."""
    path = folder / "dataset.json"
    meta = json.loads(path.read_text())
    edit(meta)
    path.write_text(json.dumps(sealed(meta) if seal_it else meta))


def entries(meta):
    """The entries of all files of dataset.json."""
    periods = meta["periods"]
    for period in (periods["train"], periods["validation"], *periods["slots"]):
        yield from period["files"]


def seal(folder):
    """Put each file's checksum of now into dataset.json: the liar knows of checksums."""

    def edit(meta):
        for entry in entries(meta):
            entry["sha256"] = file_checksum(folder / entry["name"])

    describe(folder, edit)


def link_out(folder, outside):
    """Put a link to a file outside in a slot's place."""
    os.replace(folder / SLOT, outside)
    (folder / SLOT).symlink_to(outside)

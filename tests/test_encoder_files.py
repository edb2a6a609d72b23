"""What an encoder is loaded from: datasets new and old, and files of its own; damage is named."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from encoder_rows import assert_equal, delimited_rows, prepared

from data_scripts import prepare, synthetic, table
from data_scripts.sources.synthetic_log import write_raw_tsv
from reloop2_keras.core.description import sealed
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.encoder_file import KEY

OLD = Path(__file__).parent / "files_0_1" / "dataset"
COLUMNS = ["label"] + [f"I{i}" for i in range(1, 14)] + [f"C{i}" for i in range(1, 27)]


@pytest.fixture
def dataset(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("y,c,x\n" + "".join(f"{n % 2},{n % 3},{n}\n" for n in range(40)))
    source = table(path, "y", categorical=["c"], numeric=["x"])
    prepare(source, tmp_path / "out", slots=2, progress=False)
    return tmp_path / "out"


def rewritten(folder, change, seal=True):
    """Change a folder's dataset.json."""
    meta = json.loads((folder / "dataset.json").read_text())
    change(meta)
    meta = sealed(meta) if seal else meta
    (folder / "dataset.json").write_text(json.dumps(meta))


def test_a_dataset_of_version_0_1(tmp_path):
    meta = json.loads((OLD / "dataset.json").read_text())["options"]
    source = synthetic(meta["rows"], meta["seed"], meta["drift"], meta["users"], meta["items"])
    write_raw_tsv(source, tmp_path / "train.txt")
    rows = delimited_rows(tmp_path / "train.txt", COLUMNS)
    assert_equal(Encoder.load(OLD).encode(rows), prepared(OLD))


@pytest.mark.parametrize("source", ["avazu", "movielens", "taobao", "kuairand"])
def test_earlier_logs_whose_fields_are_made_are_refused_in_one_line(dataset, source):
    rewritten(dataset, lambda meta: meta.pop("raw") and meta.update(source=source))
    message = (
        rf"^{dataset / 'dataset.json'}: raw: expected how the columns of {source} make its fields, "
        "found nothing: an earlier version prepared it; prepare it again$"
    )
    with pytest.raises(ValueError, match=message):
        Encoder.load(dataset)


@pytest.mark.parametrize("source", ["table", "frappe", "mine", "criteo", "movietweetings"])
def test_other_earlier_datasets_load(dataset, source):
    rows = [{"c": 1, "x": 2}]
    want = Encoder.load(dataset).encode(rows)
    rewritten(dataset, lambda meta: meta.pop("raw") and meta.update(source=source))
    encoder = Encoder.load(dataset, strict=False)
    assert_equal(encoder.encode(rows), want)
    rewritten(dataset, lambda meta: meta["options"].pop("label"))
    assert_equal(Encoder.load(dataset, strict=False).encode(rows), want)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.pop("derived"), "raw: expected how columns make fields.*found: 'derived'"),
        (lambda raw: raw.update(later=1), "raw: expected how columns make fields.*'later'"),
        (
            lambda raw: raw["derived"].update(c={"column": "d", "step": "later"}),
            "`step` must be one of same,",
        ),
        (lambda raw: raw.update(positive="=>"), "`positive` must be a comparison"),
    ],
)
def test_what_a_later_version_may_write_is_refused(dataset, change, message):
    rewritten(dataset, lambda meta: change(meta["raw"]))
    with pytest.raises(ValueError, match=f"^{dataset / 'dataset.json'}: .*{message}"):
        Encoder.load(dataset)


def test_damage_of_a_dataset_is_named(dataset):
    rewritten(dataset, lambda meta: meta["raw"].update(label="z"), seal=False)
    with pytest.raises(ValueError, match="sha256: expected"):
        Encoder.load(dataset)
    rewritten(dataset, lambda meta: meta["raw"].update(label="y"))
    path = dataset / "vocabulary.parquet"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"\0")
    with pytest.raises(ValueError, match=f"^{path}: expected sha256"):
        Encoder.load(dataset)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="vocabulary"):
        Encoder.load(dataset)
    with pytest.raises(FileNotFoundError, match="python -m data_scripts"):
        Encoder.load(dataset.parent)
    with pytest.raises(FileNotFoundError):
        Encoder.load(dataset / "none")


def test_a_file_of_its_own(dataset, tmp_path):
    encoder = Encoder.load(dataset)
    rows = [{"c": c, "x": x} for c, x in ((1, 2), ("2.0", ""), ("new", "7"), (None, 1e30))]
    want = encoder.encode(rows)
    path = tmp_path / "new" / "encoder.parquet"
    encoder.save(path)
    again = Encoder.load(path, strict=False)
    assert_equal(again.encode(rows), want)
    assert not again.strict and again.description == encoder.description
    assert again.to_bytes() == encoder.to_bytes() == path.read_bytes()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"^{path}: expected an encoder's file, found"):
        Encoder.load(path)
    encoder.save(path)
    assert_equal(Encoder.load(path).encode(rows), want)


def forged(encoder, change=None, table=None, seal=True):
    """The bytes of an encoder's file whose JSON or table is another."""
    held = pq.read_table(io.BytesIO(encoder.to_bytes()))
    parts = json.loads(held.schema.metadata[KEY])
    if change:
        change(parts)
    table = held if table is None else table(held)
    metadata = {KEY: json.dumps(sealed(parts) if seal else parts)}
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"change": lambda p: p.update(schema_version=2)}, "schema_version: expected 1, found 2"),
        ({"change": lambda p: p.update(num_ids=9)}, "num_ids: expected 5"),
        ({"change": lambda p: p.update(source="b"), "seal": False}, "sha256: expected"),
        ({"table": lambda t: t.slice(1)}, "vocabulary_sha256: expected"),
        ({"table": lambda t: t.drop_columns(["id"])}, "expected a vocabulary: value, id and hash"),
        (
            {"table": lambda t: t.set_column(0, "value", pa.nulls(len(t), pa.string()))},
            "expected a vocabulary: value, id and hash, found: a value that is null",
        ),
    ],
)
def test_damage_of_a_file_is_named(dataset, how, message):
    with pytest.raises(ValueError, match=f"^encoder: {message}"):
        Encoder.from_bytes(forged(Encoder.load(dataset), **how))


def test_another_parquet_file_is_no_encoder(dataset):
    with pytest.raises(ValueError, match="expected an encoder's file, found another Parquet file"):
        Encoder.load(dataset / "vocabulary.parquet")


def test_a_vocabulary_must_fit_the_fields(dataset):
    encoder = Encoder.load(dataset)
    other = type(encoder.vocabulary)(["1", "1", "2"], np.array([1, 2, 3], "i4"), np.zeros(3, "i4"))
    with pytest.raises(ValueError, match="^vocabulary: expected a value of its own for each id"):
        Encoder(encoder.description, other)
    other = type(encoder.vocabulary)(list("1234"), np.arange(1, 5, dtype="i4"), np.zeros(4, "i4"))
    with pytest.raises(ValueError, match="^vocabulary: expected 3 values, found 4"):
        Encoder(encoder.description, other)


def test_importing_it_needs_no_framework_and_no_tables():
    code = (
        "import sys\n"
        "for name in ('keras', 'torch', 'jax', 'tensorflow', 'mindspore', 'polars', 'pandas'):\n"
        "    sys.modules[name] = None\n"
        "from reloop2_keras.core.encoder import Encoder\n"
        f"Encoder.load({str(OLD)!r}).encode({{'I1': 1, 'C1': 'x'}})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])

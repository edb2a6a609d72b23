"""Files that somebody else wrote run nothing, and are read from their own folder alone."""

import ast
import gzip
import io
import json
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from payload import Payload
from service_case import ship_tables

from data_scripts import prepare, table
from reloop2_keras.core import neutral
from reloop2_keras.core.description import sealed
from reloop2_keras.core.files import file_checksum
from reloop2_keras.core.metrics_table import read_metrics
from reloop2_keras.core.seal import seal
from reloop2_keras.core.serving import load_shipped
from reloop2_keras.core.serving.file_rows import open_rows
from reloop2_keras.core.serving.snapshot_file import read_state

ROOT = Path(__file__).parents[1]
FOLDERS = ("reloop2_keras", "data_scripts", "mindspore_port", "notebooks", "examples", "benchmarks")
FILES = [path for name in FOLDERS for path in sorted((ROOT / name).rglob("*.py"))]
RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LOADERS = {"SafeLoader", "BaseLoader", "CSafeLoader"}


def unsafe(tree):
    """What of a module could run code that a file holds: (line, what)."""
    found, safe = [], set(LOADERS)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = {getattr(base, "attr", getattr(base, "id", "")) for base in node.bases}
            safe |= {node.name} if bases & LOADERS else set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [(node.lineno, name) for name in names if name.split(".")[0] in RUNS_CODE]
        if not isinstance(node, ast.Call):
            continue
        text = ast.unparse(node.func)
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        if given.get("allow_pickle", "False") != "False" or given.get("safe_mode") == "False":
            found.append((node.lineno, text))
        if text in ("eval", "exec", "yaml.unsafe_load", "yaml.full_load", "torch.load"):
            found.append((node.lineno, text))
        if "unsafe_deserialization" in text or given.get("shell") == "True":
            found.append((node.lineno, text))
        loader = given.get("Loader") or (ast.unparse(node.args[1]) if len(node.args) > 1 else "")
        if loader.startswith("once_each("):  # it makes a stricter one of the loader it is given
            loader = loader.removeprefix("once_each(").split(",")[0].rstrip(")")
        if text in ("yaml.load", "yaml.load_all") and loader.split(".")[-1] not in safe:
            found.append((node.lineno, text))
    return found


@pytest.mark.parametrize(
    ("code", "is_unsafe"),
    [
        ("import pickle", True),
        ("from joblib import load", True),
        ("np.load(path)", False),
        ("np.load(path, allow_pickle=False)", False),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=flag)", True),
        ("yaml.safe_load(text)", False),
        ("yaml.load(text, yaml.SafeLoader)", False),
        ("class Own(yaml.SafeLoader): pass\nyaml.load(text, Own)", False),
        ("yaml.load(text, once_each(yaml.SafeLoader, path))", False),
        ("yaml.load(text, once_each(yaml.Loader, path))", True),
        ("yaml.load(text)", True),
        ("yaml.load(text, Loader=yaml.Loader)", True),
        ("class Own(yaml.Loader): pass\nyaml.load(text, Own)", True),
        ("yaml.unsafe_load(text)", True),
        ("keras.saving.load_model(path)", False),
        ("keras.saving.load_model(path, safe_mode=False)", True),
        ("keras.config.enable_unsafe_deserialization()", True),
        ("torch.load(path)", True),
        ("eval(text)", True),
        ("ast.literal_eval(text)", False),
        ("subprocess.run(text, shell=True)", True),
    ],
)
def test_the_rule_that_nothing_read_is_run(code, is_unsafe):
    assert bool(unsafe(ast.parse(code))) == is_unsafe


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_read_is_run(path):
    assert not unsafe(ast.parse(path.read_text(encoding="utf-8")))


@pytest.fixture
def touched(tmp_path):
    """A path that a payload would make; it works, and was never made by what was read."""
    path, proof = tmp_path / "touched", tmp_path / "proof"
    pickle.loads(pickle.dumps(Payload(proof)))
    assert proof.exists()
    yield path
    assert not path.exists()


def object_array(path, touched, **others):
    """An .npz whose array is a pickle."""
    raw = io.BytesIO()
    np.save(raw, np.array([Payload(touched)], object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in ("reloop2.npy", "field_embedding/embeddings.npy"):
            file.writestr(name, raw.getvalue())
    return path


def parquet_of_python(path, touched):
    """A Parquet file whose column says that it is a pickled type of Python."""
    metadata = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": pickle.dumps(Payload(touched)),
    }
    fields = [pa.field("user", pa.string(), metadata=metadata), pa.field("click", pa.int64())]
    rows = [pa.array([f"u{n % 5}" for n in range(60)]), pa.array([n % 2 for n in range(60)])]
    pq.write_table(pa.Table.from_arrays(rows, schema=pa.schema(fields)), path)
    return path


def test_a_pickle_in_a_file_is_not_unpickled(tmp_path, touched):
    raw, out = pickle.dumps(Payload(touched)), tmp_path / "out"
    for name, read in (
        ("model.npz", neutral.read),
        ("x.state", read_state),
        ("metrics.json", read_metrics),
        ("log.csv", lambda path: prepare(table(path, "click", categorical=["user"]), out)),
        ("log.parquet", open_rows),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)
    with pytest.raises(ValueError, match=r"model\.npz: expected a neutral"):
        neutral.read(object_array(tmp_path / "model.npz", touched))


def test_a_pickled_type_in_parquet_is_not_unpickled(tmp_path, touched):
    path = parquet_of_python(tmp_path / "log.parquet", touched)
    source = table(path, "click", categorical=["user"])
    assert prepare(source, tmp_path / "out", slots=2, progress=False)["rows"]["prepared"] == 60
    file = open_rows(path)
    file.want(["user"])
    assert file.read(60).rows == 60
    file.close()


@pytest.mark.parametrize("kind", ["../{}", "{}/../../{}", "absolute", "link"])
def test_a_shipped_model_is_read_from_its_own_folder(tmp_path, kind):
    model, about = ship_tables(tmp_path / "model"), tmp_path / "model" / "model.json"
    outside = tmp_path / "encoder.parquet"
    (model / "encoder.parquet").rename(outside)
    said = json.loads(about.read_text())
    name = "encoder.parquet"
    if kind == "link":
        (model / name).symlink_to(outside)
    else:
        name = str(outside) if kind == "absolute" else kind.format("encoder.parquet", "x")
        said["files"][name] = said["files"].pop("encoder.parquet")
        about.write_text(json.dumps(sealed(said)))
    with pytest.raises(ValueError, match="expected files|expected a file of this folder"):
        load_shipped(model)


@pytest.mark.parametrize("location", ["../secret.bin", "secret.bin", "/proc/self/mem"])
def test_an_onnx_file_is_one_file(tmp_path, location):
    onnx, onnx_case = pytest.importorskip("onnx"), pytest.importorskip("onnx_case")
    pytest.importorskip("onnxruntime")
    from served_model import FIELDS

    from reloop2_keras.core.serving import OnnxBase
    from reloop2_keras.core.serving.onnx_file import export_neutral

    path = tmp_path / "in" / "base.onnx"
    export_neutral(*onnx_case.deepfm(FIELDS), path)
    OnnxBase(path)
    model = onnx.load(str(path))
    table = next(i for i in model.graph.initializer if i.name == "field_embedding/embeddings")
    for place in (tmp_path, path.parent):
        (place / "secret.bin").write_bytes(table.raw_data)
    entries = {"location": location, "offset": "0", "length": str(len(table.raw_data))}
    table.ClearField("raw_data")
    table.data_location = onnx.TensorProto.EXTERNAL
    for key, value in entries.items():
        table.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    seal(path)
    with pytest.raises(ValueError, match="base.onnx"):
        OnnxBase(path)


def test_what_is_packed_small_is_not_unpacked_large(tmp_path):
    """64 MiB of zeros in one line, as .gz and as an array of an archive."""
    zeros, path = bytes(64 << 20), tmp_path / "model.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("reloop2.npy", zeros)
    log = tmp_path / "log.csv.gz"
    log.write_bytes(gzip.compress(b"click,user\n" + zeros + zeros[: 1 << 20], 1))
    assert path.stat().st_size + log.stat().st_size < 1 << 20
    del zeros
    tracemalloc.start()
    with pytest.raises(ValueError, match="expected an uncompressed array"):
        neutral.read(path)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    file = open_rows(log)
    with pytest.raises(ValueError, match=r"log\.csv\.gz:2: expected a line of no more than 64 MB"):
        file.read(10)
    file.close()
    assert file_checksum(path)

"""A base in an ONNX file: equal to the float64 oracle, whole or refused, without a framework."""

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_case
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threads import run_threads

from reloop2_keras.core import neutral
from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.input_checks import Fitting
from reloop2_keras.core.online import Online
from reloop2_keras.core.protocols import SlowModel
from reloop2_keras.core.seal import seal_of
from reloop2_keras.core.serving import OnnxBase
from reloop2_keras.core.serving.deepfm_graph import deepfm_graph
from reloop2_keras.core.serving.onnx_file import export_neutral

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
BACKENDS = ("tensorflow", "jax", "torch")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    out = tmp_path_factory.mktemp("onnx") / "base.onnx"
    export_neutral(*onnx_case.deepfm(), out)
    return out


def near(served, arrays, x, rows=None):
    for name, array in onnx_case.expected(arrays, x, rows).items():
        np.testing.assert_allclose(served[name], array, atol=1e-5, err_msg=name)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5),
    dim=st.integers(1, 6),
    units=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    rows=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_any_model_and_any_number_of_rows_give_what_the_oracle_says(
    tmp_path_factory, sizes, dim, units, rows, seed
):
    fields = [{"cardinality": size} for size in sizes]
    description, arrays = onnx_case.deepfm(fields, dim, units, seed)
    out = tmp_path_factory.mktemp("any") / "base.onnx"
    export_neutral(description, arrays, out)
    base, x = OnnxBase(out), onnx_case.batch(rows, fields, seed)
    served = base.serve(x)
    near(served, arrays, x)
    assert {name: array.shape for name, array in served.items() if name != "feature_hashes"} == {
        "probability": (rows,),
        "hidden": (rows, units[-1]),
        "embedding": (rows, len(sizes) * dim),
    }
    assert all(served[name].dtype == np.float32 for name in ("probability", *base.keys))


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    hashed=st.one_of(st.just(True), st.integers(0, 7)),
    seed=st.integers(0, 99),
)
def test_new_values_have_the_rows_that_core_says(tmp_path_factory, sizes, hashed, seed):
    fields = [{"cardinality": size} for size in sizes]
    description, arrays = onnx_case.deepfm(fields, seed=seed, hashed=hashed)
    out = tmp_path_factory.mktemp("hashed") / "base.onnx"
    export_neutral(description, arrays, out)
    base, x = OnnxBase(out), onnx_case.batch(60, fields, seed)
    x["feature_ids"][::2] = np.cumsum(sizes) - sizes  # a field's first id: all new values
    rows = HashedRows.of(fields, checked_bits(fields, hashed)).rows(
        x["feature_ids"], x["feature_hashes"]
    )
    near(base.serve(x), arrays, x, rows)
    wide = {**x, "feature_hashes": x["feature_hashes"].astype("int64")}
    np.testing.assert_array_equal(base.serve(wide)["probability"], base.serve(x)["probability"])
    for hashes, said in ((None, "feature_hashes"), (x["feature_values"], "integers")):
        with pytest.raises(ValueError, match=said):
            base.serve({n: a for n, a in {**x, "feature_hashes": hashes}.items() if a is not None})


def test_what_the_file_says(path):
    model = onnx.load(str(path))
    assert [(s.domain, s.version) for s in model.opset_import] == [("", 18)]
    assert model.ir_version == 8
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [value.name for value in model.graph.input] == ["feature_ids", "feature_values"]
    outputs = [value.name for value in model.graph.output]
    assert outputs == ["probability", "logit", "hidden", "embedding"]
    base = OnnxBase(path)
    assert base.key_dims == {"hidden": 6, "embedding": 12}
    assert base.fields == onnx_case.FIELDS
    assert seal_of(path) == (base.checksum, True) == seal_of(path.read_bytes())


def test_batches_of_one_run_are_those_of_many(path):
    x = onnx_case.batch(50)
    whole, parts = OnnxBase(path).serve(x), OnnxBase(path.read_bytes(), batch_size=7).serve(x)
    for name, array in whole.items():
        np.testing.assert_allclose(parts[name], array, atol=1e-6)
    assert parts["feature_hashes"] is x["feature_hashes"]
    only = OnnxBase(path, keys=["hidden"]).serve({**x, "label": None})
    assert set(only) == {"probability", "hidden", "feature_hashes"}


def test_a_fixed_number_of_rows(tmp_path):
    description, arrays = onnx_case.deepfm()
    export_neutral(description, arrays, tmp_path / "fixed.onnx", rows=5)
    base = OnnxBase(tmp_path / "fixed.onnx")
    near(base.serve(onnx_case.batch(5)), arrays, onnx_case.batch(5))
    with pytest.raises(ValueError, match="cannot answer"):
        base.serve(onnx_case.batch(6))
    with pytest.raises(ValueError, match="`rows` must"):
        export_neutral(description, arrays, tmp_path / "none.onnx", rows=0)
    assert not (tmp_path / "none.onnx").exists()


def test_of_a_reloop2_the_base_is_written(path, tmp_path):
    description, arrays = onnx_case.deepfm()
    around = {"class": "ReLoop2", "config": {"key": []}, "base": description}
    around |= {"memory": [], "gate": None}
    named = {f"base/{name}": array for name, array in arrays.items()}
    export_neutral(around, named, tmp_path / "base.onnx")
    assert (tmp_path / "base.onnx").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("place", [0, 0.01, 0.3, 0.6, 0.97, 1])
def test_a_flipped_bit_is_refused(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 4
    with pytest.raises(ValueError, match="expected"):
        OnnxBase(bytes(content))


@pytest.mark.parametrize("part", [0, 0.5, 0.999])
def test_a_part_of_a_file_is_refused(path, tmp_path, part):
    content = path.read_bytes()
    (tmp_path / "part.onnx").write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=r"part\.onnx: expected a file of `export_onnx`"):
        OnnxBase(tmp_path / "part.onnx")


def test_other_files_and_arguments_are_refused(path, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        OnnxBase(tmp_path / "absent.onnx")
    foreign = tmp_path / "foreign.onnx"
    model = onnx.load(str(path))
    model.DiscardUnknownFields()  # the seal
    foreign.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="expected"):
        OnnxBase(foreign)
    for arguments in ({"threads": 0}, {"batch_size": 0}, {"keys": ["last"]}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            OnnxBase(path, **arguments)
    with pytest.raises(ValueError, match=r"ends in \.onnx"):
        export_neutral(*onnx_case.deepfm(), tmp_path / "base.bin")


def test_weights_that_do_not_fit_are_refused(tmp_path):
    description, arrays = onnx_case.deepfm()
    out = tmp_path / "base.onnx"
    for name, array in (
        ("deep_logit/bias", np.array([np.nan], "float32")),
        ("hidden_0/kernel", arrays["hidden_0/kernel"][:, 1:]),
    ):
        with pytest.raises(ValueError, match=f"base.onnx: {name}: expected"):
            export_neutral(description, {**arrays, name: array}, out)
    fields = [{"cardinality": 1 << 28}]
    config = {"fields": fields, "embedding_dim": 2, "hidden_units": [3]}
    huge = np.broadcast_to(np.float32(0), (1 << 28, 2))  # of one number: nothing is allocated
    with pytest.raises(ValueError, match="less than 2 GiB"):
        deepfm_graph(config, {"field_embedding/embeddings": huge})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x.pop("feature_values"), "feature_values"),
        (lambda x: x["feature_ids"].__setitem__((3, 0), 20), r"row 3, field 0 \(user\)"),
        (lambda x: x["feature_ids"].__setitem__((0, 0), -1), r"row 0, field 0 \(user\)"),
        (lambda x: x["feature_values"].__setitem__((2, 1), np.nan), "row 2, field 1"),
        (lambda x: x.update(feature_ids=x["feature_ids"].astype("float32")), "integers"),
        (lambda x: x.update(feature_values=x["feature_values"][:4]), "rows"),
        (lambda x: x.update(feature_ids=x["feature_ids"][:, :2]), "shape"),
        (lambda x: x.update(feature_ids=x["feature_ids"][:0]), "at least one row"),
    ],
)
def test_inputs_that_do_not_fit_are_one_error(path, change, said):
    x = onnx_case.batch()
    change(x)
    with pytest.raises(ValueError, match=said):
        OnnxBase(path).serve(x)


def test_threads_share_one_base_and_copies_serve_alike(path):
    base, x = OnnxBase(path, keys=["hidden"]), onnx_case.batch()
    want = base.serve(x)

    def job():
        for name, array in base.serve(x).items():
            np.testing.assert_array_equal(array, want[name])

    run_threads([job] * 4, 0.3)
    assert copy.deepcopy(base) is base
    again = pickle.loads(pickle.dumps(base))
    assert again.keys == ("hidden",) and again.checksum == base.checksum
    np.testing.assert_array_equal(again.serve(x)["probability"], want["probability"])


def test_online_learns_over_it(path):
    base = OnnxBase(path, keys=())
    assert isinstance(base, SlowModel) and base.learns_from == ()
    online = Online(width=3, bases=["deep"])
    x = onnx_case.batch(300)
    x["feature_hashes"] %= 7
    labels = (x["feature_hashes"][:, 0] % 2).astype("uint8")
    online.start([(x["feature_hashes"], labels)])
    for seed in range(4):
        new = onnx_case.batch(300, seed=seed)
        new["feature_hashes"] %= 7
        served = base.serve(new)
        kept = online.predict(served["feature_hashes"], served["probability"])
        label = new["feature_hashes"][:, 0] % 2
        online.learn(kept, label)
        base.observe({**new, "label": label})
    assert np.abs(kept["corrected"] - label).max() < 0.1


LIGHT = """
import sys
sys.path.insert(0, "tests")
from absent import hide
hide("keras", "tensorflow", "torch", "jax", "mindspore", "pandas", "polars", "matplotlib", "onnx",
     "scipy", "numba")
import numpy as np, onnx_case
from reloop2_keras.core.hashed_rows import HashedRows, checked_bits
from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import OnnxBase
x, online = onnx_case.batch(), Online(width=3, bases=["deep"])
served = OnnxBase(sys.argv[1]).serve(x)
kept = online.predict(served["feature_hashes"], served["probability"])
online.learn(kept, np.arange(77) % 2)
print(served["probability"].astype("float64").sum())
"""
MISSING = """
import sys
sys.path.insert(0, "tests")
from absent import hide
hide("onnxruntime")
from reloop2_keras.core.serving import OnnxBase
OnnxBase(sys.argv[1])
"""


def fresh(code, *arguments):
    root, command = Path(__file__).parents[1], [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True)


def test_it_serves_and_learns_where_nothing_else_is_installed(path):
    run = fresh(LIGHT, path)
    assert run.returncode == 0, run.stderr
    want = OnnxBase(path).serve(onnx_case.batch())["probability"].astype("float64").sum()
    assert abs(float(run.stdout) - want) < 1e-9


def test_a_missing_package_is_one_line_that_says_how_to_get_it(path):
    last = fresh(MISSING, path).stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and "pip install 'reloop2[serve]'" in last


EXPORT = """
import json, sys, numpy as np
from reloop2_keras.models import neutral
from reloop2_keras.models.onnx_export import export_onnx
from reloop2_keras.models.serving import Serving
model = neutral.load(sys.argv[1])
served = Serving(model, ("hidden", "embedding"))(dict(np.load(sys.argv[2])))
np.savez(sys.argv[3], **served)
export_onnx(model, sys.argv[4])
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_writes_the_same_file_and_predicts_the_same(backend, path, forks, tmp_path):
    neutral.write(tmp_path / "base.npz", *onnx_case.deepfm(dropout=0.3))
    x = onnx_case.batch()
    np.savez(tmp_path / "x.npz", **{n: a for n, a in x.items() if n != "feature_hashes"})
    names = ("base.npz", "x.npz", "served.npz", "base.onnx")
    forks(backend).check(EXPORT, *(tmp_path / name for name in names))
    assert (tmp_path / "base.onnx").read_bytes() == path.read_bytes()
    served = OnnxBase(path).serve(x)
    with np.load(tmp_path / "served.npz") as theirs:
        for name in ("probability", "hidden", "embedding"):
            np.testing.assert_allclose(served[name], theirs[name], atol=1e-5, err_msg=name)


def test_metadata_is_plain_json(path):
    (entry,) = onnx.load(str(path)).metadata_props
    about = json.loads(entry.value)
    assert entry.key == "reloop2" and about["schema"] == 1 and about["class"] == "DeepFM"


def test_what_an_encoder_of_other_fields_made_is_looked_at(path):
    base, x = OnnxBase(path), onnx_case.batch()
    sizes = tuple(field["cardinality"] for field in onnx_case.FIELDS)
    want = base.serve(x)["probability"]
    np.testing.assert_array_equal(base.serve(Fitting(x, sizes))["probability"], want)
    wrong = {**x, "feature_ids": x["feature_ids"] + 31}
    with pytest.raises(ValueError, match="row 0, field 0 .user.: expected an id"):
        base.serve(Fitting(wrong, (30, 30, 1)))

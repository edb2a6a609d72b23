"""Checkpoints are believed only when whole; inputs are checked; float16 stays float16."""

import json
import warnings

import numpy as np
import pytest
from ms_support import CARDINALITIES, batch, ms, tensors

from mindspore_port import DeepFM, neutral
from mindspore_port.checkpoints import Checkpoints
from mindspore_port.export import export
from mindspore_port.models import Serving, TrainStep, adam
from mindspore_port.models.checkpoint_file import (
    CONFIG,
    SUMS,
    load_arrays,
    load_model,
    save_arrays,
    save_model,
)
from reloop2_keras.core.run_identity import run_identity


def deepfm(**kwargs):
    options = {"embedding_dim": 4, "hidden_units": (8, 6), "initializer_stddev": 0.5}
    return DeepFM(CARDINALITIES, **{**options, **kwargs})


def without_sums(path):
    """The file as earlier versions wrote it."""
    held = ms.load_checkpoint(str(path))
    listed = [{"name": n, "data": ms.Tensor(p.asnumpy())} for n, p in held.items() if n != SUMS]
    path.unlink()
    ms.save_checkpoint(listed, str(path))


def test_one_flipped_bit_is_refused_wherever_it_is(tmp_path):
    model, path = deepfm(), tmp_path / "m.ckpt"
    save_model(model, path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    load_model(path)
    for place in rng.choice(len(whole), 60, replace=False):
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        with pytest.raises(ValueError, match=str(path)):
            load_model(path)
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=str(path)):
            load_model(path)


def test_files_of_earlier_versions_load_with_a_warning(tmp_path):
    model, path = deepfm(), tmp_path / "m.ckpt"
    save_model(model, path)
    without_sums(path)
    with pytest.warns(UserWarning, match="holds no checksums"):
        again = load_model(path)
    for a, b in zip(model.get_parameters(), again.get_parameters(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


def test_a_size_that_the_file_only_claims_is_not_allocated(tmp_path):
    path = tmp_path / "m.ckpt"
    save_model(deepfm(), path)
    arrays = load_arrays(path)
    description = json.loads(arrays[CONFIG].tobytes())
    description["config"]["fields"][0]["cardinality"] = 2**38
    arrays[CONFIG] = np.frombuffer(json.dumps(description).encode(), "uint8")
    save_arrays(arrays, path)
    with pytest.raises(ValueError, match=r"embeddings: expected shape \(274877906955, 4\)"):
        load_model(path)
    description["config"] = {"field": 1}
    arrays[CONFIG] = np.frombuffer(json.dumps(description).encode(), "uint8")
    save_arrays(arrays, path)
    with pytest.raises(ValueError, match=f"{path}: expected the description of a model"):
        load_model(path)


def trained(folder, epochs):
    base = deepfm(seed=3)
    step, x = TrainStep(base, adam(base, 0.01)), batch()
    weight = np.full(64, 1 / 64, "float32")
    checkpoints = Checkpoints(folder, keep=5)
    for epoch in range(checkpoints.resume(base, step), epochs):
        step(*tensors(x), ms.Tensor(x["label"].astype("float32")), ms.Tensor(weight))
        checkpoints.save(base, step, epoch + 1)
    return base


def flipped(data):
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


DAMAGES = {
    "cut": lambda data: data[: len(data) // 2],
    "flipped": flipped,
    "empty": lambda data: b"",
    "foreign": lambda data: b"PK\x03\x04" + bytes(range(256)) * 9,
    "of another kind": None,  # a whole file, but a model's
}


@pytest.mark.filterwarnings("ignore:.*holds no checksums")  # of what is foreign
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_training_goes_on_from_the_newest_checkpoint_that_is_whole(damage, tmp_path):
    want = trained(tmp_path / "a", 3)
    base = trained(tmp_path / "b", 2)

    def harm(path):
        if damage is None:
            save_model(base, path)
        else:
            path.write_bytes(damage(path.read_bytes()))

    harm(tmp_path / "b" / "epoch-0002.ckpt")
    with pytest.warns(UserWarning, match="epoch-0002.*the checkpoint before it is taken"):
        got = trained(tmp_path / "b", 3)
    for a, b in zip(want.get_parameters(), got.get_parameters(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())
    for path in (tmp_path / "b").iterdir():
        harm(path)
    with pytest.raises(ValueError, match="epoch-0003.ckpt: expected .* --resume false"):
        trained(tmp_path / "b", 4)


def test_the_checkpoint_of_another_run_is_refused(tmp_path):
    now = run_identity(checksum="a", seed=1)
    base = deepfm(seed=3)
    step = TrainStep(base, adam(base, 0.01))
    Checkpoints(tmp_path, 2, now).save(base, step, 1)
    assert Checkpoints(tmp_path, 2, now).resume(base, step) == 1
    assert Checkpoints(tmp_path, 2).resume(base, step) == 1  # and nothing is compared
    with pytest.raises(ValueError, match="checksum: a then, b now; seed: 1 then, 2 now"):
        Checkpoints(tmp_path, 2, {**now, "checksum": "b", "seed": 2}).resume(base, step)
    with pytest.warns(UserWarning, match="not bit for bit: code"):
        assert Checkpoints(tmp_path, 2, {**now, "code": "0"}).resume(base, step) == 1


def test_a_checkpoint_of_earlier_versions_is_gone_on_from(tmp_path):
    want = trained(tmp_path / "a", 2)
    trained(tmp_path / "b", 1)
    path = tmp_path / "b" / "epoch-0001.ckpt"
    arrays = load_arrays(path)
    description = json.loads(arrays[CONFIG].tobytes())
    del description["config"]["compute_dtype"]
    text = json.dumps(description, sort_keys=True).encode()
    save_arrays({**arrays, CONFIG: np.frombuffer(text, "uint8")}, path)
    without_sums(path)
    with pytest.warns(UserWarning, match="holds no checksums"):
        got = trained(tmp_path / "b", 2)
    for a, b in zip(want.get_parameters(), got.get_parameters(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


def test_a_float16_model_reloads_as_float16_and_leaves_it_out_of_neutral_files(tmp_path):
    model, x = deepfm(compute_dtype="float16", seed=2), batch()
    save_model(model, tmp_path / "m.ckpt")
    again = load_model(tmp_path / "m.ckpt")
    assert again.compute_dtype == "float16"
    half = Serving(model, ())(x)["logit"]
    np.testing.assert_array_equal(Serving(again, ())(x)["logit"], half)
    neutral.dump(model, tmp_path / "m.npz")
    single = neutral.load(tmp_path / "m.npz")
    assert single.compute_dtype == "float32"
    gap = np.abs(Serving(single, ())(x)["logit"] - half).max()
    assert 0 < gap < 0.02
    export(tmp_path / "m.ckpt", tmp_path / "m.mindir")
    assert {path.name for path in tmp_path.iterdir()} == {
        "m.ckpt",
        "m.npz",
        "m.mindir",
        "m.mindir.json",
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("feature_ids", -1, r"row 7, field 1: expected an id in \[20, 30\), found -1"),
        ("feature_ids", 31, r"row 7, field 1: expected an id in \[20, 30\), found 31"),
        ("feature_ids", 5, r"row 7, field 1: expected an id in \[20, 30\), found 5"),
        ("feature_values", np.nan, "row 7, field 1: expected a finite float32"),
        ("feature_values", np.inf, "row 7, field 1: expected a finite float32"),
    ],
)
def test_inputs_that_do_not_fit_are_named_and_break_nothing(mode, name, value, message):
    model, x = deepfm(), batch()
    serving = Serving(model, ("hidden",))
    want = serving(x)["probability"]
    bad = {**x, name: x[name].copy()}
    bad[name][7, 1] = value
    for run in (lambda: serving(bad), lambda: model(*tensors(bad))):
        with pytest.raises(ValueError, match=message):
            run()
    np.testing.assert_array_equal(serving(x)["probability"], want)
    np.testing.assert_allclose(model(*tensors(x)).asnumpy()[:, 0], want, atol=1e-6)


def test_one_axis_and_no_rows_are_named(mode):
    model, x = deepfm(), batch()
    flat = {name: array[0] for name, array in x.items()}
    none = {name: array[:0] for name, array in x.items()}
    for bad, message in (
        (flat, r"must have shape \(rows, 3\)"),
        (none, "must have at least one row"),
    ):
        with pytest.raises(ValueError, match="`feature_ids` " + message):
            Serving(model, ())(bad)
    with pytest.raises(ValueError, match=r"`feature_ids` must have shape \(rows, 3\)"):
        model(*tensors(flat))


def test_no_warning_where_all_is_well(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_model(deepfm(), tmp_path / "m.ckpt")
        load_model(tmp_path / "m.ckpt")

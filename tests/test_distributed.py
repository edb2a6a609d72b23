"""Training by several devices or processes equals, to 1e-5, training with the joint batch."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_scripts import prepare, synthetic
from reloop2_keras import PreparedDataset
from reloop2_keras.core.worker_shares import WorkerShares
from reloop2_keras.distributed import torch_ddp
from reloop2_keras.distributed.data_parallel import data_parallel

START = {"torch": "torch.distributed.run"}.get(keras.backend.backend(), "KERAS_BACKEND=torch")
HERE = Path(__file__).parent
ROWS = 647  # of the training period: ten batches of 64, and 7 rows, which two cannot share


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("joint") / "dataset"
    meta = prepare(synthetic(rows=1294, users=30, items=10, seed=5), out, slots=2, progress=False)
    assert meta["periods"]["train"]["rows"] == ROWS
    return out


@settings(max_examples=200, deadline=None)
@given(rows=st.integers(0, 300), size=st.integers(1, 40), workers=st.integers(1, 9))
def test_every_row_has_one_worker_and_the_order_is_that_of_one(rows, size, workers):
    shares = [WorkerShares(rows, size, rank, workers) for rank in range(workers)]
    steps = {len(share) for share in shares}
    assert steps == {-(-rows // (size * workers))}
    order = []
    for index in range(steps.pop()):
        parts = [share.rows_of(index) for share in shares]
        assert all(0 <= stop - start <= shares[0].share(index) <= size for start, stop in parts)
        order += [row for start, stop in parts for row in range(start, stop)]
    assert order == list(range(rows))


@settings(max_examples=40, deadline=None)
@given(
    parts=st.integers(1, 12),
    workers=st.integers(1, 5),
    devices=st.integers(1, 4),
    epoch=st.integers(0, 2),
)
def test_batches_of_all_workers_are_the_joint_batches(folder, parts, workers, devices, epoch):
    dataset, size = PreparedDataset(folder), 8 * parts * devices
    joint = dataset.train(size * workers, seed=3, initial_epoch=epoch)
    shared = [
        dataset.train(
            size, seed=3, initial_epoch=epoch, rank=r, num_workers=workers, multiple_of=devices
        )
        for r in range(workers)
    ]
    assert {len(one) for one in shared} == {len(joint)}
    for index in range(len(joint)):
        x, y = joint[index]
        batches = [one[index] for one in shared]
        if workers == devices == 1:
            assert all(len(batch) == 2 for batch in batches)
            batches = [(*batch, np.ones(len(batch[1]), "float32")) for batch in batches]
        weight = np.concatenate([w for _, _, w in batches])
        # what XLA and an average over workers need: equal shapes, a multiple of the devices
        assert len({len(w) for _, _, w in batches}) == 1 and len(batches[0][2]) % devices == 0
        kept = weight > 0
        for name, column in x.items():
            theirs = np.concatenate([inputs[name] for inputs, _, _ in batches])
            np.testing.assert_array_equal(theirs[kept], column)
            ids = {tuple(row) for row in column}
            assert all(tuple(row) in ids for row in theirs[~kept])  # true rows, of no weight
        np.testing.assert_array_equal(np.concatenate([y for _, y, _ in batches])[kept], y)
        np.testing.assert_allclose(weight[kept], len(weight) / len(y), rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"rank": 2, "num_workers": 2}, "rank"),
        ({"rank": "0", "num_workers": 2}, "rank"),
        ({"rank": -1}, "rank"),
        ({"num_workers": 0}, "num_workers"),
        ({"num_workers": None}, "num_workers"),
        ({"multiple_of": 0}, "multiple_of"),
        ({"multiple_of": 3}, "batch_size"),
        ({"multiple_of": float("nan")}, "multiple_of"),
    ],
)
def test_what_cannot_be_shared_is_named(options, name, folder):
    with pytest.raises(ValueError, match=f"^`{name}` must be "):
        PreparedDataset(folder).train(64, **options)


@contextlib.contextmanager
def started(backend, folder, dropout, processes=1):
    """Processes of `joint_training`; whatever happens, none is left."""
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    words = [sys.executable, str(HERE / "joint_training.py"), str(folder), str(dropout)]
    more = [[f"127.0.0.1:{port}", str(processes), str(n)] for n in range(processes)]
    if processes == 1:
        more = [[]]
    paths = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    runs = []
    try:
        for rest in more:
            run = subprocess.Popen(
                [*words, *rest],
                env=env,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            runs.append(run)
        yield runs
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def told(runs):
    found = []
    for run in runs:
        out, error = run.communicate(timeout=500)
        assert run.returncode == 0, error[-3000:]
        found.append(json.loads(out.strip().splitlines()[-1]))
    return found


@pytest.mark.parametrize("dropout", [0.3, pytest.param(0.0, marks=pytest.mark.slow)])
def test_two_devices_of_jax_train_as_one_with_the_joint_batch(dropout, folder):
    with started("jax", folder, dropout) as runs:
        (found,) = told(runs)
    assert found["steps"] == 11 and found["apart"] < 1e-5, found
    before, sparse, uneven = found["said"]
    assert "set_distribution(data_parallel())` must be called before" in before
    assert "`row_sparse` must be False where training is distributed" in sparse
    assert "`batch_size` must be a multiple of 2, the number of devices" in uneven


@pytest.mark.slow
def test_two_processes_of_jax_train_as_two_devices(folder):
    with started("jax", folder, 0.0, 2) as runs:
        two = told(runs)
    with started("jax", folder, 0.0) as runs:
        (one,) = told(runs)
    assert two[0]["sums"] == two[1]["sums"]
    np.testing.assert_allclose(two[0]["sums"], one["sums"], atol=1e-4)


def test_two_processes_of_pytorch_train_as_one_with_the_joint_batch(folder):
    with started("torch", folder, 0.0, 2) as runs:
        found = told(runs)
    assert found[0]["sums"] == found[1]["sums"]  # the weights are the same in both
    for one in found:
        assert one["steps"] == 11 and one["apart"] < 1e-5, one
        assert "`row_sparse` must be False where training is distributed" in one["said"][0]
        assert "is for JAX alone. Use on torch: `python -m torch.distributed.run" in one["said"][1]


def test_other_backends_than_jax_are_told_what_to_use():
    if keras.backend.backend() == "jax":
        pytest.skip("JAX has it")
    with pytest.raises(ValueError, match="is for JAX alone. Use on ") as caught:
        data_parallel()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "the following arguments are required: DATASET, OUT"),
        ("data out.keras --epochs 0", "--epochs"),
        ("data out.keras --batch-size 1.5", "--batch-size"),
        ("data out.keras --dropout 1", "--dropout"),
        ("data out.keras --learning-rate nan", "--learning-rate"),
        ("data out.keras --epoch 3", "unknown option --epoch; did you mean --epochs?"),
        ("data out.keras", START),
    ],
)
def test_wrong_uses_of_the_command_are_one_line(words, message, capsys, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    try:
        status = torch_ddp.main(words.split())
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2 and message in error and error.count("\n") == 1, error


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_the_command_writes_the_same_model_whatever_the_processes(folder, tmp_path):
    env = {**os.environ, "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    models = []
    for processes in (1, 2, 3):
        out = tmp_path / f"{processes}.keras"
        words = ["--nproc-per-node", str(processes), "--standalone", "-m", torch_ddp.PROGRAM]
        words += [str(folder), str(out), "--batch-size", "66", "--embedding-dim", "4"]
        words += ["--hidden-units", "8", "--epochs", "2"]
        run = subprocess.run(
            [sys.executable, "-m", "torch.distributed.run", *words],
            cwd=HERE.parent,
            env=env,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        sums = {line.split()[-1] for line in run.stdout.splitlines() if "sha256" in line}
        assert len(sums) == 1
        models.append(keras.saving.load_model(out, compile=False).get_weights())
    for other in models[1:]:
        for a, b in zip(models[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)

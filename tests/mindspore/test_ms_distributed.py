"""Two CPU workers under msrun: equal weights, the joint batch's loss, every row once; a death."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mindspore_port.models import load_model
from mindspore_port.models.model_weights import weights

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "mindspore_port" / "scripts"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


def script(name, *arguments, **environment):
    folder = Path(sys.executable).parent  # where msrun is, too
    path = os.pathsep.join([str(folder), os.environ["PATH"]])
    return subprocess.Popen(
        ["bash", str(SCRIPTS / name), *map(str, arguments)],
        env={**os.environ, "PATH": path, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port():
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def flags(small, folder, **more):
    named = {
        "ckpt_path": folder / "ckpt",
        "loss_file_name": folder / "loss.log",
        "eval_file_name": folder / "auc.log",
        **more,
    }
    return [*small[2:], *(w for name, value in named.items() for w in (f"--{name}", value))]


def distributed(small, folder, **more):
    environment = {
        "DEVICE_TARGET": "CPU",
        "LOG_DIR": str(folder / "logs"),
        "MASTER_PORT": free_port(),
    }
    arguments = flags(small, folder, **more)
    return script("run_distribute_train.sh", 2, small[1], *arguments, **environment)


def test_two_workers_are_one_with_the_joint_batch(small, tmp_path):
    two, one = tmp_path / "two", tmp_path / "one"
    process = distributed(small, two, batch_size=256, epochs=2, log_steps=1)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    sums = []
    for rank in (0, 1):
        log = (two / "logs" / f"worker_{rank}.log").read_text()
        sums += re.findall(rf"worker {rank}: weights sha256 (\w{{64}})", log)
    assert len(sums) == 2 and sums[0] == sums[1]
    process = script(
        "run_standalone_train.sh", 0, "CPU", small[1], *flags(small, one, epochs=2, log_steps=1)
    )
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    losses = [
        np.array(re.findall(r"step: \d+/4, loss: ([\d.]+)", (run / "loss.log").read_text()), float)
        for run in (one, two)
    ]
    assert len(losses[0]) == 8
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)
    a, b = (weights(load_model(run / "ckpt" / "base.ckpt")) for run in (one, two))
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=2e-5)
    # every validation row was predicted once, by one of the two
    for run in (one, two):
        assert "validation rows: 400" in (run / "auc.log").read_text()


def test_a_worker_that_dies_ends_the_job_with_its_log_named(small, tmp_path):
    process = distributed(small, tmp_path, batch_size=64, epochs=10_000)
    try:
        log = tmp_path / "logs" / "worker_1.log"
        for _ in range(600):
            found = log.is_file() and re.search(r"of 2: process (\d+)", log.read_text())
            if found and (tmp_path / "loss.log").is_file():
                break
            time.sleep(0.2)
        os.kill(int(found[1]), signal.SIGKILL)
        output = process.communicate(timeout=180)[0]
    finally:
        process.kill()
    assert process.returncode == 1
    assert f"worker process {found[1]} exit with exception" in output.lower()
    assert f"see {log}:" in output


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("run_distribute_train.sh", ["2"], "usage: bash run_distribute_train.sh N DATASET"),
        ("run_distribute_train_gpu.sh", ["two", "."], "N: expected a number of workers, found two"),
        ("run_distribute_train.sh", ["2", "nowhere"], "nowhere: expected a prepared dataset"),
        ("run_standalone_train.sh", [], "usage:"),
        ("run_eval.sh", ["0", "CPU", "nowhere", "x.ckpt"], "nowhere: expected a prepared dataset"),
    ],
)
def test_bad_arguments_of_scripts_are_named(name, arguments, message):
    process = script(name, *arguments)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 2 and message in output


def test_a_missing_rank_table_is_named(folder):
    process = script("run_distribute_train.sh", 2, folder, "table.json")
    assert "table.json: expected a rank table file" in process.communicate(timeout=60)[0]

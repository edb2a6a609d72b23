"""Fixtures of the MindSpore tests: both modes, a small dataset, and processes that find us."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
os.environ.setdefault("GLOG_v", "3")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

ms = pytest.importorskip("mindspore")


@pytest.fixture(autouse=True)
def working_folder(tmp_path_factory, monkeypatch):
    """Let MindSpore leave its `rank_0/` in a folder of the test, not where others work."""
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(params=["graph", "pynative"])
def mode(request):
    """Run a test in both modes; leaves PyNative mode."""
    ms.set_context(mode=ms.GRAPH_MODE if request.param == "graph" else ms.PYNATIVE_MODE)
    yield request.param
    ms.set_context(mode=ms.PYNATIVE_MODE)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A prepared synthetic dataset: 39 fields, 4,000 rows, 3 slots."""
    from data_scripts import prepare, synthetic

    out = tmp_path_factory.mktemp("ms") / "dataset"
    prepare(synthetic(rows=4000, users=50, items=20), out, slots=3)
    return out


NEUTRAL = """
import sys
from reloop2_keras.models import neutral
sys.exit(neutral.main(sys.argv[1:]))
"""


@pytest.fixture(scope="session")
def keras_end(forks):
    """The Keras end of `convert` in a fork: it spares the seconds of an import a file.

    `test_both_ways_with_outputs_compared` does without, and so tests the processes it starts.
    """

    def run(*arguments):
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")  # which is Keras' own choice
        status, said = forks(backend).run(NEUTRAL, *arguments)
        assert status == 0, said[-3000:]
        return said.split()[-1]

    return run


@pytest.fixture
def keras_forks(keras_end, monkeypatch):
    """Let `convert` run its Keras end in forks."""
    monkeypatch.setattr("mindspore_port.convert._keras", keras_end)


@pytest.fixture(scope="session")
def models(forks, tmp_path_factory):
    """What one Keras process (PyTorch) made: models, neutral files, a stream's predictions."""
    from ms_support import run_keras

    out = tmp_path_factory.mktemp("keras")
    run_keras(forks, "torch", Path(__file__).parent / "keras_models.py", out)
    return out


@pytest.fixture(scope="session")
def mindrecord(folder, tmp_path_factory):
    """The same dataset as MindRecord."""
    from mindspore_port.mindrecord import to_mindrecord

    out = tmp_path_factory.mktemp("mr") / "dataset"
    to_mindrecord(folder, out)
    return out


@pytest.fixture(scope="session")
def small(folder):
    """Flags of a small model on the small dataset."""
    return [
        "--dataset_path",
        str(folder),
        "--embedding_dim",
        "4",
        "--hidden_units",
        "[8, 6]",
        "--batch_size",
        "512",
        "--learning_rate",
        "0.01",
        "--embedding_l2",
        "1e-6",
    ]

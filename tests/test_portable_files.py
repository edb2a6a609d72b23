"""Model files: whole or not there, and good for every backend. A process a backend."""

import json
import os
import signal
import zipfile

import numpy as np
import pytest

BACKENDS = ("torch", "jax", "tensorflow")
OLD_MODULE = "keras.src.backend.torch.optimizers.torch_"


ONE_BACKEND = "import runpy; runpy.run_path('one_backend.py', run_name='__main__')"


@pytest.fixture(scope="module")
def written(tmp_path_factory, forks):
    """A folder a backend, written where no other backend can be imported."""
    folder = tmp_path_factory.mktemp("written")
    for backend in BACKENDS:
        (folder / backend).mkdir()
        forks(backend).check(ONE_BACKEND, "write", folder / backend)
    return folder


def config_of(path):
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("config.json"))


def nodes(config):
    """All dicts within a config."""
    if isinstance(config, dict):
        yield config
    for part in config.values() if isinstance(config, dict) else config:
        if isinstance(part, dict | list):
            yield from nodes(part)


def test_files_name_optimizers_and_compilation_alike_on_every_backend(written):
    for path in sorted((written / "torch").glob("*.keras")):
        said = []
        for backend in BACKENDS:
            parts = list(nodes(config_of(written / backend / path.name)))
            said.append(
                [part["module"] for part in parts if "optimizer" in str(part.get("module"))]
            )
            assert said[-1] and all(name.startswith("keras.optimizers") for name in said[-1])
            if path.stem != "functional":  # compiled by plain Keras
                asked = {part["jit_compile"] for part in parts if "jit_compile" in part}
                assert asked == {"auto"}
        assert said[0] == said[1] == said[2]


def in_the_form_of_earlier_versions(source, target):
    """Copy a model file, its optimizers named as Keras on PyTorch names them."""
    config = config_of(source)
    named = [part for part in nodes(config) if part.get("module") == "keras.optimizers"]
    assert named
    for part in named:
        kind = part["class_name"]
        part.update(module=OLD_MODULE + kind.lower(), registered_name=kind)
    with zipfile.ZipFile(source) as file, zipfile.ZipFile(target, "w") as copy:
        for entry in file.namelist():
            copy.writestr(entry, json.dumps(config) if entry == "config.json" else file.read(entry))
    os.link(source.with_suffix(".npz"), target.with_suffix(".npz"))


@pytest.mark.parametrize("reader", BACKENDS)
def test_a_model_trains_on_where_one_other_backend_is_installed(written, reader, forks, tmp_path):
    if reader != "torch":
        for name in ("base", "wrapped", "functional"):
            source = written / "torch" / f"{name}.keras"
            in_the_form_of_earlier_versions(source, tmp_path / source.name)
    others = [written / writer for writer in BACKENDS if writer != reader]
    forks(reader).check(ONE_BACKEND, "read", *others, tmp_path)


DUMP = """
import sys
sys.argv[0] = "neutral"
from reloop2_keras.models import neutral
sys.exit(neutral.main(sys.argv[1:]))
"""


def test_neutral_dump_takes_files_of_torch_where_torch_is_missing(written, forks, tmp_path):
    for name in ("base", "wrapped"):
        out = tmp_path / f"{name}.npz"
        forks("jax").check(DUMP, "dump", written / "torch" / f"{name}.keras", out)
        with np.load(out) as file:
            assert sum("embeddings" in name for name in file) == 2


KILLED = """
import os, resource, shutil, signal, sys
import keras
import numpy as np
from reloop2_keras import DeepFM, ReLoop2, SketchErrorMemory

path, share = sys.argv[1], sys.argv[2]
keras.utils.set_random_seed(1)
base = DeepFM([4000, 10], 8, (8, 6))
base.compile("adam", "binary_crossentropy")
ids = np.array([[1, 4001]] * 8, "int32")
x = {"feature_ids": ids, "feature_values": np.ones((8, 2), "float32")}
base.train_on_batch(x, np.ones(8))
model = ReLoop2(base, SketchErrorMemory(8, 8))
model.observe(x, np.ones(8))
write = model.save if path.endswith(".keras") else model.save_weights
write(path)
shutil.copy(path, path + ".old")
model.observe(x, np.zeros(8))
if share == "rename":
    os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
else:  # the kernel kills a process that writes a file beyond its limit
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    limit = int(float(share) * os.path.getsize(path))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
write(path)
"""


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("model.keras", ".01"),
        ("model.keras", ".6"),
        ("model.keras", "rename"),
        ("model.weights.h5", ".5"),
        ("model.weights.h5", "rename"),
    ],
)
def test_a_save_that_is_killed_leaves_the_old_file(name, share, forks, tmp_path):
    path, old = tmp_path / name, tmp_path / f"{name}.old"
    status, error = forks("torch").run(KILLED, path, share)  # which compiles nothing first
    killed_by = signal.SIGKILL if share == "rename" else signal.SIGXFSZ
    assert status == -killed_by, error[-3000:]
    assert path.read_bytes() == old.read_bytes()

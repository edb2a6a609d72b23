"""Where Keras' backend is not installed: one line, and what needs no Keras still works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def python(code, hidden, home, backend=None):
    environment = {**os.environ, "HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("KERAS_BACKEND", None)
    environment.pop("KERAS_HOME", None)
    if backend is not None:
        environment["KERAS_BACKEND"] = backend
    code = f"import absent; absent.hide(*{hidden!r}); {code}"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=HERE)


def config(home, backend):
    (home / ".keras").mkdir()
    (home / ".keras" / "keras.json").write_text(json.dumps({"backend": backend}))


IMPORTS = [
    "from reloop2_keras import DeepFM",
    "import reloop2_keras; reloop2_keras.PreparedDataset",
    "from reloop2_keras.models import train_base",
    "from reloop2_keras.streaming import auc",
    "import runpy; runpy.run_module('reloop2_keras.models.neutral', run_name='__main__')",
]


@pytest.mark.parametrize("code", IMPORTS)
def test_one_line_names_the_installed_backends(code, tmp_path):
    done = python(code, ("tensorflow", "jax"), tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1
    assert last.startswith("ImportError: the Keras backend 'tensorflow' (Keras' default")
    assert "installed here: torch." in last and "KERAS_BACKEND=torch python" in last
    assert "site-packages" not in done.stderr  # nothing of Keras' own traceback


def test_the_command_that_is_told_can_be_typed(tmp_path):
    code = "import sys; sys.argv = ['reloop2_keras/__main__.py', 'compare', 'a b', 'c']; "
    code += "from reloop2_keras.core.keras_backend import require_backend; require_backend()"
    done = python(code, ("tensorflow", "jax"), tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("KERAS_BACKEND=torch python -m reloop2_keras compare 'a b' c")


@pytest.mark.parametrize(
    ("hidden", "backend", "written", "expected"),
    [
        (("jax",), "jax", None, ["'jax' (by KERAS_BACKEND) is not installed", "tensorflow, torch"]),
        (
            (),
            "pytorch",
            None,
            ["'pytorch' (by KERAS_BACKEND) is none of", "tensorflow, jax, torch"],
        ),
        (("torch",), None, "torch", ["keras.json) is not installed", "tensorflow, jax"]),
        (("tensorflow", "jax", "torch"), None, None, ["none is installed here"]),
    ],
)
def test_who_chose_is_named(hidden, backend, written, expected, tmp_path):
    if written:
        config(tmp_path, written)
    done = python(IMPORTS[0], hidden, tmp_path, backend)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and all(part in last for part in expected), last


def test_an_installed_backend_is_taken_and_core_asks_for_none(tmp_path):
    config(tmp_path, "jax")
    show = "import keras; assert keras.backend.backend() == 'jax'"
    done = python(f"{IMPORTS[0]}; {show}", ("tensorflow", "torch"), tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    core = "import reloop2_keras.core.files, data_scripts"
    done = python(core, ("tensorflow", "jax", "torch"), tmp_path, "jax")
    assert done.returncode == 0, done.stderr[-2000:]

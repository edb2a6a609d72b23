"""Importing the port beside what MindSpore itself would import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("first", ["mindspore_port", "mindspore_port.convert"])
def test_triton_is_not_loaded_after_other_frameworks(first, tmp_path):
    """Loading Triton's library after JAX or TensorFlow has worked ends a process."""
    (tmp_path / "triton.py").write_text("import os\nos.abort()\n")
    code = f"import sys, {first}; assert 'triton' not in sys.modules, sys.modules['triton']"
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()[-500:]
    code = "import mindspore"  # it would be loaded by MindSpore alone: the test can fail
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert ran.returncode != 0


def test_triton_that_is_loaded_stays(tmp_path):
    jit = "type_canonicalisation_dict = {}\n"
    (tmp_path / "triton" / "runtime").mkdir(parents=True)
    (tmp_path / "triton" / "__init__.py").write_text("from triton import runtime\n")
    (tmp_path / "triton" / "runtime" / "__init__.py").write_text("from triton.runtime import jit\n")
    (tmp_path / "triton" / "runtime" / "jit.py").write_text(jit)
    code = "import sys, triton, mindspore_port; assert sys.modules['triton'] is triton"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert ran.returncode == 0, ran.stderr.decode()[-500:]

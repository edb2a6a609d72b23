"""make finds a Python for every environment that it makes, or says which one it needs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = (
    "Makefile",
    "pyproject.toml",
    "constraints.txt",
    "benchmarks/peers.txt",
    "benchmarks/peers-river.txt",
)

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def folder(tmp_path):
    """A folder where no environment stands yet."""
    for file in FILES:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def told(folder, *words, **variables):
    """What `make` would run."""
    surroundings = {
        key: value for key, value in os.environ.items() if key not in ("PYTHON", "MAKEFLAGS")
    }
    done = subprocess.run(
        ["make", "-n", *words],
        cwd=folder,
        env=surroundings | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("variables", [{}, {"PYTHON": ""}], ids=["not set", "empty"])
@pytest.mark.parametrize("target", ["docs", "demo", "test", "bench", "lab", "tables"])
def test_an_environment_is_made_by_a_python_that_was_found(folder, target, variables):
    makers = re.findall(r"^'(.*)' -m venv ", told(folder, target, **variables), re.M)
    assert makers
    assert all(Path(maker).name.startswith("python3") for maker in makers), makers


def test_a_python_that_is_named_is_taken_and_not_handed_on(folder):
    (folder / "probe.mk").write_text('include Makefile\nprobe:\n\t@echo "[$$PYTHON] $(PYTHON)"\n')
    done = subprocess.run(
        ["make", "-s", "-f", "probe.mk", "probe", "PYTHON=/some/python3.11"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[] /some/python3.11"


def test_another_python_is_refused_in_one_line(folder):
    (folder / "python").write_text("#!/bin/sh\nexit 1\n")
    (folder / "python").chmod(0o755)
    for target in ("docs", ".venv-river/.ready", "demo"):
        done = subprocess.run(
            ["make", target, f"PYTHON={folder}/python"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode != 0
        assert "Python 3.11 is needed" in done.stdout, done.stdout + done.stderr

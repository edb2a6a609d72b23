"""What is built from this tree works alone: sdist, wheel from it, and a study from the wheel."""

import csv
import importlib.util
import json
import os
import random
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from reloop2_keras.core import __version__

ROOT = Path(__file__).parents[1]
SITE = Path(sysconfig.get_path("purelib"))
PACKAGES = ("data_scripts", "mindspore_port", "reloop2_keras")
LEFT_BEHIND = (
    "runs/demo/metrics.json",
    "shared/data/ratings.dat",
    "notebooks/.ipynb_checkpoints/00_tour-checkpoint.ipynb",
    "reloop2_keras/.ipynb_checkpoints/data-checkpoint.py",
    "reloop2_keras/core/__pycache__/text.cpython-311.pyc",
    "mindspore_port/rank_0/om/analyze_fail.ir",
    ".venv/bin/activate",
    "reloop2_keras/.hypothesis/examples/0",
)
BUILD = "import setuptools.build_meta as b; print(b.{what}({folder!r}))"


def run(*command, cwd, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PIP_CONSTRAINT")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=kept | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist of this tree, and the wheel that is built from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).split("\n")
    for name in filter(None, listed):  # a copy: a build leaves folders behind
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "tree" / name).write_bytes((ROOT / name).read_bytes())
    for name in LEFT_BEHIND:  # what a tree has after some use, and what git does not know
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tree" / name).write_text("left behind\n")
    code = BUILD.format(what="build_sdist", folder=str(folder))
    run(sys.executable, "-c", code, cwd=folder / "tree")
    sdist = folder / f"reloop2-{__version__}.tar.gz"
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked")  # our own; 3.11.2 has no `filter`
    code = BUILD.format(what="build_wheel", folder=str(folder))
    run(sys.executable, "-c", code, cwd=folder / "unpacked" / f"reloop2-{__version__}")
    return sdist, folder / f"reloop2-{__version__}-py3-none-any.whl"


@pytest.fixture(scope="module")
def alone(built, tmp_path_factory):
    """Python of an environment that has the wheel, and of us nothing else.

    What the wheel depends on is that of this environment, through a .pth file: it takes gigabytes.
    An editable install of ours is a .pth file itself, which is not followed from there.
    """
    folder = tmp_path_factory.mktemp("alone") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    into = Path(
        run(python, "-c", "import sysconfig as s; print(s.get_path('purelib'))", cwd=folder).strip()
    )
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", into)
    run(sys.executable, *install, built[1], cwd=folder)
    (into / "what_it_depends_on.pth").write_text(f"{SITE}\n")
    return python


def test_the_sdist_and_the_wheel_hold_the_packages_and_nothing_else(built):
    """No tests: they need the repository. All of the code, and nothing that was left behind."""
    listed = run("git", "ls-files", "-co", "--exclude-standard", *PACKAGES, cwd=ROOT).split("\n")
    kinds = (".py", ".typed", ".yaml", ".sh")
    code = {name for name in listed if name.endswith(kinds) and (ROOT / name).is_file()}
    with tarfile.open(built[0]) as archive:
        names = [member.name.split("/", 1)[1] for member in archive if member.isfile()]
    about = {name for name in names if not name.startswith("reloop2.egg-info/")} - code
    told = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md", "pyproject.toml", "setup.cfg"}
    assert about == told and code <= set(names)
    with zipfile.ZipFile(built[1]) as archive:
        names = archive.namelist()
    assert {name for name in names if ".dist-info/" not in name} == code


def test_the_wheel_holds_the_packages_and_their_files(alone, tmp_path):
    code = (
        "import data_scripts, mindspore_port as m, reloop2_keras, importlib.resources as r\n"
        "print(reloop2_keras.__version__, m.__version__, data_scripts.__file__)\n"
        "assert (r.files('mindspore_port') / 'default_config.yaml').is_file()\n"
        "assert (r.files('mindspore_port') / 'scripts' / 'run_eval.sh').is_file()\n"
        "assert all((r.files(p) / 'py.typed').is_file() for p in ('reloop2_keras', 'data_scripts'))"
    )
    if importlib.util.find_spec("mindspore") is None:
        code = code.replace(", mindspore_port as m", "").replace("m.__v", "reloop2_keras.__v")
    version, again, file = run(alone, "-c", code, cwd=tmp_path).split()
    assert version == again == __version__
    assert alone.parents[1] in Path(file).parents


PREPARE = "table log.csv dataset --label clicked --time time --categorical user,item --slots 4"


def write_log(path):
    """2,000 rows of 20 users, of whom every other one clicks four times as often."""
    rows = random.Random(1)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "user", "item", "clicked"])
        for i in range(2000):
            user = rows.randrange(20)
            label = int(rows.random() < 0.2 + 0.6 * (user % 2))
            writer.writerow([1_700_000_000 + 60 * i, user, f"i{rows.randrange(9)}", label])


def test_the_wheel_alone_compares(alone, tmp_path):
    backends = [b for b in ("torch", "jax", "tensorflow") if importlib.util.find_spec(b)]
    if not backends:
        pytest.skip("no backend of Keras is installed")
    write_log(tmp_path / "log.csv")
    run(alone, "-m", "data_scripts", *PREPARE.split(), cwd=tmp_path)
    options = "--arms frozen recalibrated online --no-search --max-epochs 1 --quiet".split()
    command = ("-m", "reloop2_keras", "compare", "dataset", "out", *options)
    told = run(alone, *command, cwd=tmp_path, KERAS_BACKEND=backends[0])
    assert re.search(r"^online +0\.\d+", told, re.M)
    arms = json.loads((tmp_path / "out" / "metrics.json").read_text())["arms"]
    assert arms["online"]["auc"] > 0.7
    assert (tmp_path / "out" / "model" / "model.json").is_file()


@pytest.mark.slow
def test_pip_installs_the_wheel_with_its_extras_in_an_empty_environment(built, tmp_path):
    """Nothing is borrowed: gigabytes, and minutes. All arms, and the shipped model predicts."""
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c")
    wheel = f"{built[1]}[torch,rivals,serve,onnx,notebooks]"
    run(python, *install, ROOT / "constraints.txt", wheel, cwd=tmp_path)
    assert "No broken requirements found" in run(python, "-m", "pip", "check", cwd=tmp_path)
    write_log(tmp_path / "log.csv")
    run(python, "-m", "data_scripts", *PREPARE.split(), cwd=tmp_path)
    options = "--no-search --max-epochs 1 --quiet".split()
    command = ("-m", "reloop2_keras", "compare", "dataset", "out", *options)
    told = run(python, *command, cwd=tmp_path, KERAS_BACKEND="torch")
    assert "shipped: out/model" in told and told.splitlines()[-1][:8] in ("deploy: ", "not know")
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {"online", "vw", "vw+base", "adpredictor", "frozen linear"} <= set(content["arms"])
    assert content["versions"]["reloop2"] == __version__
    assert 'id="items"' in (tmp_path / "out" / "report.html").read_text()  # with its figures
    predict = ("-m", "reloop2_keras", "predict", "out/model", "log.csv", "scores.csv")
    run(python, *predict, cwd=tmp_path)
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 2001


def test_the_metadata(built):
    with tarfile.open(built[0]) as archive:
        member = archive.extractfile(f"reloop2-{__version__}/PKG-INFO")
        told = member.read().decode().split("\n\n")[0]
    for line in (f"Version: {__version__}", "License-Expression: MIT", "Requires-Python: >=3.11"):
        assert line in told.splitlines()
    for field in ("Author:", "Summary:", "Keywords:", "Classifier:"):
        assert field in told
    # where this code lies nobody has said: an address that is made up must not come in
    urls = [line for line in told.splitlines() if "://" in line]
    assert urls == ["Project-URL: Paper, https://arxiv.org/abs/2306.08808"]


def test_the_version_stands_in_one_place():
    named = re.compile(rf"""version\w*\s*[=:]\s*["']?{re.escape(__version__)}""", re.I)
    files = [ROOT / "pyproject.toml"]
    for package in ("data_scripts", "mindspore_port", "reloop2_keras"):
        files += (ROOT / package).rglob("*.py")
    found = [str(file.relative_to(ROOT)) for file in files if named.search(file.read_text())]
    assert found == ["reloop2_keras/core/__init__.py"]
    # a citation must name the version by itself; it is the one there is
    assert f"version: {__version__}\n" in (ROOT / "docs" / "CITATION.cff").read_text()

"""One environment, told in three files; and nothing of this machine in any file."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
USERS = "keras tensorflow-cpu torch jax numpy pandas jupyterlab papermill mindspore".split()


def name(requirement):
    return re.split(r"[\s<>=!~\[;]", requirement.strip())[0].lower().replace("_", "-")


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in lines), lines
    return {name(line) for line in lines}


def environment():
    parts = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(part["pip"] for part in parts if isinstance(part, dict))
    return {name(line) for line in pip if not line.startswith("-")}, pip


def project():
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = content["optional-dependencies"]
    named = {name(r) for r in [*content["dependencies"], *sum(extras.values(), [])]}
    return named - {"reloop2"}, extras  # an extra may bring another one of ours


def test_the_three_files_agree():
    in_environment, pip = environment()
    in_project, extras = project()
    assert in_environment == in_project
    assert in_project <= pins()
    assert set(USERS) <= in_environment
    assert "-c constraints.txt" in pip and "-e ." in pip
    frameworks, light = (
        {"tensorflow", "jax", "torch", "mindspore"},
        {"fast", "serve", "onnx", "scale"},
    )
    assert set(extras) == {"study", "notebooks", "rivals", "dev", "docs"} | frameworks | light


def brought(extra, extras):
    """Names of all that an extra installs, other extras of ours followed."""
    found = set()
    for requirement in extras[extra]:
        if requirement.startswith("reloop2["):
            for other in requirement.removeprefix("reloop2[").removesuffix("]").split(","):
                found |= brought(other, extras)
        else:
            found.add(name(requirement))
    return found


def test_what_installs_all_and_what_a_server_is_spared():
    _, extras = project()
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = {name(requirement) for requirement in content["dependencies"]}
    study = {"keras", "numba", "pandas", "polars", "matplotlib", "bokeh"}
    # the README's and Makefile's commands name one of these, which must go on bringing everything
    for extra in ("tensorflow", "jax", "torch", "mindspore", "notebooks", "rivals", "scale", "dev"):
        assert study <= brought(extra, extras), extra
    light = base | brought("serve", extras)
    assert {"numpy", "pyarrow", "onnxruntime"} <= light
    assert not light & {*study, "onnx", "scipy", "scikit-learn", "torch", "jax", "tensorflow-cpu"}


def hashed():
    """Name -> (version, hashes) of constraints-hashes.txt."""
    text = (ROOT / "constraints-hashes.txt").read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line[0]), line[0]
        hashes = [part for part in line[1:] if part.startswith("--hash=")]
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), line
    return {name(line[0]): line[0].split("==")[1] for line in lines}


def test_what_a_service_installs_has_pins_with_hashes():
    found, (_, extras) = hashed(), project()
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    versions = {name(line): line.split("==")[1] for line in lines if "==" in line}
    assert found.items() <= versions.items()
    content = tomllib.loads((ROOT / "pyproject.toml").read_text())
    base = {name(r) for r in content["project"]["dependencies"]}
    build = {name(r) for r in content["build-system"]["requires"]}
    assert base | build | brought("serve", extras) | brought("fast", extras) <= set(found)
    assert not found.keys() & {"torch", "jax", "tensorflow-cpu", "mindspore", "keras"}


@pytest.mark.parametrize(
    ("hidden", "code", "said"),
    [
        ("keras", "from reloop2_keras import DeepFM", "pip install 'reloop2[torch]'"),
        ("polars", "import data_scripts", "pip install 'reloop2[study]'"),
    ],
)
def test_what_a_light_installation_lacks_is_told_in_one_line(hidden, code, said):
    before = f"import sys; sys.path.insert(0, 'tests'); import absent; absent.hide({hidden!r})"
    command = [sys.executable, "-c", f"{before}; {code}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and said in last


def test_every_line_of_the_environment_says_why():
    lines = (ROOT / "environment.yml").read_text().splitlines()
    start = lines.index("dependencies:")
    bare = [line for line in lines[start + 1 :] if "#" not in line and line.strip() != "- pip:"]
    assert bare == []


def test_no_host_and_no_path_of_a_machine():
    hosts = "|".join(
        [
            "py" + r"pi\.org",
            "pythonhosted" + r"\.org",
            "npm" + r"js\.(org|com)",
            "conda" + r"\.anaconda\.org",
        ]
    )
    paths = r"(?<![\w.])/(" + "|".join(["work", "root", "home"]) + r")/\w"
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = listed.stdout.split()
    assert "pyproject.toml" in names
    found = []
    for file in names:
        text = (ROOT / file).read_text(encoding="utf-8", errors="replace")
        if file != "tests/test_packaging.py" and (m := re.search(f"{hosts}|{paths}", text)):
            found.append((file, m[0]))
    assert found == []


def test_makefile_has_the_targets():
    text = (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "lab", "bench", "notebooks", "lint", "docs"):
        assert re.search(rf"^{target}:.*##", text, re.M), target
    ci = ROOT / ".ci" / "run"
    assert "make test" in ci.read_text() and "set -euo pipefail" in ci.read_text()

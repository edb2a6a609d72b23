"""One environment, told in three files; and nothing of this machine in any file."""

import re
import subprocess
import tomllib
from pathlib import Path

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
    return {name(r) for r in [*content["dependencies"], *sum(extras.values(), [])]}, extras


def test_the_three_files_agree():
    in_environment, pip = environment()
    in_project, extras = project()
    assert in_environment == in_project
    assert in_project <= pins()
    assert set(USERS) <= in_environment
    assert "-c constraints.txt" in pip and "-e ." in pip
    assert set(extras) == {"tensorflow", "jax", "torch", "mindspore", "notebooks", "rivals", "dev"}


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
    for target in ("demo", "test", "lab", "bench", "notebooks", "lint"):
        assert re.search(rf"^{target}:.*##", text, re.M), target
    ci = ROOT / ".ci" / "run"
    assert "make test" in ci.read_text() and "set -euo pipefail" in ci.read_text()

"""Preparation in other processes: hash seeds, threads and chunks change no byte of a dataset."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from repeated_studies import threads

ROOT = Path(__file__).parents[1]
# a hundred values a field, so that some order of a set or a dict would show
MAKE = r"""
import hashlib, json, random, sys
from pathlib import Path
from data_scripts import criteo, prepare, synthetic, table
from data_scripts.sources.synthetic_log import write_raw_tsv

folder, chunk = Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(5)
lines = ["clicked,time,user,tags,price"]
for i in range(1500):
    user, tag = draw.randrange(90), draw.choice(["é", "a b", "A", ""]) + str(draw.randrange(30))
    lines.append(f"{draw.randrange(2)},{1000 + i},u{user},{tag},{draw.choice(['', draw.random()])}")
folder.mkdir()
(folder / "log.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
names = {"time": "time", "categorical": ["user", "tags"], "numeric": ["price"], "group": "user"}
made = synthetic(rows=2000, seed=4, users=80, items=40)
write_raw_tsv(made, folder / "log.tsv")
sources = {
    "synthetic": made,
    "criteo": criteo(folder / "log.tsv"),
    "table": table(folder / "log.csv", "clicked", **names),
}
for name, source in sources.items():
    prepare(source, folder / name, slots=4, progress=False, chunk_rows=chunk)
files = [p for name in sources for p in sorted((folder / name).rglob("*")) if p.is_file()]
told = {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
print(json.dumps(told))
"""


def made(folder, chunk, **variables):
    """SHA-256 of each file of three datasets that a fresh process prepares."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-c", MAKE, "log", str(chunk)]
    folder.mkdir()  # the same relative path for all, since a dataset may tell where its log was
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    folder = tmp_path_factory.mktemp("first") / "x"
    return made(folder, 65_536, PYTHONHASHSEED="0", **threads(1))


@pytest.mark.parametrize(
    ("chunk", "seed", "count"),
    [
        (500, "7", 2),
        pytest.param(1000, "random", 4, marks=pytest.mark.slow),
        pytest.param(65_536, "1", 3, marks=pytest.mark.slow),
    ],
)
def test_the_same_bytes(first, tmp_path, chunk, seed, count):
    again = made(tmp_path / "x", chunk, PYTHONHASHSEED=seed, **threads(count))
    assert again == first
    assert len(first) > 20

"""A preparation on Ray whose own process is killed: the same command goes on, workers are gone."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from prepared_files import same_files

from data_scripts import prepare, synthetic, table
from data_scripts.sources.synthetic_log import write_raw_tsv

pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
CODE = """
import os, signal, sys
sys.path.insert(0, sys.argv.pop(1))
dies = int(sys.argv.pop(1))
from data_scripts import ray_folder, ray_preparation, ray_rows
from data_scripts.__main__ import main
ray_rows.PART, ray_preparation.TASK_ROWS = 20_000, 150
put, done = ray_folder.WorkFolder.put, []
def put_and_die(self, stage, number, *rest):
    put(self, stage, number, *rest)
    done.append(stage)
    if done.count("write") == dies:
        os.kill(os.getpid(), signal.SIGKILL)
ray_folder.WorkFolder.put = put_and_die
status = main(sys.argv[1:])
print("tasks:", *sorted(set(done)))
sys.exit(status)
"""


def run(place, dies, words):
    command = [sys.executable, "-c", CODE, str(ROOT), str(dies), *map(str, words)]
    env = {**os.environ, "TMPDIR": str(place)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=500)


def processes(place):
    """Processes that Ray started with a folder in `place`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [entry.parent.name] * (str(place).encode() in entry.read_bytes())
        except OSError:
            continue
    return found


def test_a_killed_run_is_gone_on_with_and_no_worker_outlives_it(tmp_path):
    write_raw_tsv(synthetic(900, users=30, items=9), tmp_path / "log.tsv")
    lines = (tmp_path / "log.tsv").read_text()
    names = ["label", *[f"n{i}" for i in range(13)], *[f"c{i}" for i in range(26)]]
    (tmp_path / "log.tsv").write_text("\t".join(names) + "\n" + lines)
    source = table(tmp_path / "log.tsv", "label", categorical=names[14:], numeric=names[1:14])
    prepare(source, tmp_path / "alone", slots=3, progress=False)
    words = ["table", tmp_path / "log.tsv", tmp_path / "ray", "--label", "label"]
    words += ["--categorical", ",".join(names[14:]), "--numeric", ",".join(names[1:14])]
    words += ["--slots", "3", "--engine", "ray", "--workers", "2"]
    place = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    try:
        killed = run(place, 1, words)
        assert killed.returncode == -9, killed.stderr
        assert (tmp_path / ".ray.parts").is_dir() and not (tmp_path / "ray").exists()
        for _ in range(300):
            if not processes(place):
                break
            time.sleep(0.1)
        assert not processes(place)
        again = run(place, 0, words)
        assert again.returncode == 0, again.stderr
        assert "tasks: write\n" in again.stdout
        same_files(tmp_path / "alone", tmp_path / "ray")
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
        assert not processes(place)
    finally:
        shutil.rmtree(place, ignore_errors=True)

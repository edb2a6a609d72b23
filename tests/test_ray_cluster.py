"""Commands on a cluster of two nodes (`ray start`): the bytes of one process, whoever dies."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from prepared_files import same_files
from ray_commands import PREPARATION, STUDY, Noted
from ray_nodes import ROOT, Nodes, can_cover, covered_package
from test_ray_studies import without_times

from data_scripts import criteo, prepare, synthetic, table

pytest.importorskip("ray", reason="Ray is not installed (the extra `scale`)")
pytestmark = pytest.mark.slow
CRITEO = ["--dense-dim", "2", "--slot-dim", "4"]
TABLE = ["--label", "clicked", "--time", "at", "--categorical", "user,item", "--numeric", "price"]


@pytest.fixture(scope="module")
def head():
    with Nodes() as made:
        yield made


@pytest.fixture
def cluster(head):
    """The head and a second node, which the test may kill: `cluster.second`."""
    if not getattr(head, "second", None) or head.second.poll() is not None:
        head.second = head.add()
    return head


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A log of Criteo's format and a table, and what one process makes of them."""
    folder, rng = tmp_path_factory.mktemp("logs"), np.random.default_rng(3)
    lines, cells = [], ["clicked,at,user,item,price"]
    for i in range(3000):
        words = [f"{rng.integers(0, 90):08x}" for _ in range(4)]
        lines.append("\t".join([str(i % 2), str(rng.integers(-1, 99)), "", *words]))
        user, item = rng.integers(0, 90), rng.choice(["7.0", "", f"i{rng.integers(0, 9)}"])
        cells.append(f"{rng.integers(0, 2)},{1_700_000_000 + i},u{user},{item},{rng.normal():.3f}")
    (folder / "train.txt").write_text("\n".join(lines))
    (folder / "log.csv").write_text("\n".join(cells) + "\n")
    how = {"time": "at", "categorical": ["user", "item"], "numeric": ["price"]}
    made = {"slots": 4, "progress": False}
    prepare(criteo(folder / "train.txt", 2, 4), folder / "criteo", **made)
    prepare(table(folder / "log.csv", "clicked", **how), folder / "table", bins=8, **made)
    return folder


def words_of(source, logs, output):
    given = {"criteo": ["criteo", logs / "train.txt", output, *CRITEO]}
    given["table"] = ["table", logs / "log.csv", output, *TABLE, "--bins", "8"]
    return [*given[source], "--slots", "4", "--engine", "ray"]


def clean(folder):
    return not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("source", ["criteo", "table"])
def test_preparation_on_two_nodes_is_that_of_one_process(source, killed, cluster, logs, tmp_path):
    words = [*words_of(source, logs, tmp_path / "out"), "--address", cluster.address]
    with Noted(PREPARATION, words, tmp_path, cluster.env, pause=0.2, nodes=2) as run:
        run.on_both()
        if killed:
            assert run.run.poll() is None
            cluster.kill(cluster.second)
        status, said = run.end()
        assert status == 0, said
        assert killed or "Traceback" not in said
        assert len(run.begun()) == 2 and run.at_once() == 2
    same_files(logs / source, tmp_path / "out")
    assert clean(tmp_path)


def test_one_worker_is_one_task_at_a_time_and_ray_address_is_taken(cluster, logs, tmp_path):
    env = {**cluster.env, "RAY_ADDRESS": cluster.address}
    words = [*words_of("table", logs, tmp_path / "out"), "--workers", "1"]
    with Noted(PREPARATION, words, tmp_path, env, pause=0.02) as run:
        status, said = run.end()
        assert status == 0, said
        assert run.at_once() == 1
    same_files(logs / "table", tmp_path / "out")


def test_two_commands_at_once_from_another_folder_by_relative_paths(cluster, logs, tmp_path):
    place = tmp_path / "elsewhere"
    shutil.copytree(logs, place)
    env = {name: value for name, value in cluster.env.items() if name != "PYTHONPATH"}
    given = {"folder": tmp_path, "env": {**env, "PYTHONPATH": "nowhere"}, "cwd": place}
    runs = []
    for source in ("criteo", "table"):
        path = {"criteo": "train.txt", "table": "log.csv"}[source]
        words = words_of(source, logs, "out-" + source)
        words[1] = path
        runs.append(Noted(PREPARATION, [*words, "--address", cluster.address], **given))
    with runs[0], runs[1]:
        for run in runs:
            status, said = run.end()
            assert status == 0, said
    for source in ("criteo", "table"):
        same_files(logs / source, place / f"out-{source}")
    assert clean(place)


@pytest.fixture
def dataset(tmp_path):
    prepare(synthetic(2000, users=30, items=9), tmp_path / "data", slots=3, progress=False)
    return tmp_path / "data"


def test_studies_on_two_nodes_are_those_of_one_process_and_a_killed_node_costs_none(
    cluster, dataset, tmp_path
):
    words = ["--arms", "frozen", "feature", "online", "--no-search", "--quiet", "--seeds", "3"]
    words += ["--max-epochs", "1", "--validation-slots", "3"]
    env = {**cluster.env, "OMP_NUM_THREADS": "1"}

    def compare(out, *more, node=None):
        given = ["compare", dataset, tmp_path / out, *words, *more]
        with Noted(STUDY, given, tmp_path, env, nodes=2 if more else 1) as run:
            if node is not None:
                run.on_both(1)
                assert run.run.poll() is None
                cluster.kill(node)
            status, said = run.end(500)
            assert status == 0, said
            assert not more or len(run.begun()) == 2
        assert clean(tmp_path / out)
        return without_times(json.loads((tmp_path / out / "metrics.json").read_text()))

    alone, there = compare("alone"), ("--engine", "ray", "--address", cluster.address)
    assert compare("both", *there) == alone
    assert compare("killed", *there, node=cluster.second) == alone


def test_a_head_that_goes_away_ends_a_command_which_is_gone_on_with(logs, tmp_path):
    words = words_of("criteo", logs, tmp_path / "out")
    with Nodes() as nodes:
        nodes.add()
        given = [*words, "--address", nodes.address]
        with Noted(PREPARATION, given, tmp_path, nodes.env, pause=0.2, nodes=2) as run:
            run.on_both()
            nodes.kill(nodes.head)
            status, said = run.end(90)
        last = said.strip().splitlines()[-1]
        assert status == 2 and last.startswith("data_scripts: the Ray cluster at "), said
        assert last.endswith("has gone: its head answers no more") and "Traceback" not in said
    assert (tmp_path / ".out.parts").is_dir() and not (tmp_path / "out").exists()
    with Noted(PREPARATION, words, tmp_path, os.environ) as again:
        status, said = again.end()
        assert status == 0, said
        second = sum(again.begun().values())
    with Noted(PREPARATION, [*words, "--overwrite"], tmp_path, os.environ) as whole:
        assert whole.end()[0] == 0
        assert second < sum(whole.begun().values())
    same_files(logs / "criteo", tmp_path / "out")
    assert clean(tmp_path)


LOOP = """
import numpy as np
import ray
from reloop2_keras.core.online import Online
from reloop2_keras.distributed.merging import Worker

rng, seen, init = np.random.default_rng(5), set(), ray.init
probe = rng.integers(0, 50, (64, 3)).astype("int32")
def drawn():
    return rng.integers(0, 50, (40, 3)).astype("int32"), rng.integers(0, 2, 40)
rounds = [[drawn() for _ in range(16)] for _ in range(4)]
left, online, alone = list(rounds), Online(3), [Worker(Online(3)) for _ in range(16)]
def next_rows():
    return left.pop(0) if left else []
ray.init = lambda address: init(address=address, log_to_driver=False)
{printed}
for rows in rounds:
    for worker, part in zip(alone, rows):
        worker.learn(*part)
    parts = [worker.delta() for worker in alone]
    for worker in alone:
        worker.take(parts)
expected = alone[0].learn(probe, np.ones(64))
for found in ray.get([w.learn.remote(probe, np.ones(64)) for w in workers]):
    assert np.array_equal(found, expected)
states = ray._private.state.actors().values()
print(len({{state["Address"]["NodeID"] for state in states if state["State"] == "ALIVE"}}))
"""


def test_workers_that_merge_as_the_page_prints_it(cluster, tmp_path):
    page = (ROOT / "docs" / "scale.md").read_text()
    (printed,) = [part for part in page.split("```") if 'ray.init(address="auto")' in part]
    code = LOOP.format(printed=printed.removeprefix("python\n"))
    env = {**cluster.env, "RAY_ADDRESS": cluster.address, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code]
    run = subprocess.run(words, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split()[-1] == "2", run.stdout


@pytest.mark.skipif(not can_cover(), reason="needs the right to mount: run as root")
def test_a_machine_without_this_package_or_with_another_one_is_told(logs, tmp_path):
    (empty := tmp_path / "empty").mkdir()
    other = shutil.copytree(ROOT / "data_scripts", tmp_path / "other")
    (other / "more.py").write_text("# another version\n")
    missing = covered_package("data_scripts", empty)
    with Nodes() as nodes:
        for covered, expected in (
            (
                missing,
                "No module named 'data_scripts.* on a machine of the cluster: expected this ",
            ),
            ([(other, ROOT / "data_scripts")], f"other code at {ROOT} on .*: expected this very"),
        ):
            second = nodes.add(covered)
            words = [*words_of("criteo", logs, tmp_path / "out"), "--address", nodes.address]
            with Noted(PREPARATION, words, tmp_path, nodes.env, pause=0.5) as run:
                status, said = run.end(120)
            assert status == 2 and "Traceback" not in said, said
            assert re.match(f"data_scripts: {expected}", said.strip().splitlines()[-1]), said
            assert not (tmp_path / "out").exists()
            nodes.kill(second)


def test_words_that_are_refused(head, tmp_path):
    """Another version, token or mode: one line, status 2, nothing written, and soon."""
    words = ["synthetic", tmp_path / "out", "--rows", "600", "--engine", "ray", "--address"]
    other = "import ray._private.utils as u\nu.compute_version_info = lambda: ('2.0.0', '3.11.0')\n"
    without = {k: v for k, v in head.env.items() if k != "RAY_AUTH_MODE"}
    wrong = {**head.env, "RAY_AUTH_TOKEN": "wrong"}
    for env, more, expected in (
        (head.env, other, "Version mismatch: The cluster was started with: Ray: "),
        (without, "", "refuses this process' token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN"),
        (wrong, "", "refuses this process' token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN"),
    ):
        with Noted(PREPARATION, [*words, head.address], tmp_path, env, more=more) as run:
            status, said = run.end(60)
        (line,) = said.strip().splitlines()
        assert status == 2 and line.startswith("data_scripts: --engine ray: ") and expected in line
        assert not (tmp_path / "out").exists() and clean(tmp_path)

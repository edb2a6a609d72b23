"""make lab in a headless Chromium: the tour opens, notebooks run, and no box is red."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from test_lab import git

from data_scripts import prepare, synthetic

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
PATIENCE = 400  # seconds, many times what a quiet machine needs
SMALL = {
    "DATASET_DIR": "runs/small",
    "OUTPUT_DIR": "runs/small-out",
    "MAX_EPOCHS": 1,
    "EMBEDDING_DIM": 4,
    "DROPOUT": 0.0,
    "EMBEDDING_L2": 1e-6,
    "LEARNING_RATE": 0.001,
    "VALIDATION_SLOTS": 3,
    "SKETCH_SIZES": [[8, 6]],
    "LABEL_WEIGHTS": [1.0],
    "FEATURE_BITS": 10,
}
SETTINGS = {
    "docmanager-extension/plugin": '{"autosaveInterval": 2}',
    "notebook-extension/tracker": '{"windowingMode": "none"}',  # cells out of sight, too
    "apputils-extension/notification": '{"fetchNews": "false"}',  # no question in a corner
}
RED = "import sys\nprint('a word', file=sys.stderr)"
# prompts, types of outputs and their text, of the notebook that is shown
SHOWN = """
const page = [...document.querySelectorAll('.jp-NotebookPanel')]
  .find(one => !one.classList.contains('lm-mod-hidden'));
if (!page) return null;
const texts = of => [...page.querySelectorAll(of)].map(one => one.textContent);
const outputs = [...page.querySelectorAll('.jp-OutputArea-output')];
return {
  title: document.querySelector('.lm-TabBar-tab.jp-mod-current .lm-TabBar-tabLabel')?.textContent,
  prompts: texts('.jp-CodeCell .jp-InputPrompt'),
  types: outputs.map(one => one.dataset.mimeType),
  texts: outputs.map(one => one.textContent),
  pictures: [...page.querySelectorAll('[data-mime-type="image/svg+xml"] img')]
    .filter(one => one.naturalWidth > 300).length,
  idle: document.querySelector('#jp-main-statusbar')?.textContent.includes('(ipykernel) | Idle'),
};
"""
# Lab shows a figure as a picture, whose words it leaves out
FIRST_PICTURE = """
[...document.querySelectorAll('.jp-NotebookPanel [data-mime-type="image/svg+xml"]')]
  .find(one => one.checkVisibility())?.scrollIntoView({block: 'end'});
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository of its own: what somebody has in runs/lab stays as it is."""
    folder = tmp_path_factory.mktemp("lab") / "repository"
    skipped = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=skipped)
    for name in (".gitignore", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return folder


@pytest.fixture(scope="module")
def page(repository, chromium, tmp_path_factory):
    """(the browser on the page that make lab opens, the server's address with %s, its token)."""
    browser = chromium(size="1300,1800")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    kinds = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {kind: str(home / kind) for kind in kinds} | {"HOME": str(home)}
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for name, text in SETTINGS.items():
        path = home / kinds[0] / "lab/user-settings/@jupyterlab" / name
        path.parent.mkdir(parents=True)
        path.with_suffix(".jupyterlab-settings").write_text(text)
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "notebooks/lab.py", "--no-browser", f"--port={port}"],
            cwd=repository,
            env={"KERAS_BACKEND": "torch", **os.environ, **own, "PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        runtime = home / "JUPYTER_RUNTIME_DIR"

        def started():
            assert server.poll() is None, (home / "log").read_text()
            return [*runtime.glob("jpserver-*-open.html")] and [*runtime.glob("jpserver-*.json")]

        told = json.loads(until(started)[0].read_text())
        # the page that Lab has the browser open, which goes to the tour
        browser.get(next(runtime.glob("jpserver-*-open.html")).as_uri())
        yield browser, told["url"] + "lab/tree/runs/lab/%s?token=" + told["token"]
    finally:
        server.send_signal(signal.SIGTERM)  # it ends its kernels
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def until(found, seconds=PATIENCE):
    """Return what `found()` returns as soon as that is something."""
    end = time.monotonic() + seconds
    while not (got := found()):
        assert time.monotonic() < end, f"waited {seconds} s for {found.__name__}"
        time.sleep(0.2)
    return got


def wait_for(browser, path):
    """Wait until the notebook is the one that is open, with all its cells and a kernel."""
    count = len([c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"])

    def opened():
        now = browser.execute_script(SHOWN)
        whole = now and now["title"] == path.name and len(now["prompts"]) == count
        return whole and now["idle"]  # cells that are run before are lost

    until(opened)


def run_all(browser, picture):
    """Run all cells by the menu; returns (what is shown then, lines that came and went)."""
    from selenium.webdriver.common.by import By

    run = [one for one in browser.find_elements(By.CSS_SELECTOR, ".lm-MenuBar-itemLabel")]
    next(one for one in run if one.text == "Run").click()
    item = "[data-command='runmenu:run-all']"
    until(lambda: browser.find_elements(By.CSS_SELECTOR, item))[0].click()
    passing = set()

    def done():
        now = browser.execute_script(SHOWN)
        passing.update(text for text in now["texts"] if re.search(r"\d+%\|", text))
        told = "".join(now["prompts"])  # [*] waits, [3] has run; kept notebooks have [ ]
        ended = re.search(r"\d", told) and "*" not in told and now["idle"]
        return now if ended else None

    try:
        return until(done), passing
    finally:
        browser.execute_script(FIRST_PICTURE)
        browser.save_screenshot(str(picture))


def is_clean(now):
    """Every cell has run, and nothing is red."""
    assert all(re.search(r"\[\d+\]", one) for one in now["prompts"]), now["prompts"]
    red = [kind for kind in now["types"] if kind and kind.endswith((".stderr", ".error"))]
    assert red == [], list(zip(now["types"], now["texts"], strict=True))


def saved(repository, name, before):
    """The notebook's file once Lab has saved it by itself."""
    path = repository / "runs" / "lab" / name
    until(lambda: path.read_bytes() != before)
    return nbformat.read(path, as_version=4)


def test_the_tour_opens_and_runs_without_a_red_box(page, repository, tmp_path):
    browser, _ = page
    before = (repository / "notebooks" / "00_tour.ipynb").read_bytes()
    wait_for(browser, repository / "runs" / "lab" / "00_tour.ipynb")
    now, _ = run_all(browser, tmp_path / "00_tour.png")
    is_clean(now)
    assert now["pictures"] == 2
    assert (repository / "runs" / "tour" / "reloop2.keras").exists()
    found = saved(repository, "00_tour.ipynb", before)
    assert [c.execution_count for c in found.cells if c.cell_type == "code"][0] == 1
    assert git(repository, "status", "--porcelain") == ""


def test_the_study_shows_how_far_it_is(page, repository, tmp_path):
    browser, address = page
    prepare(synthetic(rows=4000, seed=1), repository / SMALL["DATASET_DIR"], slots=3)
    path = repository / "runs" / "lab" / "04_stream_evaluation.ipynb"
    notebook = nbformat.read(path, as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", []))
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in SMALL.items())
    nbformat.write(notebook, path)
    browser.get(address % path.name)
    wait_for(browser, path)
    now, passing = run_all(browser, tmp_path / "04_stream_evaluation.png")
    is_clean(now)
    assert now["pictures"] == 4
    assert len(passing) > 3  # a bar that moved
    assert not any(re.search(r"\d+%\|", text) for text in now["texts"])  # and is gone
    assert (repository / SMALL["OUTPUT_DIR"] / "metrics.json").exists()
    assert git(repository, "status", "--porcelain") == ""


def test_a_red_box_would_be_seen(page, repository, tmp_path):
    browser, address = page
    path = repository / "runs" / "lab" / "red.ipynb"
    cells = [nbformat.v4.new_code_cell(text) for text in (RED, "1 / 0")]
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    browser.get(address % path.name)
    wait_for(browser, path)
    now, _ = run_all(browser, tmp_path / "red.png")
    with pytest.raises(AssertionError, match="(?s)a word.*ZeroDivisionError"):
        is_clean(now)

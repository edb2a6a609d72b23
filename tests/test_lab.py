"""make lab: the tour opens, and what Lab saves by itself leaves git clean."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("lab", ROOT / "notebooks" / "lab.py")
lab = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lab)


def git(folder, *words):
    run = subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x@y", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def notebook(path, text):
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text)]), path)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "notebooks" / "py").mkdir(parents=True)
    notebook(folder / "notebooks" / "00_tour.ipynb", "1")
    (folder / "notebooks" / "py" / "00_tour.py").write_text("# %%\n1\n")
    for name in (".gitignore", "pyproject.toml"):
        (folder / name).write_text((ROOT / name).read_text())
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def test_what_lab_saves_leaves_git_clean(repository):
    copies = repository / "runs" / "lab"
    assert lab.prepare(repository / "notebooks", copies) == []
    opened = copies / "00_tour.ipynb"
    assert opened.read_bytes() == (repository / "notebooks" / "00_tour.ipynb").read_bytes()
    # saved as Lab's contents manager does it, which knows jupytext and pairs what pyproject says
    code = (
        "import sys\n"
        "from jupytext.sync_contentsmanager import build_sync_jupytext_contents_manager_class\n"
        "from jupyter_server.services.contents.largefilemanager import LargeFileManager\n"
        "made = build_sync_jupytext_contents_manager_class(LargeFileManager)\n"
        "manager = made(root_dir=sys.argv[1])\n"
        "model = manager.get('runs/lab/00_tour.ipynb')\n"
        "model['content']['cells'][0]['source'] = '2'\n"
        "manager.save(model, 'runs/lab/00_tour.ipynb')\n"
    )
    subprocess.run([sys.executable, "-c", code, str(repository)], check=True, capture_output=True)
    assert nbformat.read(opened, as_version=4).cells[0].source == "2"
    assert git(repository, "status", "--porcelain") == ""


def test_in_the_notebooks_folder_it_would_not_be_clean(repository):
    # what the copies are for: the test above must be able to fail
    path = repository / "notebooks" / "00_tour.ipynb"
    found = jupytext.read(path)
    found.cells[0].source = "2"
    jupytext.write(found, path)
    assert "00_tour" in git(repository, "status", "--porcelain")


def test_a_copy_follows_the_repository_until_it_is_changed(repository):
    source, copies = repository / "notebooks" / "00_tour.ipynb", repository / "runs" / "lab"
    lab.prepare(source.parent, copies)
    notebook(source, "new")
    assert lab.prepare(source.parent, copies) == []
    assert (copies / "00_tour.ipynb").read_bytes() == source.read_bytes()
    notebook(copies / "00_tour.ipynb", "mine")
    mine = (copies / "00_tour.ipynb").read_bytes()
    assert lab.prepare(source.parent, copies) == []  # nothing new: nothing to say
    notebook(source, "newer")
    (line,) = lab.prepare(source.parent, copies)
    assert "stays" in line and "00_tour.new.ipynb" in line
    assert (copies / "00_tour.ipynb").read_bytes() == mine
    assert (copies / "00_tour.new.ipynb").read_bytes() == source.read_bytes()
    assert lab.prepare(source.parent, copies) == []  # said once


def test_root_gets_a_hint_and_lab_opens_the_tour():
    words, said = lab.command(["--no-browser"], ROOT, user=0)
    assert "--allow-root" in words and len(said) == 1 and "ARGS=" in said[0]
    assert words[-1] == "--LabApp.default_url=/lab/tree/runs/lab/00_tour.ipynb"
    words, said = lab.command(["--no-browser"], ROOT, user=1000)
    assert "--allow-root" not in words and said == [] and "--no-browser" in words


def folder(path):
    path.mkdir(parents=True)


def text(content):
    def write(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return write


def nowhere(path):
    path.symlink_to("/proc/void")  # refused to root, too


WRONG = {
    "runs is a file": ("runs", text("mine"), "runs"),
    "lab is a file": ("runs/lab", text("mine"), "lab"),
    "a copy is a folder": ("runs/lab/00_tour.ipynb", folder, "00_tour.ipynb"),
    "the book of copies is a folder": ("runs/lab/.copied.json", folder, ".copied.json"),
    "nothing can be written": ("runs", nowhere, "runs"),
    "no notebooks": ("notebooks", shutil.rmtree, "expected notebooks"),
    "a notebook is a folder": ("/".join(["notebooks", "mine.ipynb"]), folder, "mine.ipynb"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_place_is_one_line(case, repository, capsys, monkeypatch):
    place, make, told = WRONG[case]
    make(repository / place)
    monkeypatch.setattr(lab, "ROOT", repository)
    monkeypatch.setattr(lab.os, "execv", lambda *_: pytest.fail("Lab was started"))
    assert lab.main([]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lab.py: ") and error.count("\n") == 1 and told in error, error


@pytest.mark.parametrize("content", ["", "[1]", '["ab"]', "[" * 9000, '{"00_tour.ipynb": 3}'])
def test_a_book_of_copies_that_makes_no_sense_counts_as_none(content, repository):
    copies = repository / "runs" / "lab"
    lab.prepare(repository / "notebooks", copies)
    (copies / ".copied.json").write_text(content)
    assert len(lab.prepare(repository / "notebooks", copies)) <= 1
    assert lab.prepare(repository / "notebooks", copies) == []

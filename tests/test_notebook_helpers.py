"""What notebooks share: one root for relative paths, figures as SVG with words."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from reloop2_keras import notebook
from reloop2_keras.core.dataset import PreparedDataset

pytestmark = pytest.mark.backend
ROOT = Path(__file__).parents[1]


def test_lab_and_make_mean_the_same_folder(monkeypatch):
    for folder in (ROOT, ROOT / "notebooks", ROOT / "notebooks" / "py"):
        monkeypatch.chdir(folder)
        assert notebook.at_root("runs/demo") == str(ROOT / "runs" / "demo")
        assert notebook.at_root(ROOT / "x") == str(ROOT / "x")


def test_outside_of_the_repository_a_path_is_taken_from_there(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert notebook.at_root("runs/demo") == str(tmp_path / "runs" / "demo")
    assert notebook.at_root("~/x") == str(Path.home() / "x")


def test_a_missing_dataset_says_where_and_what_to_run(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        PreparedDataset("runs/demo/dataset")
    text = str(error.value)
    assert str(tmp_path / "runs" / "demo" / "dataset" / "dataset.json") in text
    assert "notebook 01" in text and "make demo" in text


def figure():
    made = Figure(figsize=(3, 2))
    made.subplots().plot([1, 2], [3, 4])
    made.set_label("One line <rises>.")
    return made


def test_svg_has_a_title_and_is_the_same_each_time():
    text = notebook.svg(figure(), "One line <rises>.")
    tree = ElementTree.fromstring(text)
    assert tree.get("role") == "img" and tree[0].tag.endswith("title")
    assert tree[0].text == "One line <rises>."
    assert text == notebook.svg(figure(), "One line <rises>.")


def test_what_is_written_in_a_figure_stays():
    made = Figure(figsize=(3, 2))
    ax = made.subplots()
    ax.plot([0, 1], [0, 1])
    ax.set_title("0.53125")
    text = notebook.svg(made, "A line.")
    assert ">0.53125<" in text
    assert "0.53125" not in text.replace(">0.53125<", "")


def test_show_gives_figure_and_words(monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append((data, raw)))
    notebook.show(figure())
    notebook.show(figure(), "Other words.")
    assert [data["text/plain"] for data, _ in shown] == ["One line <rises>.", "Other words."]
    assert all(raw and data["image/svg+xml"].startswith("<svg") for data, raw in shown)
    with pytest.raises(ValueError, match="`alt`"):
        notebook.show(Figure())


def test_no_framework_speaks_when_the_notebooks_begin(tmp_path):
    code = "import reloop2_keras.notebook, keras; keras.layers.Dense(1)(keras.ops.ones((1, 2)))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (run.stdout, run.stderr) == ("", "")


def test_a_run_tells_what_it_was_made_of(tmp_path):
    import importlib.metadata

    import keras
    import numpy as np

    from data_scripts import prepare, synthetic
    from reloop2_keras.core.provenance import revision

    said = {}
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        prepare(synthetic(rows=300, seed=seed, users=9, items=9), folder, slots=2, progress=False)
        dataset = PreparedDataset(folder)
        said[seed] = notebook.told(dataset, 1001, "pyarrow")
        assert dataset.name in said[seed]
    assert said[1].startswith(f"{revision()} · reloop2 ") and said[1] != said[2]
    assert notebook.told(dataset, 7).replace("seed 7", "seed 1001") in said[2].replace(
        f", pyarrow {importlib.metadata.version('pyarrow')}", ""
    )
    for part in (f"numpy {np.__version__}", f"keras {keras.__version__}", "seed 1001"):
        assert part in said[1]
    backend = keras.backend.backend()
    assert f", {backend}" in said[1] and "unknown" not in said[1]

"""Notebooks: parameters, pairs, sizes, endings, batch configurations, and that they run."""

import ast
import importlib.util
import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from reloop2_keras.core.choice import ARMS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
spec = importlib.util.spec_from_file_location("run", FOLDER / "run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
# of the options that a search chooses one stays: each try is a training that is compiled
CHOSEN = {"EMBEDDING_DIM": 8, "DROPOUT": 0.2, "EMBEDDING_L2": 1e-4}
# in the order of the reader's journey: each runs on what the ones before have left
TINY = {
    "00_tour": {"ROWS": 4000},
    "01_preprocess": {"ROWS": 6000, "SLOTS": 3},
    "02_train": {"MAX_EPOCHS": 1, **CHOSEN},
    "03_error_memory": {"MAX_EPOCHS": 1},
    "04_stream_evaluation": {
        "MAX_EPOCHS": 1,
        **CHOSEN,
        "VALIDATION_SLOTS": 3,
        "SKETCH_SIZES": [[8, 6]],
        "FEATURE_BITS": 10,
    },
    "05_mindspore": {
        "MAX_EPOCHS": 1,
        "VALIDATION_SLOTS": 2,
        "EXACT_CAPACITY": 500,
        "NUM_NEIGHBORS": 10,
        "SKETCH_SIZE": [8, 6],
        "FEATURE_BITS": 10,
    },
    "06_beyond_the_paper": {"MAX_EPOCHS": 1, "FEATURE_BITS": 10, "EXACT_CAPACITY": 2000},
    "08_studies": {
        "MAX_EPOCHS": 1,
        "FEATURE_BITS": 10,
        "STREAM_SLOTS": [3, 9],
        "DELAYS": [0, 2],
        "DELAY_SLOTS": 6,
        "BITS": [4, 8],
        "INCREMENTAL_LEARNING_RATES": [0.001],
        "NO_DRIFT_ROWS": 4000,
    },
    "07_serve": {"REQUESTS": 60, "LATE": 10},
}
TOLD = [name for name in NOTEBOOKS if name != "07_serve"]  # which tells its story in its own way


def read(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_parameters_and_endings(name):
    assert {"DATASET_DIR", "OUTPUT_DIR", "SEED"} <= set(run.parameters(read(name)))
    text = "\n".join(c.source for c in read(name).cells if c.cell_type == "markdown")
    places = [text.index(f"## {word}") for word in ("Summary", "Exercises", "References")]
    assert places == sorted(places)
    assert name in TINY


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_papermill_reads_every_parameter(name):
    """A line with a second "=", in a comment too, is one that papermill warns of and leaves out."""
    import papermill

    found = papermill.inspect_notebook(str(FOLDER / f"{name}.ipynb"))
    assert list(found) == list(run.parameters(read(name)))


MADE_OF = r"reloop2 [\d.]+, python [\d.]+, numpy .+ · seed 1001 · dataset .+ [0-9a-f]{12}\n"
SAYS = "print(told(dataset, SEED"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_says_what_its_numbers_were_made_of(name):
    assert sum(SAYS in cell.source for cell in read(name).cells) == 1


def said_at(notebook):
    """What the cell printed that tells what the numbers were made of."""
    (cell,) = [cell for cell in notebook.cells if SAYS in cell.source]
    return "".join(out.get("text", "") for out in cell.outputs)


LONGEST = 15  # lines of a cell that a class can read; imports and parameters are looked up


def is_long(cell):
    tree = ast.parse(cell.source)
    only_imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)
    parameters = "parameters" in cell.metadata.get("tags", [])
    return len(cell.source.splitlines()) > LONGEST and not (only_imports or parameters)


@pytest.mark.parametrize("name", TOLD)
def test_a_class_can_read_each_cell(name):
    cells = read(name).cells
    long = [cell.source for cell in cells if cell.cell_type == "code" and is_long(cell)]
    assert not long, long[0]
    for number, cell in enumerate(cells):
        if "show(" in cell.source and cell.cell_type == "code":
            words = next(after for after in cells[number:] if after.cell_type == "markdown")
            assert not words.source.startswith("#"), f"no sentence after {cell.source}"
    headings = [line for c in cells if c.cell_type == "markdown" for line in c.source.split("\n")]
    for line in headings:
        if re.match(r"## \d+\. ", line):
            assert line.endswith("?"), f"no question: {line}"
    assert cells[-1].cell_type == "markdown"


@pytest.mark.parametrize("name", TOLD)
def test_what_a_reader_needs_stands_first(name):
    first = read(name).cells[0].source
    assert re.search(r"(minutes?|Run all)", first), "minutes"
    text = "\n".join(cell.source for cell in read(name).cells)
    assert f"notebooks/solutions/{name}.md" in text
    assert (FOLDER / "solutions" / f"{name}.md").is_file()


def test_kept_outputs_have_no_red_box_and_every_figure_has_words():
    for name in TOLD:
        for cell in read(name).cells:
            for output in cell.get("outputs", []):
                assert output.get("name") != "stderr"
                assert "image/png" not in output.get("data", {}), f"{name}: show(figure) it"
                svg = output.get("data", {}).get("image/svg+xml")
                assert svg is None or re.search(r"<title>[^<]{20,}</title>", svg), name


def test_pairs_are_in_sync_and_small():
    run.check(FOLDER)


def test_check_finds_a_difference(tmp_path):
    (tmp_path / "py").mkdir()
    notebook = read(NOTEBOOKS[0])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    (tmp_path / "py" / "a.py").write_text(run.to_text(notebook) + "\n# %%\n1 + 1\n")
    with pytest.raises(run.NotebookError, match="differ"):
        run.check(tmp_path)


@pytest.mark.parametrize("path", sorted((FOLDER / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_batch_configurations_name_known_parameters(path):
    # a configuration is notebook 04's, unless its name starts with another one's number
    name = next((n for n in NOTEBOOKS if n[:2] == path.stem[:2]), "04_stream_evaluation")
    run.check_known(yaml.safe_load(path.read_text()), run.parameters(read(name)))


def test_an_unknown_parameter_fails_before_anything_runs(tmp_path, capsys):
    notebook = str(FOLDER / "04_stream_evaluation.ipynb")
    status = run.main([notebook, str(tmp_path / "out.ipynb"), "-p", "NUM_SEED", "3"])
    assert status == 2 and not list(tmp_path.iterdir())
    assert "unknown parameter 'NUM_SEED'; there is NUM_SEEDS" in capsys.readouterr().err


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.mark.notebook
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name, work):
    given = {"DATASET_DIR": str(work / "dataset"), "OUTPUT_DIR": str(work), **TINY[name]}
    if name == "00_tour":
        given["DATASET_DIR"] = str(work / "tour")
    if name == "07_serve":
        for needed in ("fastapi", "uvicorn", "prometheus_client"):
            pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")
    run.execute(FOLDER / f"{name}.ipynb", work / f"{name}.ipynb", given)
    said = said_at(nbformat.read(work / f"{name}.ipynb", as_version=4))
    assert re.search(MADE_OF, said), said
    if name == "05_mindspore":
        metrics = json.loads((work / "mindspore" / "metrics.json").read_text())
        assert {"frozen", "exact", "sketch", "feature", "incremental"} <= set(metrics["arms"])
    if name == "04_stream_evaluation":
        metrics = json.loads((work / "metrics.json").read_text())
        expected = set(ARMS)
        assert expected == set(metrics["arms"])
        for arm in expected:
            assert set(metrics["arms"][arm]) >= {"auc", "gauc", "logloss", "ece", "auc_sd"}
            assert len(metrics["slots"][arm]["auc"]) == 3
        assert (work / "gain_per_slot.png").stat().st_size > 5000
        assert (work / "model" / "model.json").is_file()
    if name == "07_serve":
        cells = nbformat.read(work / "07_serve.ipynb", as_version=4).cells
        said = "".join(out.get("text", "") for c in cells for out in c.get("outputs", ()))
        for line in ("difference to the twin: 0.0", "to the bit: True", "the traffic: True"):
            assert line in said
        assert "'feature_ids': True, 'feature_values': True, 'feature_hashes': True" in said

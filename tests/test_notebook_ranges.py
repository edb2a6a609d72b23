"""Every parameter of every notebook has a range, and run.py names one that is out of it."""

import importlib

import nbformat
import pytest
from test_run_py import ROOT, refused, run  # puts notebooks/ on the path

ranges = importlib.import_module("notebook_ranges")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
KNOWN = {path.name: run.parameters(run.read_notebook(path)) for path in NOTEBOOKS}
NO_WHOLE = ("nan", "1e999", "-1", "1.5", "x", "[]", "null", str(2**70))
NO_NUMBER = ("nan", "inf", "-1", "x", "[]")
# parameter -> texts that it must not take, in each notebook that has it
WRONG = {
    **dict.fromkeys(
        "SEED ROWS MAX_EPOCHS BATCH_SIZE NUM_SEEDS DELAY NUM_ARRAYS NUM_BITS VALIDATION_SLOTS "
        "EXACT_CAPACITY NUM_NEIGHBORS FEATURE_BITS INCREMENTAL_BATCH_SIZE SLOTS THRESHOLD REQUESTS "
        "LATE DELAY_SLOTS NO_DRIFT_ROWS".split(),
        NO_WHOLE,
    ),
    "EMBEDDING_DIM": ("nan", "-1", "0", "1.5", "x", "[]", str(2**70)),
    "DROPOUT": (*NO_NUMBER, "1", "1.5", "1e999"),
    "EMBEDDING_L2": (*NO_NUMBER, "1e999"),
    "LEARNING_RATE": (*NO_NUMBER, "0", "1e999"),
    "FEATURE_PRIOR": (*NO_NUMBER, "0"),
    "INTERACTIONS": NO_NUMBER,
    "CLICK_RATE": (*NO_NUMBER, "1.5"),
    "INCREMENTAL_LEARNING_RATE": (*NO_NUMBER, "0"),
    "HIDDEN_UNITS": ("[]", "64", "[a]", "[0]", "[-1]", "[1.5]", f"[{2**70}]"),
    "SKETCH_SIZES": ("[]", "[[8]]", "[[8, 99]]", "[[0, 6]]", "[8, 6]", "x"),
    "SKETCH_SIZE": ("[]", "[8]", "[8, 99]", "[0, 6]", "x"),
    "COMPENSATIONS": ("[]", "[.5]", "[.5, 1.5]", "[.5, nan]", "x"),
    "LABEL_WEIGHTS": ("[]", "[.5, -1]", "[x]", "x"),
    "CROSSES": ("user", "[user]", "[[user]]", "[[user, user]]", "[[1, 2]]"),
    "CATEGORICAL": ("user", "[1]", "[[user]]"),
    "NUMERIC": ("user", "['']"),
    "STREAM_SLOTS": ("[]", "[0]", "[-1]", "[1.5]", "x"),
    "DELAYS": ("[]", "[-1]", "[1.5]", "x"),
    "BITS": ("[]", "[0]", "[25]", "x"),
    "INCREMENTAL_LEARNING_RATES": ("[]", "[0]", "[nan]", "x"),
    "INCREMENTAL_EPOCHS": ("[]", "[0]", "[1.5]"),
    "DEVICE_TARGET": ("TPU", "''"),
    "KEY": ("hiden", "''"),
    "SOURCE": ("tabel", "''"),
    "LABEL": ("''", " "),
    "FIELD": ("''",),
    "NEW_VALUE": ("''",),
    "POSITIVE": ("''", "[1]", "5"),
    "DRIFT": ("1", "maybe", "null"),
    "RESUME": ("1", "maybe", "null"),
    "EVERY_KEY": ("1", "maybe"),
    "DATASET_DIR": ("''", "{file}"),
    "OUTPUT_DIR": ("''", "{file}", "{file}/below", "/proc/void/out"),
    "NAMES": ("{none}", "{folder}"),
    "RAW_LOG": ("{none}", "{folder}"),
}
FREE = {"INPUT", "TIME", "GROUP"}  # any text
ROWS = [
    (name, parameter, text)
    for name, known in KNOWN.items()
    for parameter in known
    for text in WRONG.get(parameter, ())
]


def test_every_parameter_has_a_range_and_is_tried():
    every = set().union(*KNOWN.values())
    assert every == set(ranges.RANGES) and every == set(WRONG) | FREE
    assert len(NOTEBOOKS) == 9 and len(ROWS) >= 350


def test_the_defaults_and_the_kept_configurations_are_in_range():
    for known in KNOWN.values():
        here = {name: value for name, value in known.items() if not name.endswith("_DIR")}
        ranges.check_ranges(here, known)


@pytest.mark.parametrize("notebook", KNOWN)
def test_a_parameter_out_of_range_is_one_line_before_a_kernel_starts(
    notebook, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("papermill.execute_notebook", began)
    cells = nbformat.read(ROOT / "notebooks" / notebook, 4).cells
    source = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    (tmp_path / "file").write_text("1")
    (tmp_path / "folder").mkdir()
    path, out = tmp_path / "n.ipynb", tmp_path / "out" / "n.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=source), path)
    for _, parameter, written in (row for row in ROWS if row[0] == notebook):
        text = "" if written == "''" and parameter != "POSITIVE" else written
        for name in ("file", "folder", "none"):
            text = text.replace(f"{{{name}}}", str(tmp_path / name))
        line = refused([path, out, "-p", parameter, text], capsys)
        assert parameter in line or parameter.lower() in line, (parameter, text, line)
        assert not out.parent.exists()


def began(*_, **__):
    raise AssertionError("a kernel was started")


def test_parameters_that_do_not_fit_each_other(tmp_path, capsys):
    for notebook, words, told in (
        ("07_serve.ipynb", ["-p", "LATE", "200"], "`LATE` must be less than half of `REQUESTS`"),
        ("01_preprocess.ipynb", ["-p", "SOURCE", "table"], "`INPUT` must be text"),
        ("05_mindspore.ipynb", ["-p", "LABEL_WEIGHTS", "[1]"], "`LABEL_WEIGHTS` must be two"),
    ):
        path = ROOT / "notebooks" / notebook
        assert told in refused([path, tmp_path / "out.ipynb", *words], capsys)
    assert not list(tmp_path.iterdir())

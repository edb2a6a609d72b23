"""notebooks/run.py: types of parameters, and wrong files in one line."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("run", ROOT / "notebooks" / "run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)
DEFAULTS = """
LEARNING_RATE = 0.001
SEED = 1001
DRIFT = True
OUTPUT_DIR = "runs/demo"
HIDDEN_UNITS = [128, 64]
RATES = [0, 0.25]
SIZES = [[70, 12]]
CROSSES = []
NAME = None
"""
KNOWN = {
    "LEARNING_RATE": 0.001,
    "SEED": 1001,
    "DRIFT": True,
    "OUTPUT_DIR": "runs/demo",
    "HIDDEN_UNITS": [128, 64],
    "RATES": [0, 0.25],
    "SIZES": [[70, 12]],
    "CROSSES": [],
    "NAME": None,
}
# written the same on the command line and in a file
VALUES = [
    ("LEARNING_RATE", "1e-3", 0.001),
    ("LEARNING_RATE", "1e-06", 1e-06),
    ("LEARNING_RATE", "1", 1.0),
    ("LEARNING_RATE", ".5", 0.5),
    ("SEED", "010", 10),  # YAML alone says 8
    ("SEED", "1e3", 1000),
    ("SEED", "7.0", 7),
    ("SEED", "1_000", 1000),
    ("DRIFT", "false", False),
    ("DRIFT", "True", True),
    ("OUTPUT_DIR", "2024-01-01", "2024-01-01"),
    ("OUTPUT_DIR", "2024", "2024"),
    ("OUTPUT_DIR", "1e-3", "1e-3"),
    ("OUTPUT_DIR", "on", "on"),
    ("OUTPUT_DIR", "a b", "a b"),
    ("OUTPUT_DIR", "12:30:00", "12:30:00"),
    ("HIDDEN_UNITS", "[32]", [32]),
    ("HIDDEN_UNITS", "[1e2, 64]", [100, 64]),
    ("HIDDEN_UNITS", "[]", []),
    ("RATES", "[1e-3, 1]", [0.001, 1.0]),
    ("SIZES", "[[8, 6], [9, 7]]", [[8, 6], [9, 7]]),
    ("CROSSES", "[[user, genres]]", [["user", "genres"]]),
    ("CROSSES", '[[user, "7"], [7, 1e-3, true]]', [["user", "7"], [7, 0.001, True]]),
    ("NAME", "null", None),
    ("NAME", "5", 5),
]
WRONG = [
    ("LEARNING_RATE", "fast", "expected a number, as 0.001, found 'fast'"),
    ("LEARNING_RATE", "nan", "expected a number"),
    ("LEARNING_RATE", ".inf", "expected a number"),
    ("LEARNING_RATE", "[1]", "expected a number, as 0.001, found [1]"),
    ("LEARNING_RATE", "true", "expected a number"),
    ("SEED", "abc", "expected a whole number, as 1001, found 'abc'"),
    ("SEED", "1.5", "expected a whole number"),
    ("SEED", "1e400", "expected a whole number"),
    ("SEED", "~", "expected a whole number, as 1001, found nothing"),
    ("DRIFT", "1", "expected true or false, as True, found 1"),
    ("DRIFT", "maybe", "expected true or false"),
    ("HIDDEN_UNITS", "64", "expected a list, as [128, 64], found 64"),
    ("HIDDEN_UNITS", "[a]", "expected a whole number, as 128, found 'a'"),
    ("SIZES", "[8, 6]", "expected a list, as [70, 12], found 8"),
    ("SEED", "[1", "expected YAML, found"),
    ("SEDE", "1", "unknown parameter 'SEDE'; there is SEED"),
]


@pytest.fixture
def notebook(tmp_path):
    cell = nbformat.v4.new_code_cell(DEFAULTS, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "n.ipynb")
    return tmp_path / "n.ipynb"


def refused(words, capsys):
    """Run a command that must fail; returns its one line."""
    status = run.main([str(word) for word in words])
    error = capsys.readouterr().err
    assert status == 2 and error.startswith("run.py: ") and error.count("\n") == 1, error
    return error


def equal(value, expected):
    return value == expected and repr(value) == repr(expected)  # 1 is not 1.0, nor True


def test_the_defaults_are_read(notebook):
    assert run.parameters(run.read_notebook(notebook)) == KNOWN


@pytest.mark.parametrize(("name", "text", "expected"), VALUES)
def test_values_have_the_type_of_the_default(name, text, expected, tmp_path):
    given = run.given_parameters(KNOWN, pairs=[(name, text)])
    assert equal(given[name], expected)
    (tmp_path / "c.yaml").write_text(f"{name}: {text}\n")
    given = run.given_parameters(KNOWN, tmp_path / "c.yaml")
    assert equal(given[name], expected)


@pytest.mark.parametrize(("name", "text", "message"), WRONG)
def test_a_wrong_value_is_one_line_before_anything_runs(
    name, text, message, notebook, tmp_path, capsys
):
    out = tmp_path / "out" / "n.ipynb"
    line = refused([notebook, out, "-p", name, text], capsys)
    assert message in line and (name == "SEDE" or f"-p {name}: " in line)
    (tmp_path / "c.yaml").write_text(f"{name}: {text}\n")
    assert message in refused([notebook, out, "-f", tmp_path / "c.yaml"], capsys)
    assert not out.parent.exists()


def test_the_command_line_goes_before_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text("SEED: 1\nOUTPUT_DIR: a\n")
    pairs = [("SEED", "2"), ("SEED", "3"), ("OUTPUT_DIR", "")]
    given = run.given_parameters(KNOWN, tmp_path / "c.yaml", pairs)
    assert given == {"SEED": 3, "OUTPUT_DIR": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected lines of `NAME: value`, found nothing"),
        (b"# only this\n", "found nothing"),
        (b"- SEED\n- 1\n", "found a list"),
        (b"SEED\n", "found 'SEED'"),
        (b"SEED: [1\n", "expected YAML, found"),
        (b"SEED: 1\n  DRIFT: x: y\n", "expected YAML, found"),
        (b"SEED: \xff\n", "expected UTF-8, found"),
        (b"SEED: 1\nSEED: 2\n", "SEED is given twice"),
        (b"OUTPUT_DIR:\n", "expected text, as 'runs/demo', found nothing"),
        (b"OUTPUT_DIR: [a]\n", "expected text, as 'runs/demo', found ['a']"),
        (b"~: 2\n", "unknown parameter 'None'"),
        (b"1: 2\n", "unknown parameter '1'"),
        (b"SEED: !!python/object/apply:os.getpid []\n", "expected a whole number"),
        (None, "expected a YAML file, found No such file"),
    ],
)
def test_a_broken_file_of_parameters_is_one_line(content, message, notebook, tmp_path, capsys):
    if content is not None:
        (tmp_path / "c.yaml").write_bytes(content)
    line = refused([notebook, tmp_path / "out.ipynb", "-f", tmp_path / "c.yaml"], capsys)
    assert message in line and "c.yaml" in line
    assert "found Is a directory" in refused(
        [notebook, tmp_path / "out.ipynb", "-f", tmp_path], capsys
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a notebook, found No such file"),
        (b"print(1)\n", "expected a notebook, found another file"),
        (b'{"arms": {}}', "expected a notebook, found another file"),
        (b"[1, 2]", "expected a notebook, found another file"),
        (b"\xff\xfe", "expected a notebook, found another file"),
        (b"", "expected a notebook, found another file"),
    ],
)
def test_what_is_no_notebook_is_one_line(content, message, tmp_path, capsys):
    if content is not None:
        (tmp_path / "x.ipynb").write_bytes(content)
    line = refused([tmp_path / "x.ipynb", tmp_path / "out.ipynb"], capsys)
    assert message in line and "x.ipynb" in line


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("SEED = ", "line 1 of the parameters cell"),
        ("SEED = 1\nprint(SEED)", "line 2 of the parameters cell assigns no name"),
        ("SEED = 1 + x", "parameter SEED: expected a literal"),
        ("SEED = {[]: 1}", "parameter SEED: expected a literal"),
    ],
)
def test_a_broken_parameters_cell_is_one_line(source, message, tmp_path, capsys):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "n.ipynb")
    assert message in refused([tmp_path / "n.ipynb", tmp_path / "out.ipynb"], capsys)


def test_only_code_is_a_parameters_cell(tmp_path, capsys):
    cell = nbformat.v4.new_markdown_cell("SEED = 1", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "n.ipynb")
    line = refused([tmp_path / "n.ipynb", tmp_path / "out.ipynb"], capsys)
    assert "expected one code cell tagged 'parameters', found 0" in line


@pytest.mark.notebook
def test_a_notebook_that_fails_is_one_line_and_a_batch_sees_each_cell(tmp_path, capsys):
    """The last line says where and why; before it stand the cells, and what a study logs."""
    cells = [
        nbformat.v4.new_code_cell("SEED = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(
            'import logging\nlogging.getLogger("reloop2_keras.core.study").info("seed %d", SEED)'
        ),
        nbformat.v4.new_code_cell('raise ValueError("the dataset\\nis not there")'),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    out = tmp_path / "out.ipynb"
    assert run.main([str(tmp_path / "n.ipynb"), str(out), "-p", "SEED", "7"]) == 2
    *lines, last = capsys.readouterr().err.splitlines()
    assert last.startswith(f"run.py: {tmp_path / 'n.ipynb'}: cell In [")
    assert f"ended in ValueError: the dataset is not there (all of it: {out})" in last
    assert [line for line in lines if line.endswith(" seed 7")] and out.is_file()
    assert not [line for line in lines if "Traceback" in line or line.endswith("-")]


def test_places_that_cannot_be_written_to(notebook, tmp_path, capsys):
    before = notebook.read_bytes()
    for out in (notebook, tmp_path):
        assert "expected another file to write to" in refused([notebook, out], capsys)
    below = notebook / "below"
    assert "found the file" in refused([notebook, below / "n.ipynb"], capsys)
    for place in (below, "/proc/below", "~no body/x"):  # where the notebook itself would write
        words = [notebook, tmp_path / "new" / "n.ipynb", "-p", "OUTPUT_DIR", place]
        assert "run.py: `OUTPUT_DIR`" in refused(words, capsys)
    assert not (tmp_path / "new").exists()
    for out in ("out.txt", "-", "s3://bucket/out.ipynb"):
        assert "expected a file of this machine that ends in .ipynb" in refused(
            [notebook, out], capsys
        )
    for mode in ("--check", "--refresh"):
        assert "expected a folder" in refused([mode, tmp_path / "none"], capsys)
    assert notebook.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a.ipynb"],
        ["a", "b", "c"],
        ["a", "b", "--check", "c"],
        ["--check", "a", "-p", "SEED", "1"],
        ["--check", "a", "--refresh", "b"],
        ["-f", "c.yaml"],
    ],
)
def test_words_that_would_be_ignored_are_refused(words, capsys):
    with pytest.raises(SystemExit) as end:
        run.main(words)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("run.py: give NOTEBOOK OUTPUT")

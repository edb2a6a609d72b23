"""A YAML file that is deep, or long, is refused before PyYAML has gone through it."""

import importlib.util
from pathlib import Path

import pytest

from reloop2_keras.core.yaml_keys import MOST_CHARACTERS, MOST_DEPTH, once_each, yaml_text

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[1]
FORMS = ["[", "- ", "{a: ", "a: {", "? ", "[a: ", "{a: ["]
DEEP = rf": line \d+: expected lists and keys at most {MOST_DEPTH} deep, found deeper ones$"


class Mine(ValueError):
    pass


def counting(base):
    """A loader that tells how many tokens it scanned."""

    class Counting(base):
        tokens = 0

        def fetch_more_tokens(self):
            Counting.tokens += 1
            super().fetch_more_tokens()

    return Counting


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "notebooks"))
    import notebook_parameters

    return notebook_parameters


@pytest.mark.parametrize("base", [yaml.SafeLoader, yaml.BaseLoader])
@pytest.mark.parametrize("form", FORMS)
def test_the_scanner_stops_at_the_depth(base, form):
    loader = counting(base)
    text = form * 10_000
    with pytest.raises(Mine, match=f"^my.yaml{DEEP}"):
        yaml.load(text, once_each(loader, "my.yaml", Mine))
    # a limit that the parser or the composer held would let the scanner go on to the end
    assert 0 < loader.tokens < 8 * MOST_DEPTH


def test_indented_lines_stop_at_the_depth():
    for line in ("a:\n", "-\n"):
        loader = counting(yaml.SafeLoader)
        text = "".join(" " * n + line for n in range(300))
        with pytest.raises(Mine, match=f"^my.yaml{DEEP}"):
            yaml.load(text, once_each(loader, "my.yaml", Mine))
        assert 0 < loader.tokens < 8 * MOST_DEPTH


@pytest.mark.parametrize("closing", ["[]", "{}"])
def test_what_is_as_deep_as_may_be_is_read_without_recursion_errors(closing):
    opening = {"[]": "[", "{}": "{a: "}[closing]
    text = opening * MOST_DEPTH + "1" + closing[1] * MOST_DEPTH
    value = yaml.load(text, once_each(yaml.SafeLoader, "my.yaml", Mine))
    for _ in range(MOST_DEPTH):
        value = value[0] if isinstance(value, list) else value["a"]
    assert value == 1
    with pytest.raises(Mine, match=DEEP):
        yaml.load(opening + text + closing[1], once_each(yaml.SafeLoader, "my.yaml", Mine))


@pytest.mark.parametrize(
    "text", ["a: " + "x" * 10_000_000, "".join(f"a{n}: 1\n" for n in range(1_000_000))]
)
def test_what_is_long_is_refused_before_a_token_is_scanned(text, tmp_path):
    loader = counting(yaml.SafeLoader)
    with pytest.raises(Mine, match="^my.yaml: expected at most 65,536 characters of YAML"):
        yaml.load(text, once_each(loader, "my.yaml", Mine))
    assert loader.tokens == 0
    path = tmp_path / "my.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(Mine, match=f"^{path}: expected at most 65,536 characters of YAML"):
        yaml_text(path, Mine)
    path.write_text(text[:MOST_CHARACTERS], "utf-8")
    assert len(yaml_text(path)) == MOST_CHARACTERS


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no endless file here")
def test_a_file_without_an_end_is_refused(notebook):
    with pytest.raises(notebook.NotebookError, match="^/dev/zero: expected at most 65,536"):
        notebook.given_parameters({"SEED": 1}, "/dev/zero")


def test_a_last_key_of_many_is_found_twice_in_one_pass():
    text = "".join(f"a{n}: 1\n" for n in range(3_000)) + "a2999: 1\n"
    with pytest.raises(Mine, match="^my.yaml: a2999 is given twice$"):
        yaml.load(text, once_each(yaml.SafeLoader, "my.yaml", Mine))


def test_both_readers_name_file_and_limit(tmp_path, notebook):
    # by its path: the package itself wants MindSpore
    spec = importlib.util.spec_from_file_location("settings", ROOT / "mindspore_port/settings.py")
    settings = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(settings)
    path = tmp_path / "my.yaml"
    for text, what in (
        ("SEED: " + "[" * 10_000, DEEP),
        ("SEED: 1\n" * 200_000, ": expected at most 65,536 characters of YAML, found more$"),
        (f"SEED: &{'a' * 9000} 1", ": expected each value in full, found the name a{80} of one$"),
        (f"? {'b' * 900}\n: 1\n? {'b' * 900}\n: 1\n", ": b{80} is given twice$"),
    ):
        path.write_text(text, "utf-8")
        with pytest.raises(notebook.NotebookError, match=f"^{path}{what}"):
            notebook.given_parameters({"SEED": 1}, path)
        with pytest.raises(ValueError, match=f"^{path}{what}"):
            settings.load_yaml(path)
    with pytest.raises(notebook.NotebookError, match=f"^-p SEED{DEEP}"):
        notebook.given_parameters({"SEED": 1}, None, [("SEED", "[" * 10_000)])
    with pytest.raises(ValueError, match=f"^--epochs{DEEP}"):
        settings.cast("--epochs", "epochs", "[" * 10_000, 1)
    path.write_text(f"{'c' * 1000}: 1", "utf-8")
    with pytest.raises(notebook.NotebookError) as refused:
        notebook.given_parameters({"SEED": 1}, path)
    assert len(str(refused.value)) < 300 + len(str(path))

"""Rules of the house that a machine can hold."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [p for p in ("data_scripts", "reloop2_keras", "mindspore_port") if (ROOT / p).is_dir()]
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FRAMEWORKS = {"keras", "tensorflow", "jax", "torch", "mindspore"}
FORBIDDEN = {
    "reloop2_keras": FRAMEWORKS - {"keras"} | {"data_scripts", "mindspore_port"},
    "mindspore_port": FRAMEWORKS - {"mindspore"} | {"data_scripts"},
    "data_scripts": FRAMEWORKS | {"mindspore_port"},
}
CORE = {*sys.stdlib_module_names, "numpy", "numba", "pyarrow", "tqdm"}
RIVALS = {"vowpalwabbit", "sklearn", "scipy"}  # optional: by `served.needed`, never by a statement


def imported(tree):
    """Yield the full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative import"
            yield node.module


def is_core(module):
    return (module + ".").startswith("reloop2_keras.core.")


def is_rivals(module):
    return (module + ".").startswith("reloop2_keras.rivals.")


def chooses_a_backend(tree):
    """Lines that could set KERAS_BACKEND: all that name it but those that only ask for it.

    The name may stand in a longer text (a docstring, a message), and alone as the argument of
    `….get(…)`. What is left would be an assignment, `setdefault`, `putenv`, `update` or a dict.
    """
    asked = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get"
        for argument in node.args[:1]
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if (
            isinstance(node, ast.Constant)
            and node.value == "KERAS_BACKEND"
            and id(node) not in asked
        )
        or (isinstance(node, ast.keyword) and node.arg == "KERAS_BACKEND")
        or (isinstance(node, ast.Attribute) and node.attr == "set_backend")
    ]


@pytest.mark.parametrize(
    ("code", "chooses"),
    [
        ('"""KERAS_BACKEND=jax"""; os.environ.get("KERAS_BACKEND")', False),
        ('os.environ["KERAS_BACKEND"] = "jax"', True),
        ('os.environ.setdefault("KERAS_BACKEND", "jax")', True),
        ('os.putenv("KERAS_BACKEND", "jax")', True),
        ('os.environ.update(KERAS_BACKEND="jax")', True),
        ('os.environ |= {"KERAS_BACKEND": "jax"}', True),
        ('name = "KERAS_BACKEND"; os.environ[name] = "jax"', True),
        ('keras.config.set_backend("jax")', True),
    ],
)
def test_the_rule_that_no_library_code_chooses_a_backend(code, chooses):
    assert bool(chooses_a_backend(ast.parse(code))) == chooses


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_house_rules(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    place = path.relative_to(ROOT)
    modules = [module for module in imported(tree) if not is_core(module)]
    tops = {module.split(".")[0] for module in modules}
    if place.parts[:2] == ("reloop2_keras", "core"):
        assert tops <= CORE
    elif place.parts[:2] == ("reloop2_keras", "rivals"):
        assert {m.split(".")[0] for m in modules if not is_rivals(m)} <= CORE
    elif place.parts[:2] != ("reloop2_keras", "backend"):
        assert not tops & FORBIDDEN[place.parts[0]]
    if place.parts[0] != "reloop2_keras":
        assert "reloop2_keras" not in tops, "only reloop2_keras.core may be imported here"
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"bare assert in line {node.lineno}"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            assert path.name == "__main__.py", f"print in line {node.lineno}"
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            top = node in tree.body
            assert not top or ast.get_docstring(node), f"{node.name} has no docstring"
    assert not chooses_a_backend(tree)


REFUSING = """
import importlib, pkgutil, sys
for name in {before!r}:
    importlib.import_module(name)
for name in {refused!r}:
    sys.modules[name] = None  # as if it were not installed
for name in {imports!r}:
    module = importlib.import_module(name)
    for part in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        if not part.name.endswith("__main__"):
            importlib.import_module(part.name)
"""
TABLES = {"pandas", "scipy", "matplotlib", "polars"}


@pytest.mark.parametrize(
    ("imports", "refused", "before"),
    [
        (["reloop2_keras.core"], FRAMEWORKS | TABLES | {"data_scripts", "mindspore_port"}, []),
        (["reloop2_keras.rivals"], FRAMEWORKS | TABLES | RIVALS | {"data_scripts"}, []),
        (["data_scripts"], FRAMEWORKS | {"mindspore_port"}, []),
        # MindSpore itself imports scipy, so it comes before scipy is refused to our code
        (["mindspore_port"], FRAMEWORKS - {"mindspore"} | TABLES | {"data_scripts"}, ["mindspore"]),
    ],
)
def test_what_a_room_imports_in_a_fresh_process(imports, refused, before):
    for name in before:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    code = REFUSING.format(imports=imports, refused=refused, before=before)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr

"""Rules of design.md that a machine can hold."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [p for p in ("data_scripts", "reloop2_keras", "mindspore_port") if (ROOT / p).is_dir()]
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FORBIDDEN = {
    "reloop2_keras": {"tensorflow", "jax", "torch", "mindspore", "data_scripts"},
    "mindspore_port": {"keras", "tensorflow", "jax", "torch", "reloop2_keras"},
    "data_scripts": {"keras", "tensorflow", "jax", "torch", "mindspore", "reloop2_keras"},
}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_house_rules(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    place = path.relative_to(ROOT)
    if place.parts[:2] != ("reloop2_keras", "backend"):
        assert not set(imported(tree)) & FORBIDDEN[place.parts[0]]
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"bare assert in line {node.lineno}"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            assert path.name == "__main__.py", f"print in line {node.lineno}"
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            top = node in tree.body
            assert not top or ast.get_docstring(node), f"{node.name} has no docstring"
    assert "KERAS_BACKEND" not in text

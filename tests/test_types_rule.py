"""Every public function says what it takes and returns; mypy, in `make lint`, holds it to that."""

import ast
import tomllib

import pytest
from test_house_rules import PACKAGES, ROOT

TYPED = ["data_scripts", "mindspore_port", "reloop2_keras"]
FILES = [path for package in TYPED for path in sorted((ROOT / package).rglob("*.py"))]


def untyped(body, where=(), inside_class=False):
    """Yield "Class.function, line N" for each public function that lacks an annotation.

    Public: no part of the name but `__init__` starts with an underscore, and the function does
    not stand within another one.
    """
    for node in body:
        if isinstance(node, ast.ClassDef):
            if not node.name.startswith("_"):
                yield from untyped(node.body, (*where, node.name), True)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            public = node.name == "__init__" or not node.name.startswith("_")
            if public and not is_typed(node, inside_class):
                yield f"{'.'.join((*where, node.name))}, line {node.lineno}"
        elif isinstance(node, ast.If | ast.Try | ast.With):
            parts = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
            parts += [handler.body for handler in getattr(node, "handlers", [])]
            for part in parts:
                yield from untyped(part, where, inside_class)


def is_typed(function, inside_class):
    given = function.args
    arguments = [*given.posonlyargs, *given.args]
    if inside_class and "staticmethod" not in map(ast.unparse, function.decorator_list):
        arguments = arguments[1:]  # self or cls
    arguments += [*given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return function.returns is not None and all(a.annotation is not None for a in arguments)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("def f(a: int) -> int: ...", []),
        ("def f(a) -> int: ...", ["f, line 1"]),
        ("def f(a: int): ...", ["f, line 1"]),
        ("def f(*a) -> None: ...", ["f, line 1"]),
        ("def f(**a) -> None: ...", ["f, line 1"]),
        ("def f(*, a) -> None: ...", ["f, line 1"]),
        ("def _f(a): ...", []),
        ("def f() -> None:\n  def g(a): ...", []),
        ("class C:\n  def f(self): ...", ["C.f, line 2"]),
        ("class C:\n  def f(self) -> int: ...", []),
        ("class C:\n  def __init__(self, a): ...", ["C.__init__, line 2"]),
        ("class C:\n  def __call__(self, a): ...", []),
        ("class C:\n  @staticmethod\n  def f(a) -> int: ...", ["C.f, line 3"]),
        ("class _C:\n  def f(self): ...", []),
        ("if x:\n  def f(a): ...\nelse:\n  def g(a): ...", ["f, line 2", "g, line 4"]),
        ("try:\n  x\nexcept E:\n  def f(a): ...", ["f, line 4"]),
    ],
)
def test_what_the_rule_finds(code, found):
    assert list(untyped(ast.parse(code).body)) == found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_functions_are_typed(path):
    assert list(untyped(ast.parse(path.read_text(encoding="utf-8")).body)) == []


def test_packages_tell_type_checkers_of_their_types():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    shipped = settings["setuptools"]["package-data"]
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").exists()
        assert "py.typed" in shipped[package]
    assert sorted(settings["mypy"]["packages"]) == sorted(PACKAGES)

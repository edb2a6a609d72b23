"""Names that tell: a module that a function of its own name hides cannot be imported as such."""

import ast

import pytest
from test_house_rules import ROOT

CLEAR = ["data_scripts", "mindspore_port", "reloop2_keras"]
INITS = [path for package in CLEAR for path in sorted((ROOT / package).rglob("__init__.py"))]


def hidden(text, modules, package):
    """Names of modules of `package` that its `__init__`, of this text, gives to something else."""
    given, themselves = set(), set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom):
            names = themselves if node.module == package else given
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            given.add(node.name)
        elif isinstance(node, ast.Assign):
            given |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            # names that a package imports when they are first asked for are keys of a dict
            texts = node.value.keys if isinstance(node.value, ast.Dict) else ast.walk(node.value)
            given |= {x.value for x in texts if isinstance(x, ast.Constant)}
    return sorted((given - themselves) & modules)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from room.logit import logit", ["logit"]),
        ("from room.logit import Logit", []),
        ("from room import logit\n__all__ = ['logit']", []),
        ("def logit(): ...", ["logit"]),
        ("LAZY = {'logit': 'other'}", ["logit"]),
        ("LAZY = {'other': 'logit'}", []),
    ],
)
def test_what_the_rule_finds(text, found):
    assert hidden(text, {"logit"}, "room") == found


@pytest.mark.parametrize("path", INITS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_is_hidden_by_a_function_of_its_name(path):
    modules = {part.stem for part in path.parent.iterdir() if part.suffix == ".py"}
    modules |= {part.name for part in path.parent.iterdir() if (part / "__init__.py").exists()}
    package = ".".join(path.parent.relative_to(ROOT).parts)
    assert hidden(path.read_text(encoding="utf-8"), modules, package) == []

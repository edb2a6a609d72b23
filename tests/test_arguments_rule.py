"""One way to check a number that was given: `core.arguments`, whatever its type.

Checked by hand, `int(x) != x` or `x < 0`, a text or None ends in a TypeError that names nothing,
and NaN is let through.
"""

import ast

import pytest
from test_house_rules import ROOT

ROOMS = ("reloop2_keras", "mindspore_port", "data_scripts", "notebooks", "benchmarks", "examples")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
NUMBERS = {"int", "float", "Integral", "Real", "Number", "integer", "floating", "number"}
EXCEPT = {
    ("reloop2_keras/core/serving/late_labels.py", "checked_labels"),  # a label, which may be None
    ("reloop2_keras/core/serving/packed.py", "_count"),  # of a file, whose error names the file
    ("examples/consumer.py", "checked"),  # stands alone, and argparse has made it an int
}


def is_number(node):
    """Whether an expression is a number that the code holds: 0, -1, 2**31, math.inf."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.UnaryOp):
        return is_number(node.operand)
    if isinstance(node, ast.BinOp):
        return is_number(node.left) and is_number(node.right)
    text = ast.unparse(node)
    return text.endswith(".inf") or text.replace('"', "'") == "float('inf')"


def is_by_hand(node, names):
    """Whether a part of a condition checks by hand the number that one of these names holds."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
        given, kinds = node.args
        found = {getattr(part, "id", getattr(part, "attr", "")) for part in ast.walk(kinds)}
        return isinstance(given, ast.Name) and bool(found & NUMBERS)
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    texts = [ast.unparse(side) for side in sides]
    if any(f"{kind}({text})" in texts for kind in ("int", "float") for text in texts):
        return True
    ordered = all(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops)
    given = any(isinstance(side, ast.Name) and side.id in names for side in sides)
    return ordered and given and any(map(is_number, sides))


def names_of(function):
    """Arguments, and what a loop takes out of one of them."""
    given = function.args
    names = {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    for node in ast.walk(function):
        loop = isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name)
        if loop and isinstance(node.iter, ast.Name) and node.iter.id in names:
            names.add(node.target.id)
    return names


def raises(node):
    """Whether an `if` does nothing but raise ValueError."""
    if not isinstance(node, ast.If) or not isinstance(node.body[0], ast.Raise):
        return False
    return "ValueError" in ast.unparse(node.body[0])


def checks_by_hand(text):
    """Return the functions that check an argument's number themselves."""
    return sorted(
        {
            function.name
            for function in ast.walk(ast.parse(text))
            if isinstance(function, ast.FunctionDef)
            for node in ast.walk(function)
            if raises(node)
            and any(is_by_hand(part, names_of(function)) for part in ast.walk(node.test))
        }
    )


@pytest.mark.parametrize(
    ("condition", "by_hand"),
    [
        ("int(x) != x or x < 1", True),
        ("x is not None and int(x) != x", True),
        ("float(x) != x", True),
        ("x < 0", True),
        ("not 0 < x <= 1", True),
        ("not 0 <= x < float('inf')", True),
        ("not x >= -1", True),
        ("not isinstance(x, int)", True),
        ("isinstance(x, bool | np.integer)", True),
        ("any(int(step) != step for step in x)", True),
        ("any(step < 0 for step in x)", True),
        ("int(self.x) != self.x", True),
        ("len(x) < 2", False),
        ("x.min() < 0", False),
        ("x not in ('auc', 'logloss')", False),
        ("x is None", False),
        ("isinstance(x, str)", False),
        ("found < 0", False),
    ],
)
def test_what_the_rule_finds(condition, by_hand):
    text = f"def f(x):\n    if {condition}:\n        raise ValueError('x')\n"
    assert checks_by_hand(text) == (["f"] if by_hand else [])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_numbers_are_checked_by_core_arguments(path):
    place = path.relative_to(ROOT).as_posix()
    if place == "reloop2_keras/core/arguments.py":
        return
    found = {(place, name) for name in checks_by_hand(path.read_text(encoding="utf-8"))}
    assert found == {one for one in EXCEPT if one[0] == place}

"""What `make docs` changes in Markdown and docstrings before its tools read them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "site"))

from texts import fenced, from_elsewhere, one_by_one, spaced, with_formulas  # noqa: E402


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("word:\n- a\n- b\n\nend", "word:\n\n- a\n- b\n\nend"),
        ("word\n1. a\n2. b", "word\n\n1. a\n2. b"),
        ("in (KDD\n2023) it was", "in (KDD\n2023) it was"),  # no list begins by 2023
        ("- a\n  more\n- b", "- a\n  more\n- b"),
        ("```\nword\n- a\n```", "```\nword\n- a\n```"),
        ("| a .5 / **.6** | 1 / 2 |", "| a .5&nbsp;/&nbsp;**.6** | 1&nbsp;/&nbsp;2 |"),
        ("and / or .5 / .6", "and / or .5 / .6"),
    ],
)
def test_lists_begin_after_an_empty_line(text, want):
    assert spaced(text) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a $x$, $y_1$.", "a <x>, <y_1>."),
        ("a $x\n+ y$ b", "a <x\n+ y> b"),
        ("$$\nx\n$$", "\n\n[\nx\n]\n\n"),
        ("`$x$` ``a ` $x$`` $y$", "`$x$` ``a ` $x$`` <y>"),
        ("```\n$x$\n```\n$y$", "```\n$x$\n```\n<y>"),
        ("a\n\n    $x$\n\n$y$", "a\n\n    $x$\n\n<y>"),
        ("$5 and $6, US$x$, \\$x$", "$5 and $6, US$x$, \\$x$"),
    ],
)
def test_formulas_outside_of_code_are_found(text, want):
    signs = {"inline": "<{}>", "block": "[{}]"}
    assert with_formulas(text, lambda latex, kind: signs[kind].format(latex)) == want


def test_several_names_become_one_entry_each():
    text = "Do.\n\nArgs:\n    a, *b: both,\n        and more.\n"
    text += "    c: c, d: not two.\n\nReturns:\n    a, b: x"
    want = "Do.\n\nArgs:\n    a: both,\n        and more.\n    *b: both,\n        and more.\n"
    want += "    c: c, d: not two.\n\nReturns:\n    a, b: x"
    assert one_by_one(text.split("\n")) == want.split("\n")


def test_examples_become_code():
    text = "Do.\n\nExample:\n    >>> f(\n    ... 1)\n    2\n\n    And:\n\n    >>> 1\n    1"
    want = "Do.\n\nExample:\n    ```pycon\n    >>> f(\n    ... 1)\n    2\n    ```\n\n    And:\n\n"
    want += "    ```pycon\n    >>> 1\n    1\n    ```"
    assert fenced(text.split("\n")) == want.split("\n")


def test_what_a_page_loads_from_elsewhere_is_found(tmp_path):
    (tmp_path / "good.html").write_text(
        "<a href='https://host/a'>x</a><img src='a.png'><script src=../a.js></script>"
        "<link href='https://host/' rel='canonical'>"
    )
    assert from_elsewhere(tmp_path) == []
    (tmp_path / "bad.html").write_text(
        "<script async src=https://host/a.js></script><link rel='stylesheet' href='//host/a.css'>"
    )
    (tmp_path / "bad.css").write_text("@import url('https://host/font.css');")
    assert [line.split(": ")[1] for line in from_elsewhere(tmp_path)] == [
        *("https://host/font.css", "https://host/a.js", "//host/a.css")
    ]

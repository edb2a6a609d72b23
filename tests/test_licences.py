"""The table of licences names every direct dependency, its pin, and what its package tells."""

import importlib.metadata
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "site"))

import licences  # noqa: E402


def table():
    """Package -> (version, licence, who brings it), as the page has it."""
    lines = licences.PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return {name: rest for name, *rest in rows[2:]}


def test_every_direct_dependency_is_named_with_its_pin_and_extras():
    rows, versions = table(), licences.pins()
    assert list(rows) == list(licences.direct())
    for name, brought in licences.direct().items():
        version, licence, who = rows[name]
        assert version == versions[name], name
        assert re.findall(r"`([\w-]+)`", who) == brought, name
        assert licence and "unknown" not in licence.lower(), name


def test_installed_packages_tell_what_the_page_says():
    rows, told = table(), licences.licences()
    assert {"numpy", "pyarrow", "tqdm"} <= set(told)
    versions = licences.pins()
    for name, licence in told.items():
        # another version than the pinned one may have another licence
        if importlib.metadata.version(name).split("+")[0] == versions[name]:
            assert rows[name][1] == licence, f"{name}: make licences"


@pytest.mark.parametrize(
    ("fields", "want"),
    [
        ({"License-Expression": "MIT", "License": "other"}, "MIT"),
        ({"License": "BSD  3-Clause"}, "BSD 3-Clause"),
        (
            {"License": "x" * 61, "Classifier": "License :: OSI Approved :: MIT License"},
            "MIT License",
        ),
        ({"License": "UNKNOWN"}, ""),
    ],
)
def test_where_a_licence_is_told(fields, want):
    from email.message import Message

    metadata = Message()
    for name, value in fields.items():
        metadata[name] = value
    assert licences.licence_of(metadata) == want

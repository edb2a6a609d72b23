"""Writes docs/licences.md: python docs/site/licences.py [SITE-PACKAGES …].

The licence of each package that pyproject.toml names, as the installed package tells it of itself.
The folders are further places to look in, such as that of the environment of `make docs`.
"""

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "licences.md"
LONGEST = 60  # characters of a licence's name; a longer old field holds the whole text
HEAD = """# Licences of what we depend on

Each package that [pyproject.toml](../pyproject.toml) names, its pinned version, the licence that
the package's own metadata tell, and who brings it (`core` is what a bare installation has, other
words are [extras](install.md#backends)). Their own dependencies are not listed. Wheels may hold
further libraries under licences of their own; look into their `*.dist-info`. reloop2 itself is
under the [MIT license](../LICENSE).

This page is made by `make licences`.

| package | version | licence | brought by |
| --- | --- | --- | --- |
"""


def canonical(name: str) -> str:
    """Return a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def direct() -> dict[str, list[str]]:
    """Return package -> who brings it: "core", and names of extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: dict[str, list[str]] = {}
    for who, several in {
        "core": project["dependencies"],
        **project["optional-dependencies"],
    }.items():
        for requirement in several:
            name = canonical(re.split(r"[\s<>=!~\[;]", requirement.strip())[0])
            if name != "reloop2":  # an extra that brings another one of ours
                found.setdefault(name, []).append(who)
    return dict(sorted(found.items()))


def pins() -> dict[str, str]:
    """Return package -> the version that constraints.txt has."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {canonical(name): version for name, version in pairs}


def licence_of(metadata: importlib.metadata.PackageMetadata) -> str:
    """Return the licence that a package's metadata tell; "" if they tell none.

    The field of PEP 639 goes first, then a short text in the old field, then classifiers.
    """
    if expression := metadata.get("License-Expression"):
        return expression
    text = " ".join((metadata.get("License") or "").split())
    if text and text.upper() != "UNKNOWN" and len(text) <= LONGEST:
        return text
    named = [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or () if "License ::" in c]
    return ", ".join(named)


def licences(folders: Iterable[str] = ()) -> dict[str, str]:
    """Return package -> licence, of the installed ones that pyproject.toml names."""
    found: dict[str, str] = {}
    for path in ([*sys.path], [*folders]):
        for one in importlib.metadata.distributions(path=path):
            found.setdefault(canonical(one.metadata["Name"]), licence_of(one.metadata))
    return {name: found[name] for name in direct() if name in found}


def page(folders: Iterable[str] = ()) -> str:
    """Return the page; an error names what is not installed, or tells no licence."""
    told, versions = licences(folders), pins()
    missing = [name for name in direct() if not told.get(name)]
    if missing:
        raise SystemExit(f"no licence found of {', '.join(missing)}: installed, and told there?")
    rows = [
        f"| {name} | {versions[name]} | {told[name]} | {', '.join(f'`{who}`' for who in brought)} |"
        for name, brought in direct().items()
    ]
    return HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(sys.argv[1:]), encoding="utf-8")

"""What the site is made of: pages and notebooks of the repository, and docstrings."""

import ast
import posixpath
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbconvert
from formulas import formula
from texts import spaced, with_formulas

ROOT = Path(__file__).parents[2]
PACKAGES = ("data_scripts", "reloop2_keras", "mindspore_port")
FIRST = ("install", "use", "serving", "scale", "results", "delay", "speed", "limits")
FIRST += ("reproducible", "maths", "method", "licences")
LINK = re.compile(r"""\]\(([^)\s]+)[^)]*\)|(?:href|src)=["']([^"']+)["']""")
Nav = list[dict[str, Any]]


def tracked() -> list[str]:
    """Return the files of the repository, those that are new too."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in done.stdout.splitlines() if (ROOT / name).is_file())


def title_of(text: str, name: str) -> str:
    """Return the first heading of a page, or its file's name."""
    found = re.search(r"^# (.+)$", text, re.M)
    return found[1].replace("`", "") if found else Path(name).stem


def copied(into: Path) -> tuple[dict[str, str], set[str]]:
    """Write pages and notebooks as Markdown, and the files that they link to, at the same paths.

    Returns:
        Path -> title of each page, and the paths of all files of the repository.
    """
    files = tracked()
    titles = {}
    for name in files:
        if name.startswith("tests/") or not name.endswith((".md", ".ipynb")):
            continue
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".ipynb"):
            text, resources = nbconvert.MarkdownExporter().from_filename(str(ROOT / name))
            pictures = path.with_name(f"{path.stem}_files")
            for picture, data in resources["outputs"].items():
                pictures.mkdir(exist_ok=True)
                (pictures / picture).write_bytes(data)
                text = text.replace(f"({picture})", f"({pictures.name}/{picture})")
            name, path = f"{name[:-6]}.md", path.with_suffix(".md")
        else:
            text = (ROOT / name).read_text(encoding="utf-8")
        titles[name] = title_of(text, name)
        text = re.sub(r"\.ipynb(?=[)#])", ".md", text)
        for link in LINK.finditer(text):
            target = posixpath.join(posixpath.dirname(name), (link[1] or link[2]).split("#")[0])
            target = posixpath.normpath(target)
            if target in files and not target.endswith((".md", ".ipynb")):
                (into / target).parent.mkdir(parents=True, exist_ok=True)
                (into / target).write_bytes((ROOT / target).read_bytes())
        try:
            path.write_text(spaced(with_formulas(text, formula)), encoding="utf-8")
        except ValueError as error:
            raise SystemExit(f"{name}: {error}") from None
    return titles, set(files)


def modules(files: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each package and its own modules that have something public, by name."""
    found: dict[str, list[str]] = {}
    for name in sorted(files):
        path = Path(name)
        if path.suffix != ".py" or path.parts[0] not in PACKAGES or path.stem == "__main__":
            continue
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        kinds = (ast.ClassDef, ast.FunctionDef)
        public = any(isinstance(n, kinds) and not n.name.startswith("_") for n in tree.body)
        own = found.setdefault(".".join(path.parent.parts), [])
        if path.stem != "__init__" and public:
            own.append(".".join(path.with_suffix("").parts))
    yield from sorted(found.items())


def reference(into: Path, files: set[str]) -> Nav:
    """Write a page a package for its docstrings; returns their places in the menu."""
    (into / "api").mkdir()
    nav: Nav = []
    for package, own in modules(files):
        parts = [f"# {package}\n\n::: {package}\n    options: {{members: false, "]
        parts[0] += "show_root_heading: false}\n"
        parts += [f"::: {module}\n" for module in own]
        (into / "api" / f"{package}.md").write_text("\n".join(parts), encoding="utf-8")
        nav.append({package: f"api/{package}.md"})
    return nav


def menu(titles: dict[str, str], api: Nav) -> Nav:
    """Return mkdocs' `nav`: start, pages, notebooks, rooms, docstrings."""
    left = dict(titles)
    left.pop("README.md")
    pages = [name for stem in FIRST if (name := f"docs/{stem}.md") in left]
    pages += sorted(name for name in left if name.startswith("docs/") and name not in pages)
    notebooks = sorted(name for name in left if name.startswith("notebooks/"))
    rooms = sorted(name for name in left if name.endswith("/README.md") and name not in notebooks)
    rest = sorted(set(left) - {*pages, *notebooks, *rooms})

    def listed(names: list[str]) -> Nav:
        return [{left[name]: name} for name in names]

    return [
        {"Start": "README.md"},
        {"Pages": listed([*pages, *rest])},
        {"Notebooks": listed(notebooks)},
        {"Rooms": listed(rooms)},
        {"Reference": api},
    ]

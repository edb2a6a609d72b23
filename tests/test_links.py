"""Every relative link and anchor of every page and notebook leads to something that git has."""

import json
import posixpath
import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import markdown_it
import pytest

ROOT = Path(__file__).parents[1]
LISTED = subprocess.run(
    ["git", "ls-files", "-co", "--exclude-standard"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
).stdout.splitlines()
FILES = {name for name in LISTED if (ROOT / name).is_file()}
PAGES = sorted(name for name in FILES if name.endswith((".md", ".ipynb")))
HTML = re.compile(r"""(?:href|src)=["']([^"']+)["']""")


def text_of(path):
    """The Markdown of a page, or of all such cells of a notebook."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = (c for c in json.loads(text)["cells"] if c["cell_type"] == "markdown")
        return "\n\n".join("".join(cell["source"]) for cell in cells)
    return text


def tokens(text):
    for block in markdown_it.MarkdownIt("commonmark").enable("table").parse(text):
        yield block
        yield from block.children or ()


def links(text):
    """All targets of links and pictures, of HTML too."""
    for token in tokens(text):
        if token.type in ("link_open", "image"):
            yield token.attrs["href" if token.type == "link_open" else "src"]
        elif token.type in ("html_block", "html_inline"):
            yield from HTML.findall(token.content)


def anchors(text):
    """What headings are called in a link: letters, digits, - and _, as the usual viewers do."""
    found, parsed = {}, list(tokens(text))
    for i, token in enumerate(parsed):
        if token.type == "heading_open":
            inline = parsed[i + 1].children or ()
            words = "".join(t.content for t in inline if t.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
            if found[slug]:
                found[f"{slug}-{found[slug]}"] = 0
    return set(found)


def broken(page, text, files, read):
    """The links of a page that lead nowhere, each with the reason."""
    for link in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):  # another host's, or mail
            continue
        path, _, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(path)))
        target = page if not path else target
        if path.startswith("/") or target not in files:
            yield f"{link}: no such file"
        elif anchor and target.endswith(".md") and anchor not in anchors(read(target)):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    read = {page: text_of(ROOT / page)}
    found = broken(page, read[page], FILES, lambda name: read.get(name) or text_of(ROOT / name))
    assert list(found) == []


def test_the_test_of_links_finds_what_is_wrong():
    pages = {
        "a/one.md": "# Its head: `x` & more\n## Twice\n## Twice\n",
        "b.md": "[1](a/one.md#its-head-x--more) [2](a/one.md#twice-1) ![3](a) | `[](no)`\n\n"
        "[4](#none) [5](a/one.md#twice-2) [6](A/one.md) [7](/b.md) <img src='no.png'>\n\n"
        "    [code](no.md)\n\n[8](https://host/none)\n",
    }
    found = list(broken("b.md", pages["b.md"], set(pages), pages.get))
    assert [line.split(":")[0] for line in found] == [
        *("a", "#none", "a/one.md#twice-2", "A/one.md", "/b.md", "no.png")
    ]


def test_pages_that_sources_name_exist():
    named = re.compile(r"(?<![\w/])(?:docs|notebooks|benchmarks)/[\w/]+\.(?:md|ipynb)\b")
    wrong = []
    for name in sorted(FILES):
        if name.endswith((".py", ".toml", ".yml", "Makefile")):
            text = (ROOT / name).read_text(encoding="utf-8")
            wrong += [(name, page) for page in named.findall(text) if page not in FILES]
    assert wrong == []

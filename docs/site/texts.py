"""Markdown and docstrings as they are written here, in the form that the site's tools read.

The standard library alone, so that the tests need none of these tools.
"""

import re
from collections.abc import Callable
from pathlib import Path

STARTS, ITEM = re.compile(r"[-*+] |1[.)] "), re.compile(r"[-*+] |\d+[.)] ")  # of a list
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# code is left alone: fences, lines set in after an empty one, and `spans`
CODE = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^(?P=fence)[^\n]*$"
    r"|(?:\A|(?<=\n\n))(?: {4}[^\n]*\n?)+"
    r"|(?P<tick>`+)(?!`).+?(?<!`)(?P=tick)(?!`)",
    re.M | re.S,
)
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.S)
INLINE = re.compile(r"(?<![\\$\w])\$(?=[^\s$])([^$\n]*(?:\n[^$\n]+)*?)(?<=[^\s\\])\$(?![\w$])")
SEVERAL = re.compile(r"^(?P<set_in> +)(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)+)(?P<rest>: .*)$")
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|audio|video)\b[^>]*\bsrc=["']?(?P<src>(?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon|modulepreload))"""
    r"""[^>]*\bhref=["']?(?P<href>(?:https?:)?//[^"'\s>]+)"""
    r"""|(?:url\(|@import\s+)["']?(?P<css>(?:https?:)?//[^"'\s)]+)""",
    re.I,
)


def spaced(text: str) -> str:
    """Return Markdown with an empty line before each list, which Python-Markdown needs."""
    out: list[str] = []
    fence, within = "", False  # within a list
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if mark and (not fence or line.strip() == fence):
            fence = "" if fence else mark[1]
        item = not fence and (ITEM if within else STARTS).match(line) is not None
        if item and not within and out and out[-1].strip():
            out.append("")
        within = item or (within and bool(line.strip()) and not fence)
        if line.startswith("|"):  # two scores in a cell stay in one line
            line = re.sub(r"(?<=\d) / (?=[*.\d])", "&nbsp;/&nbsp;", line)
        out.append(line)
    return "\n".join(out)


def with_formulas(text: str, formula: Callable[[str, str], str]) -> str:
    """Return Markdown with $…$ and $$…$$ replaced, but for those in code.

    Args:
        text: str.
        formula: function of LaTeX and "inline" or "block" that returns what stands in its place.
    """

    def outside(part: str) -> str:
        part = DISPLAY.sub(lambda m: f"\n\n{formula(m[1], 'block')}\n\n", part)
        return INLINE.sub(lambda m: formula(m[1], "inline"), part)

    out, at = [], 0
    for code in CODE.finditer(text):
        out += [outside(text[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*out, outside(text[at:])])


def one_by_one(lines: list[str]) -> list[str]:
    """Return lines with `a, b: meaning` under Args or Attributes as one entry a name."""
    out: list[str] = []
    within, at = -1, 0  # within: how far the section's heading is set in
    while at < len(lines):
        line = lines[at]
        depth = len(line) - len(line.lstrip())
        if line.strip() in ("Args:", "Attributes:"):
            within = depth
        elif line.strip() and depth <= within:
            within = -1
        found = SEVERAL.match(line)
        at += 1
        if found is None or within < 0 or depth != within + 4:
            out.append(line)
            continue
        more = []
        while at < len(lines) and lines[at].startswith(found["set_in"] + " "):
            more.append(lines[at])
            at += 1
        for name in found["names"].split(", "):
            out += [f"{found['set_in']}{name}{found['rest']}", *more]
    return out


def fenced(lines: list[str]) -> list[str]:
    """Return lines with examples that run (`>>>` up to an empty line) as blocks of code."""
    out: list[str] = []
    set_in = None
    for line in [*lines, ""]:
        if set_in is None and line.lstrip().startswith(">>>"):
            set_in = line[: len(line) - len(line.lstrip())]
            # under `Example:` no line may come between
            out += [""] if out and out[-1].strip() and out[-1].startswith(set_in) else []
            out.append(f"{set_in}```pycon")
        if set_in is not None and not line.strip():
            out.append(f"{set_in}```")
            set_in = None
        out.append(line)
    return out[:-1]


def from_elsewhere(folder: Path) -> list[str]:
    """Return what pages and styles would load from another host: page and address."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css"):
            for match in LOADED.finditer(path.read_text(encoding="utf-8")):
                address = match["src"] or match["href"] or match["css"]
                found.append(f"{path.relative_to(folder)}: {address}")
    return found

"""Pages that are one file, readable without JavaScript: the frame of each report.html.

Nothing is fetched: scripts and data are in the page. All text of the data is escaped, and the
page's own policy (Content-Security-Policy) lets no script run but the two of known hash, and no
connection be made.
"""

import base64
import hashlib
import html
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_log = logging.getLogger(__name__)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 0 auto;
  padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.verdict { border-left: .4rem solid #777; background: #f4f4f4; padding: .8rem 1rem; }
.deploy { border-color: #009e73; } .keep { border-color: #d55e00; }
.verdict strong { font-size: 1.25rem; display: block; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
td, th { padding: .15rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child, .text td, .text th { text-align: left; }
td:first-child { white-space: nowrap; }
.named td:nth-child(2), .named th:nth-child(2) { text-align: left; }
tr.told { font-weight: bold; background: #fdf3e7; } .note { color: #555; }
details { margin-top: 2rem; } code { overflow-wrap: anywhere; }
"""
START = """
const items = JSON.parse(document.getElementById("items").textContent);
for (const [name, item] of Object.entries(items)) Bokeh.embed.embed_item(item, name);
"""


def html_document(
    title: str,
    above: Iterable[str],
    draw: Callable[[], tuple[str, dict[str, Any]]],
    figures: Mapping[str, tuple[str, str]],
    below: Iterable[str] = (),
) -> str:
    """Return a whole HTML document.

    Where Bokeh is not installed it has no figures, and says so.

    Args:
        title: of the page.
        above: parts of the body before the figures, as HTML; empty ones are left out.
        draw: returns the library's script, and what it draws: see `core.interactive.scripts`.
        figures: name of a place -> (question, what the figure shows), in their order; those that
            are not drawn are left out.
        below: parts after the figures.

    Example:
        >>> page = html_document("1 < 2", [], lambda: ("", {}), {})
        >>> "<h1>1 &lt; 2</h1>" in page, "script-src 'none'" in page
        (True, True)
    """
    try:
        library, items = draw()
        lacking = ""
    except ImportError as error:
        library, items, lacking = "", {}, str(error)
        _log.warning("report.html is written without figures: %s", error)
    scripts = [library, START] if items else []
    body = [
        f"<h1>{html_text(title)}</h1>",
        *above,
        f'<p class="note">{html_text(lacking)}</p>' if lacking else "",
        *_figures(items, figures),
        *below,
    ]
    if items:
        data = json.dumps(items, allow_nan=False).replace("<", "\\u003c")
        body.append(f'<script type="application/json" id="items">{data}</script>')
        body += [f"<script>{script}</script>" for script in scripts]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, body))
        + "\n</body>\n</html>\n"
    )


def html_text(value: Any) -> str:
    """Return text as HTML, nothing of it a tag."""
    return html.escape(str(value))


def _policy(scripts: Iterable[str]) -> str:
    """What the page may do: run the scripts of these hashes, and nothing else, nor connect."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def html_table(rows: Sequence[Sequence[Any]], told: Sequence[int] = (), kind: str = "") -> str:
    """Return a table; the first row is its head, `told` are numbers of rows that stand out."""
    lines = [f'<div class="scroll"><table class="{kind}">']
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        mark = ' class="told"' if number in told else ""
        cells = "".join(f"<{tag}>{html_text(cell)}</{tag}>" for cell in row)
        lines.append(f"<tr{mark}>{cells}</tr>")
    return "\n".join([*lines, "</table></div>"])


def html_verdict(told: Any, kind: Any) -> str:
    """Return the verdict: its first sentence large, `kind` (deploy, keep, ...) gives the color."""
    first, _, rest = str(told).partition(". ")
    name = html_text(kind or "")
    return f'<p class="verdict {name}"><strong>{html_text(first)}</strong> {html_text(rest)}</p>'


def _figures(items: Mapping[str, Any], figures: Mapping[str, tuple[str, str]]) -> Iterable[str]:
    if not items:
        return
    told = "The figures need JavaScript; the verdict and the tables do not."
    yield f"<noscript><p>{told}</p></noscript>"
    for name, (question, note) in figures.items():
        if name in items:
            yield f"<h2>{html_text(question)}</h2>"
            yield f'<figure id="{name}" aria-label="{html_text(note)}"></figure>'
            yield f'<p class="note">{html_text(note)}</p>'

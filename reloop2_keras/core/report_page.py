"""report.html: one file that says what to do and shows why, readable without JavaScript.

Nothing is fetched: scripts and data are in the page. All text of the data is escaped, and the
page's own policy (Content-Security-Policy) lets no script run but the two of known hash, and no
connection be made.
"""

import base64
import hashlib
import html
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reloop2_keras.core.metrics_table import COLUMNS, arms_of, gain, shown
from reloop2_keras.core.overview import log_name
from reloop2_keras.core.report_figures import figure_scripts
from reloop2_keras.core.stream_facts import moved

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
.named td:nth-child(2), .named th:nth-child(2) { text-align: left; }
tr.told { font-weight: bold; background: #fdf3e7; } .note { color: #555; }
details { margin-top: 2rem; } code { overflow-wrap: anywhere; }
"""
START = """
const items = JSON.parse(document.getElementById("items").textContent);
for (const [name, item] of Object.entries(items)) Bokeh.embed.embed_item(item, name);
"""
# place of a figure -> (question, what it shows)
FIGURES = {
    "slots": (
        "Which arm is ahead, slot by slot?",
        "Up is better in both. Click a name to show or hide an arm; point at a line for figures.",
    ),
    "weights": (
        "Which of its parts does it listen to?",
        "After each slot that was learnt, those of the validation period first: how much each part "
        "counts in the prediction.",
    ),
    "table-weights": (
        "Which tables does it listen to?",
        "Those whose weight changed most from the first third of the stream to the last.",
    ),
    "calibration": (
        "Do predictions mean what they say?",
        "On the dashed line the click rate is what was predicted; ten bins of equally many rows.",
    ),
    "drift": (
        "What changes in the log itself?",
        "The click rate, and the share of rows with a value that training never kept.",
    ),
}


def report_page(content: Mapping[str, Any]) -> str:
    """Return report.html of a metrics.json: verdict, tables, figures, and how it was made.

    Where Bokeh is not installed the page has no figures, and says so.

    Args:
        content: of a metrics.json.

    Returns:
        str, a whole HTML document.

    Example:
        >>> page = report_page({"arms": {"frozen": {"auc": 0.7}}, "verdict": "deploy: <b>"})
        >>> "deploy: &lt;b&gt;" in page, "<b>" in page
        (True, False)
    """
    title = f"What to deploy on {log_name(content)}"
    try:
        library, items = figure_scripts(content)
        lacking = ""
    except ImportError as error:
        library, items, lacking = "", {}, str(error)
        _log.warning("report.html is written without figures: %s", error)
    scripts = [library, START] if items else []
    body = [
        f"<h1>{_text(title)}</h1>",
        _verdict(content),
        f'<p class="note">{_text(_facts(content))}</p>',
        _against(content),
        "<h2>How good is every arm?</h2>",
        _arms(content),
        f'<p class="note">{_text(lacking)}</p>' if lacking else "",
        *_figures(items),
        _moved(content),
        _how(content),
    ]
    if items:
        data = json.dumps(items, allow_nan=False).replace("<", "\\u003c")
        body.append(f'<script type="application/json" id="items">{data}</script>')
        body += [f"<script>{script}</script>" for script in scripts]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, body))
        + "\n</body>\n</html>\n"
    )


def _text(value: Any) -> str:
    return html.escape(str(value))


def _policy(scripts: Iterable[str]) -> str:
    """What the page may do: run the scripts of these hashes, and nothing else, nor connect."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _table(rows: Sequence[Sequence[Any]], told: Sequence[int] = (), kind: str = "") -> str:
    """A table; the first row is its head, `told` are numbers of rows that stand out."""
    lines = [f'<div class="scroll"><table class="{kind}">']
    for number, row in enumerate(rows):
        tag = "td" if number else "th"
        mark = ' class="told"' if number in told else ""
        cells = "".join(f"<{tag}>{_text(cell)}</{tag}>" for cell in row)
        lines.append(f"<tr{mark}>{cells}</tr>")
    return "\n".join([*lines, "</table></div>"])


def _verdict(content):
    told = str(content.get("verdict") or "no verdict: this file is of an older version")
    first, _, rest = told.partition(". ")
    kind = str((content.get("decision") or {}).get("do") or "")
    return f'<p class="verdict {_text(kind)}"><strong>{_text(first)}</strong> {_text(rest)}</p>'


def _facts(content):
    rows, seeds = content.get("rows"), content.get("seeds") or []
    slots = (content.get("parameters") or {}).get("slots")
    parts = [
        f"{rows:,} rows were predicted, scored, and only then learnt" if rows else "",
        f"in {slots} slots" if slots else "",
        f"seeds {', '.join(map(str, seeds))}" if seeds else "",
        f"backend {content['backend']}" if content.get("backend") else "",
        str(content.get("date") or "")[:10],
    ]
    return "; ".join(filter(None, parts))


def _against(content):
    """What the arm of the verdict gains over base, best control and best rival."""
    found = content.get("intervals") or {}
    if not found:
        return ""
    called = {"frozen": "the frozen base", "control": "its best control", "rival": "its best rival"}
    rows = [["over", "", "AUC gained", "95 % interval", "log loss less", "95 % interval"]]
    for kind, part in found.items():
        auc, loss = part["auc"], [_negated(v) for v in part["logloss"]]
        spans = (f"{shown(low, '{:+.4f}')} to {shown(high, '{:+.4f}')}" for _, low, high in (auc,))
        less = f"{shown(loss[2], '{:+.4f}')} to {shown(loss[1], '{:+.4f}')}"
        first, second = shown(auc[0], "{:+.4f}"), shown(loss[0], "{:+.4f}")
        rows.append([called.get(kind, kind), part["over"], first, *spans, second, less])
    note = "Intervals are of a block bootstrap over slots: one that holds 0 tells nothing."
    table = _table(rows, kind="named")
    return f'<h2>How much better, and how surely?</h2>\n{table}\n<p class="note">{note}</p>'


def _negated(value):
    return None if value is None else -value


def _arms(content):
    arms = arms_of(content)
    told = (content.get("decision") or {}).get("arm")
    rows: list[list[str]] = [["arm", *COLUMNS]]
    for arm, row in arms.items():
        known = {**row, "gain": gain(arm, arms)}
        rows.append([arm, *(shown(known.get(m), form) for m, _, form in COLUMNS.values())])
    return _table(rows, [i for i, row in enumerate(rows) if i and row[0] == told])


def _figures(items):
    if not items:
        return
    told = "The figures need JavaScript; the verdict and the tables do not."
    yield f"<noscript><p>{told}</p></noscript>"
    for name, (question, note) in FIGURES.items():
        if name in items:
            yield f"<h2>{_text(question)}</h2>"
            yield f'<figure id="{name}" aria-label="{_text(note)}"></figure>'
            yield f'<p class="note">{_text(note)}</p>'


def _moved(content):
    rows = [["what", "name", "first third", "last third", "change"]]
    for row in moved(content):
        figures = shown(row["first"]), shown(row["last"]), shown(row["change"], "{:+.4f}")
        rows.append([row["what"], row["name"], *figures])
    if len(rows) == 1:
        return ""
    return "<h2>What moved most?</h2>\n" + _table(rows, kind="named")


def _how(content):
    """What is needed to make it again."""
    names = ("dataset", "path", "checksum", "revision", "date", "seconds", "backend")
    rows = [["", ""], *([name, content[name]] for name in names if content.get(name) is not None)]
    for part in ("parameters", "versions"):
        rows += [[name, _short(value)] for name, value in (content.get(part) or {}).items()]
    crosses = (content.get("info") or {}).get("crosses") or []
    rows += [["crosses", ", ".join(" x ".join(map(str, cross)) for cross in crosses)]]
    picked = (content.get("info") or {}).get("picked") or []
    rows += [[f"picked, seed {row.get('seed')}, {row.get('arm')}", _short(row)] for row in picked]
    table = _table(rows, kind="text")
    return f"<details><summary>How this was made</summary>\n{table}\n</details>"


def _short(value):
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value

"""report.html of a comparison: it says what to do and shows why; see `core.html_page`."""

import json
from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.html_page import html_document, html_table, html_text, html_verdict
from reloop2_keras.core.metrics_table import COLUMNS, arms_of, gain, shown
from reloop2_keras.core.overview import log_name
from reloop2_keras.core.report_figures import figure_scripts
from reloop2_keras.core.stream_facts import moved

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
    verdict = content.get("verdict") or "no verdict: this file is of an older version"
    above = [
        html_verdict(verdict, (content.get("decision") or {}).get("do")),
        f'<p class="note">{html_text(facts(content))}</p>',
        _against(content),
        "<h2>How good is every arm?</h2>",
        _arms(content),
    ]
    title = f"What to deploy on {log_name(content)}"
    below = [_moved(content), how(content)]
    return html_document(title, above, lambda: figure_scripts(content), FIGURES, below)


def facts(content: Mapping[str, Any]) -> str:
    """Return in one line what was streamed: rows, slots, seeds, backend, date."""
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
    table = html_table(rows, kind="named")
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
    return html_table(rows, [i for i, row in enumerate(rows) if i and row[0] == told])


def _moved(content):
    rows = [["what", "name", "first third", "last third", "change"]]
    for row in moved(content):
        figures = shown(row["first"]), shown(row["last"]), shown(row["change"], "{:+.4f}")
        rows.append([row["what"], row["name"], *figures])
    if len(rows) == 1:
        return ""
    return "<h2>What moved most?</h2>\n" + html_table(rows, kind="named")


def how(content: Mapping[str, Any]) -> str:
    """Return what is needed to make it again, folded."""
    names = ("dataset", "path", "checksum", "revision", "date", "seconds", "backend")
    rows = [["", ""], *([name, content[name]] for name in names if content.get(name) is not None)]
    for part in ("parameters", "versions"):
        rows += [[name, _short(value)] for name, value in (content.get(part) or {}).items()]
    crosses = (content.get("info") or {}).get("crosses") or []
    rows += [["crosses", ", ".join(" x ".join(map(str, cross)) for cross in crosses)]]
    picked = (content.get("info") or {}).get("picked") or []
    rows += [[f"picked, seed {row.get('seed')}, {row.get('arm')}", _short(row)] for row in picked]
    table = html_table(rows, kind="text")
    return f"<details><summary>How this was made</summary>\n{table}\n</details>"


def _short(value):
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return value

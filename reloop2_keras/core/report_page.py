"""report.html of a comparison: it says what to do and shows why; see `core.study_page`."""

from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.html_page import html_table
from reloop2_keras.core.metrics_table import COLUMNS, arms_of, gain, shown
from reloop2_keras.core.overview import log_name
from reloop2_keras.core.report_figures import figure_scripts
from reloop2_keras.core.stream_facts import moved
from reloop2_keras.core.study_page import gained, interval_table, study_page

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
    kind = (content.get("decision") or {}).get("do")
    title = f"What to deploy on {log_name(content)}"
    intervals, arms, below = _against(content), [_arms(content)], _moved(content)
    return study_page(
        content,
        title,
        verdict,
        kind,
        intervals,
        arms,
        lambda: figure_scripts(content),
        FIGURES,
        below,
    )


def _against(content):
    """What the arm of the verdict gains over base, best control and best rival."""
    found = content.get("intervals") or {}
    if not found:
        return ""
    called = {"frozen": "the frozen base", "control": "its best control", "rival": "its best rival"}
    rows = [["over", "", "AUC gained", "95 % interval", "log loss less", "95 % interval"]]
    for kind, part in found.items():
        mean, low, high = (None if v is None else -v for v in part["logloss"])
        cells = [*gained(*part["auc"]), *gained(mean, high, low)]
        rows.append([called.get(kind, kind), part["over"], *cells])
    return interval_table("How much better, and how surely?", rows, "named")


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

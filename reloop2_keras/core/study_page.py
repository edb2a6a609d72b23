"""What the pages of a comparison share: verdict, facts, the arms' table, how it was made."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reloop2_keras.core.html_page import html_document, html_table, html_text, html_verdict
from reloop2_keras.core.metrics_table import shown

NOTE = "Intervals are of a block bootstrap over slots: one that holds 0 tells nothing."


def study_page(
    content: Mapping[str, Any],
    title: str,
    verdict: Any,
    kind: Any,
    intervals: str,
    arms: Sequence[str],
    draw: Callable[[], tuple[str, dict[str, Any]]],
    figures: Mapping[str, tuple[str, str]],
    below: str,
) -> str:
    """Return the HTML document of a metrics.json or a curve.json.

    Args:
        content: of the file.
        title: of the page.
        verdict: text, whose first sentence is shown large.
        kind: deploy, keep, ..., which gives the color.
        intervals: HTML between verdict and arms; "" is left out.
        arms: HTML of the arms' table, and what is said below it.
        draw, figures: see `html_document`.
        below: HTML between the figures and how it was made; "" is left out.

    Example:
        >>> page = study_page({}, "A", "wait.", "", "", ["<p>"], lambda: ("", {}), {}, "")
        >>> page.index("wait.") < page.index("How good is every arm?") < page.index("How this was")
        True
    """
    above = [
        html_verdict(verdict, kind),
        f'<p class="note">{html_text(facts(content))}</p>',
        intervals,
        "<h2>How good is every arm?</h2>",
        *arms,
    ]
    return html_document(title, above, draw, figures, [below, how(content)])


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


def interval_table(question: str, rows: Sequence[Sequence[Any]], kind: str = "") -> str:
    """Return a table of gains and their intervals as HTML, with its question and a note."""
    table = html_table(rows, kind=kind)
    return f'<h2>{html_text(question)}</h2>\n{table}\n<p class="note">{NOTE}</p>'


def gained(mean: float | None, low: float | None, high: float | None) -> list[str]:
    """Return the two cells of a gain: its mean and its interval.

    Example:
        >>> gained(0.01, 0.002, 0.03)
        ['+0.0100', '+0.0020 to +0.0300']
    """
    return [shown(mean, "{:+.4f}"), f"{shown(low, '{:+.4f}')} to {shown(high, '{:+.4f}')}"]


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

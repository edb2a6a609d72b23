"""report.html of a comparison at several delays, or of what to do about late clicks."""

from collections.abc import Mapping, Sequence
from typing import Any

from reloop2_keras.core.arm_styles import style
from reloop2_keras.core.delay import Delay
from reloop2_keras.core.html_page import html_table
from reloop2_keras.core.interactive import column, hover, legend, line, plot, scripts
from reloop2_keras.core.metrics_table import shown
from reloop2_keras.core.optional import optional
from reloop2_keras.core.overview import log_name
from reloop2_keras.core.report_figures import first_shown
from reloop2_keras.core.study_page import gained, interval_table, study_page

# place of the figure -> (question, what it shows)
FIGURES = {
    "curve": (
        "What does it cost each arm?",
        "Up is better above, down is better below. Click a name to show or hide an arm; point at "
        "a line for figures.",
    )
}


def curve_page(content: Mapping[str, Any]) -> str:
    """Return report.html of a curve.json: verdict, tables, a figure, and how it was made.

    Where Bokeh is not installed the page has no figure, and says so.

    Args:
        content: of a curve.json.

    Returns:
        str, a whole HTML document.

    Example:
        >>> found = {"axis": "delay", "points": ["0", "1"], "verdict": "deploy: <b>"}
        >>> found["arms"] = {"a": {"auc": [0.7, 0.6], "logloss": [0.5, None]}}
        >>> page = curve_page(found)
        >>> "deploy: &lt;b&gt;" in page, "0.7000 / 0.5000" in page
        (True, True)
    """
    cause = "late clicks cost" if content.get("bound") else f"a {content['axis']} costs"
    kinds = {one.get("do") for one in content.get("decisions") or []}
    kind = kinds.pop() if len(kinds) == 1 else ""
    title = f"What {cause} on {log_name(content)}"
    arms = [_arms(content), '<p class="note">AUC / log loss.</p>']
    return study_page(
        content,
        title,
        content.get("verdict"),
        kind,
        _changes(content),
        arms,
        lambda: curve_scripts(content),
        FIGURES,
        _verdicts(content),
    )


def curve_scripts(content: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the library's script and what it draws, at the place "curve".

    Args:
        content: of a curve.json.

    Raises:
        ImportError: in one line, where Bokeh is not installed.
    """
    models = optional("bokeh.models", "a figure of report.html", "study")
    names, arms = content["points"], list(content["arms"])
    known = amounts(names)
    at, unit = known or (list(range(len(names))), "")
    upper = plot(content["axis"], "AUC")
    lower = plot(content["axis"], "log loss", x_range=upper.x_range)
    first = _first_shown(content)
    lines: dict[str, list] = {}
    for arm, found in content["arms"].items():
        looks = {**style(arm, arms), "dots": True}
        for area, metric in ((upper, "auc"), (lower, "logloss")):
            columns, texts = {"x": at, "y": found[metric]}, {"at": names}
            drawn = line(area, arm, columns, looks, arm in first, texts)
            lines[arm] = lines.get(arm, []) + drawn
    for i, area in enumerate((upper, lower)):
        area.xaxis.ticker = models.FixedTicker(ticks=at)
        area.xaxis.major_label_overrides = dict(zip(at, names, strict=True))
        hover(area, (parts[2 * i] for parts in lines.values()), place="@at")
    legend(upper, lines)  # one for both
    return scripts({"curve": column(upper, lower)})


def amounts(names: Sequence[str]) -> tuple[list[float], str] | None:
    """Return where points lie and in which unit, if all are delays of one unit; else None.

    Example:
        >>> amounts(["0 slots", "2 slots"]), amounts(["0 slots", "100 rows"]), amounts(["wait"])
        (([0.0, 2.0], 'slots'), None, None)
    """
    try:
        delays = [Delay.of(name) for name in names]
    except ValueError:
        return None
    if len({delay.unit for delay in delays}) > 1:
        return None
    return [float(delay.amount) for delay in delays], delays[0].unit


def _first_shown(content):
    """The arms that are shown before anybody has clicked: those of any point's verdict."""
    rows = zip(content.get("decisions") or [], content.get("intervals") or [], strict=True)
    wanted = {
        arm
        for decision, found in rows
        for arm in first_shown({"arms": content["arms"], "decision": decision, "intervals": found})
    }
    return wanted or set(content["arms"])


def _arms(content):
    rows = [["arm", *content["points"]]]
    for arm, found in content["arms"].items():
        pairs = zip(found["auc"], found["logloss"], strict=True)
        rows.append([arm, *(f"{shown(a)} / {shown(loss)}" for a, loss in pairs)])
    decided = {one.get("arm") for one in content.get("decisions") or []}
    return html_table(rows, [i for i, row in enumerate(rows) if i and row[0] in decided])


def _changes(content):
    """What the recommended arm changes by, from the first point on."""
    found = content.get("changes")
    if not found or len(found["points"]) < 2:
        return ""
    rows = [["", "AUC", "95 % interval", "log loss", "95 % interval"]]
    pairs = list(zip(content["points"], found["points"], strict=True))
    for name, part in pairs[1:]:
        rows.append([name, *gained(*part["auc"]), *gained(*part["logloss"])])
    question = f"How does {found['arm']} change against {found['over']}?"
    return interval_table(question, rows)


def _verdicts(content):
    told = content.get("verdicts") or []
    if not told:
        return ""
    rows = [["", "verdict"], *zip(content["points"], told, strict=True)]
    return "<h2>What to do at each point?</h2>\n" + html_table(rows, kind="text")

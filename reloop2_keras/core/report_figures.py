"""The figures of report.html, which answer to the mouse: BokehJS, inside the page.

Bokeh (https://bokeh.org) and not Plotly or Altair: what a page needs of it is 1.3 MB of script
where Plotly's is 4.8, and it comes with the Python package, where Vega-Lite's must be fetched or
brought by a package of 30 MB.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reloop2_keras.core.arm_styles import BLACK, GREY, PALETTE, RECOMMENDED, style
from reloop2_keras.core.optional import optional
from reloop2_keras.core.stream_facts import moved, series

FIELDS = 6  # fields, or tables, that are drawn; 39 lines would say nothing
# dashes as Matplotlib writes them -> as Bokeh does
_DASHES = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "dashdot"}


def figure_scripts(content: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the library's script and what it draws.

    Args:
        content: of a metrics.json.

    Returns:
        (JavaScript, name of a place in the page -> what `Bokeh.embed.embed_item` takes); places:
        "slots", "weights", "table-weights", "calibration", "drift", where there is such a thing.

    Raises:
        ImportError: in one line, where Bokeh is not installed.
    """
    resources = optional("bokeh.resources", "a figure of report.html", "study")
    embed = optional("bokeh.embed", "a figure of report.html", "study")
    made = {
        "slots": _slots(content),
        "weights": _weights(content),
        "table-weights": _table_weights(content),
        "calibration": _calibration(content),
        "drift": _drift(content),
    }
    items = {name: embed.json_item(one) for name, one in made.items() if one is not None}
    # the core alone: widgets, tables and MathJax would be another 2.5 MB
    inline = resources.Resources(mode="inline", components=["bokeh"], log_level="error")
    return "\n".join(inline.js_raw), json.loads(json.dumps(items))


def first_shown(content: Mapping[str, Any]) -> list[str]:
    """Return the arms that a figure shows before anybody has clicked: those of the verdict.

    Example:
        >>> arms = dict.fromkeys(["frozen", "exact", "vw", "online"], {})
        >>> found = {"arms": arms, "intervals": {"rival": {"over": "vw"}}}
        >>> first_shown(found)
        ['frozen', 'vw', 'online']
    """
    over = [part["over"] for part in (content.get("intervals") or {}).values()]
    wanted = {"frozen", "online", (content.get("decision") or {}).get("arm"), *over}
    few = [arm for arm in content["arms"] if arm in wanted]
    return few if len(few) > 1 else list(content["arms"])


def _plot(x: str, y: str, **options: Any) -> Any:
    plotting = optional("bokeh.plotting", "a figure of report.html", "study")
    plot = plotting.figure(
        height=320,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        active_drag=None,  # a finger that scrolls the page must not move a figure
        active_scroll=None,
        x_axis_label=x,
        y_axis_label=y,
        **options,
    )
    plot.toolbar.logo = None
    for span in (plot.x_range, plot.y_range):
        span.only_visible = True  # what is hidden must not flatten what is shown
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "11pt", "10pt"
        axis.axis_label_text_font_style = "normal"
    plot.grid.grid_line_color = "#eeeeee"
    return plot


def _line(
    plot: Any, name: str, columns: Mapping[str, Sequence], looks: Mapping, shown: bool
) -> list[Any]:
    """Draw one line; text of the data is a column, which Bokeh writes as text and never as HTML."""
    models = optional("bokeh.models", "a figure of report.html", "study")
    count = len(columns["x"])
    data = {key: [_number(v) for v in values] for key, values in columns.items()}
    source = models.ColumnDataSource({**data, "name": [name] * count})
    line = plot.line(
        "x",
        "y",
        source=source,
        color=looks["color"],
        line_dash=_DASHES.get(looks["ls"]) or list(looks["ls"][1]),
        line_width=looks.get("lw", 1.8),
        level="overlay" if name == RECOMMENDED else "glyph",  # nothing hides it
    )
    line.visible = shown
    if looks.get("dots"):
        dots = plot.scatter("x", "y", source=source, color=looks["color"], size=6)
        dots.visible = shown
        return [line, dots]
    return [line]


def _hover(plot: Any, lines: Iterable[Any], columns: Iterable[str] = ()) -> None:
    """Tell the name, the place and some columns of the line that is pointed at."""
    models = optional("bokeh.models", "a figure of report.html", "study")
    place, value = plot.xaxis[0].axis_label, plot.yaxis[0].axis_label
    tips = [("", "@name"), (place, "@x{0.[0000]}"), (value, "@y{0.0000}")]
    tips += [(name, f"@{{{name}}}{{0.[0000]}}") for name in columns]
    plot.add_tools(models.HoverTool(renderers=list(lines), tooltips=tips, visible=False))


def _legend(plot: Any, lines: Mapping[str, list]) -> None:
    """Put a legend to the right: a click on a name shows or hides what is drawn of it."""
    models = optional("bokeh.models", "a figure of report.html", "study")
    items = [models.LegendItem(label=name, renderers=drawn) for name, drawn in lines.items()]
    legend = models.Legend(items=items, click_policy="hide", label_text_font_size="10pt")
    legend.spacing, legend.padding, legend.border_line_color = 0, 4, None
    legend.inactive_fill_alpha = 0.4  # a name that is hidden can still be read
    plot.add_layout(legend, "right")
    plot.height = max(plot.height, 24 * len(lines) + 60)


def _number(value: Any) -> float:
    return math.nan if value is None else value


def _column(*plots: Any) -> Any:
    layouts = optional("bokeh.layouts", "a figure of report.html", "study")
    return layouts.column(*plots, sizing_mode="stretch_width")


def _slots(content):
    """What each arm gains over the frozen base in each slot; without that base, its figures."""
    slots = content.get("slots") or {}
    arms = list(slots)
    if not arms or not slots[arms[0]].get("auc"):
        return None
    frozen = slots.get("frozen")
    told = "gained over frozen" if frozen else ""
    upper = _plot("slot", f"AUC {told}".strip())
    lower = _plot("slot", f"log loss {told}".strip(), x_range=upper.x_range)
    lines: dict[str, list] = {}
    first = first_shown(content)
    for arm, found in slots.items():
        looks = style(arm, arms)
        raw = {"AUC": found["auc"], "log loss": found["logloss"]}
        for plot, metric, sign in ((upper, "auc", 1.0), (lower, "logloss", -1.0)):
            y = found[metric]
            if frozen:
                y = [_less(a, b, sign) for a, b in zip(y, frozen[metric], strict=True)]
            columns = {"x": list(range(len(y))), "y": y, **raw}
            lines[arm] = lines.get(arm, []) + _line(plot, arm, columns, looks, arm in first)
    for i, plot in enumerate((upper, lower)):
        _hover(plot, (pair[i] for pair in lines.values()), raw)
    _legend(upper, lines)  # one for both
    return _column(upper, lower)


def _less(value, floor, sign):
    return None if value is None or floor is None else sign * (value - floor)


def _weights(content):
    arm, runs = _inside(content, "weights")
    return _series(series(runs), f"weight inside {arm}", None) if arm else None


def _table_weights(content):
    arm, runs = _inside(content, "table_weights")
    if not arm:
        return None
    kind = f"weight of a table inside {arm}"
    named = [row["name"] for row in moved(content, FIELDS) if row["what"] == kind]
    return _series(series(runs), "weight of a table's reading", named)


def _inside(content, key):
    """The arm of the verdict, or `online`, of which weights are known: (name, runs)."""
    known = (content.get("info") or {}).get(key) or {}
    wanted = [(content.get("decision") or {}).get("arm"), "online", *known]
    arm = next((name for name in wanted if name in known and known[name]), None)
    return arm, known.get(arm)


def _series(values, label, only):
    """Lines of several series over the slots; `only`: names, in the order of the legend."""
    names = list(values if only is None else only)
    names.sort(key=lambda name: -max((v or 0.0 for v in values[name]), default=0.0))
    plot, lines = _plot("slot that was learnt", label), {}
    for i, name in enumerate(names):
        looks = {"color": PALETTE[i % len(PALETTE)], "ls": _dash(i)}
        columns = {"x": list(range(len(values[name]))), "y": values[name]}
        lines[name] = _line(plot, name, columns, looks, True)
    _hover(plot, (line for (line,) in lines.values()))
    _legend(plot, lines)
    return plot


def _dash(i):
    return tuple(_DASHES)[i // len(PALETTE) % len(_DASHES)]


def _calibration(content):
    curves = content.get("calibration") or {}
    if not curves:
        return None
    plot, lines, first = _plot("mean prediction", "observed click rate"), {}, first_shown(content)
    ends = [v for curve in curves.values() for v in (curve["predicted"][0], curve["predicted"][-1])]
    diagonal = [min(ends), max(ends)]
    plot.line(diagonal, diagonal, color=GREY, line_dash="dashed", line_width=1.5)
    for arm, curve in curves.items():
        looks = {**style(arm, list(curves)), "dots": True}
        columns = {"x": curve["predicted"], "y": curve["observed"], "rows": curve["rows"]}
        lines[arm] = _line(plot, arm, columns, looks, arm in first)
    drawn = [line for line, _ in lines.values()]
    for span in (plot.x_range, plot.y_range):  # the diagonal is as long as the longest of all arms
        span.renderers = drawn
    _hover(plot, drawn, ["rows"])
    _legend(plot, lines)
    return plot


def _drift(content):
    facts = content.get("drift") or {}
    rates, unseen = facts.get("click_rate") or [], facts.get("unseen") or {}
    if not rates:
        return None
    upper = _plot("slot", "click rate")
    upper.height, upper.y_range.start = 220, 0
    columns = {"x": list(range(len(rates))), "y": rates, "rows": facts["rows"]}
    looks = {"color": BLACK, "ls": "-"}
    _hover(upper, _line(upper, "click rate", columns, looks, True), ["rows"])
    if not unseen:
        return upper
    lower, lines = _plot("slot", "share of unseen values", x_range=upper.x_range), {}
    lower.y_range.start = 0
    top = sorted(unseen, key=lambda field: -max(unseen[field]))
    for i, field in enumerate(top):
        looks = {"color": PALETTE[i % len(PALETTE)], "ls": _dash(i)}
        columns = {"x": list(range(len(unseen[field]))), "y": unseen[field]}
        lines[field] = _line(lower, field, columns, looks, i < FIELDS)
        if len(lines) == 2 * FIELDS:
            break
    _hover(lower, (line for (line,) in lines.values()))
    _legend(lower, lines)
    return _column(upper, lower)

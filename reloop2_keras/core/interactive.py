"""Figures that answer to the mouse: BokehJS, inside the page.

Bokeh (https://bokeh.org) and not Plotly or Altair: what a page needs of it is 1.3 MB of script
where Plotly's is 4.8, and it comes with the Python package, where Vega-Lite's must be fetched or
brought by a package of 30 MB.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reloop2_keras.core.arm_styles import RECOMMENDED
from reloop2_keras.core.optional import optional

# dashes as Matplotlib writes them -> as Bokeh does
DASHES = {"-": "solid", "--": "dashed", ":": "dotted", "-.": "dashdot"}


def scripts(made: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the library's script and what it draws.

    Args:
        made: name of a place in the page -> figure, or None where there is nothing to draw.

    Returns:
        (JavaScript, name of a place -> what `Bokeh.embed.embed_item` takes).

    Raises:
        ImportError: in one line, where Bokeh is not installed.
    """
    resources = optional("bokeh.resources", "a figure of report.html", "study")
    embed = optional("bokeh.embed", "a figure of report.html", "study")
    items = {name: embed.json_item(one) for name, one in made.items() if one is not None}
    # the core alone: widgets, tables and MathJax would be another 2.5 MB
    inline = resources.Resources(mode="inline", components=["bokeh"], log_level="error")
    return "\n".join(inline.js_raw), json.loads(json.dumps(items))


def plot(x: str, y: str, **options: Any) -> Any:
    """Return an empty figure; `x` and `y` are what its axes are called."""
    plotting = optional("bokeh.plotting", "a figure of report.html", "study")
    made = plotting.figure(
        height=320,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        active_drag=None,  # a finger that scrolls the page must not move a figure
        active_scroll=None,
        x_axis_label=x,
        y_axis_label=y,
        **options,
    )
    made.toolbar.logo = None
    for span in (made.x_range, made.y_range):
        span.only_visible = True  # what is hidden must not flatten what is shown
    for axis in (*made.xaxis, *made.yaxis):
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "11pt", "10pt"
        axis.axis_label_text_font_style = "normal"
    made.grid.grid_line_color = "#eeeeee"
    return made


def line(
    plot: Any,
    name: str,
    columns: Mapping[str, Sequence],
    looks: Mapping,
    shown: bool,
    texts: Mapping[str, Sequence[str]] | None = None,
) -> list[Any]:
    """Draw one line; text of the data is a column, which Bokeh writes as text and never as HTML.

    Args:
        plot: of `plot`.
        name: of what the line is of.
        columns: "x", "y" and further ones -> numbers, None where there is none.
        looks: of `core.arm_styles.style`; `dots`: whether each point gets a dot.
        shown: whether it is seen before anybody has clicked.
        texts: further columns of text.

    Returns:
        list: what is drawn, for a legend.
    """
    models = optional("bokeh.models", "a figure of report.html", "study")
    count = len(columns["x"])
    data = {key: [_number(v) for v in values] for key, values in columns.items()}
    source = models.ColumnDataSource({**data, **(texts or {}), "name": [name] * count})
    drawn = plot.line(
        "x",
        "y",
        source=source,
        color=looks["color"],
        line_dash=DASHES.get(looks["ls"]) or list(looks["ls"][1]),
        line_width=looks.get("lw", 1.8),
        level="overlay" if name == RECOMMENDED else "glyph",  # nothing hides it
    )
    drawn.visible = shown
    if looks.get("dots"):
        dots = plot.scatter("x", "y", source=source, color=looks["color"], size=6)
        dots.visible = shown
        return [drawn, dots]
    return [drawn]


def hover(
    plot: Any, lines: Iterable[Any], columns: Iterable[str] = (), place: str = "@x{0.[0000]}"
) -> None:
    """Tell the name, the place and some columns of the line that is pointed at.

    Args:
        plot: of `plot`.
        lines: first parts of what `line` returned.
        columns: names of further ones to tell.
        place: how the place is told, by its column.
    """
    models = optional("bokeh.models", "a figure of report.html", "study")
    across, value = plot.xaxis[0].axis_label, plot.yaxis[0].axis_label
    tips = [("", "@name"), (across, place), (value, "@y{0.0000}")]
    tips += [(name, f"@{{{name}}}{{0.[0000]}}") for name in columns]
    plot.add_tools(models.HoverTool(renderers=list(lines), tooltips=tips, visible=False))


def legend(plot: Any, lines: Mapping[str, list]) -> None:
    """Put a legend to the right: a click on a name shows or hides what is drawn of it."""
    models = optional("bokeh.models", "a figure of report.html", "study")
    items = [models.LegendItem(label=name, renderers=drawn) for name, drawn in lines.items()]
    made = models.Legend(items=items, click_policy="hide", label_text_font_size="10pt")
    made.spacing, made.padding, made.border_line_color = 0, 4, None
    made.inactive_fill_alpha = 0.4  # a name that is hidden can still be read
    plot.add_layout(made, "right")
    plot.height = max(plot.height, 24 * len(lines) + 60)


def _number(value: Any) -> float:
    return math.nan if value is None else value


def column(*plots: Any) -> Any:
    """Return figures, one below the other."""
    layouts = optional("bokeh.layouts", "a figure of report.html", "study")
    return layouts.column(*plots, sizing_mode="stretch_width")

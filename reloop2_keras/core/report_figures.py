"""The figures of a comparison's report.html; how they are drawn is `core.interactive`'s."""

from collections.abc import Mapping
from typing import Any

from reloop2_keras.core.arm_styles import BLACK, GREY, PALETTE, style
from reloop2_keras.core.interactive import DASHES, column, hover, legend, line, plot, scripts
from reloop2_keras.core.stream_facts import moved, series

FIELDS = 6  # fields, or tables, that are drawn; 39 lines would say nothing


def figure_scripts(content: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the library's script and what it draws; see `core.interactive.scripts`.

    Args:
        content: of a metrics.json.

    Returns:
        (JavaScript, place in the page -> what is drawn there); places: "slots", "weights",
        "table-weights", "calibration", "drift", where there is such a thing.

    Raises:
        ImportError: in one line, where Bokeh is not installed.
    """
    made = {
        "slots": _slots(content),
        "weights": _weights(content),
        "table-weights": _table_weights(content),
        "calibration": _calibration(content),
        "drift": _drift(content),
    }
    return scripts(made)


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


def _slots(content):
    """What each arm gains over the frozen base in each slot; without that base, its figures."""
    slots = content.get("slots") or {}
    arms = list(slots)
    if not arms or not slots[arms[0]].get("auc"):
        return None
    frozen = slots.get("frozen")
    told = "gained over frozen" if frozen else ""
    upper = plot("slot", f"AUC {told}".strip())
    lower = plot("slot", f"log loss {told}".strip(), x_range=upper.x_range)
    lines: dict[str, list] = {}
    first = first_shown(content)
    for arm, found in slots.items():
        looks = style(arm, arms)
        raw = {"AUC": found["auc"], "log loss": found["logloss"]}
        for area, metric, sign in ((upper, "auc", 1.0), (lower, "logloss", -1.0)):
            y = found[metric]
            if frozen:
                y = [_less(a, b, sign) for a, b in zip(y, frozen[metric], strict=True)]
            columns = {"x": list(range(len(y))), "y": y, **raw}
            lines[arm] = lines.get(arm, []) + line(area, arm, columns, looks, arm in first)
    for i, area in enumerate((upper, lower)):
        hover(area, (pair[i] for pair in lines.values()), raw)
    legend(upper, lines)  # one for both
    return column(upper, lower)


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
    area, lines = plot("slot that was learnt", label), {}
    for i, name in enumerate(names):
        looks = {"color": PALETTE[i % len(PALETTE)], "ls": _dash(i)}
        columns = {"x": list(range(len(values[name]))), "y": values[name]}
        lines[name] = line(area, name, columns, looks, True)
    hover(area, (drawn for (drawn,) in lines.values()))
    legend(area, lines)
    return area


def _dash(i):
    return tuple(DASHES)[i // len(PALETTE) % len(DASHES)]


def _calibration(content):
    curves = content.get("calibration") or {}
    if not curves:
        return None
    area, lines, first = plot("mean prediction", "observed click rate"), {}, first_shown(content)
    ends = [v for curve in curves.values() for v in (curve["predicted"][0], curve["predicted"][-1])]
    diagonal = [min(ends), max(ends)]
    area.line(diagonal, diagonal, color=GREY, line_dash="dashed", line_width=1.5)
    for arm, curve in curves.items():
        looks = {**style(arm, list(curves)), "dots": True}
        columns = {"x": curve["predicted"], "y": curve["observed"], "rows": curve["rows"]}
        lines[arm] = line(area, arm, columns, looks, arm in first)
    drawn = [one for one, _ in lines.values()]
    for span in (area.x_range, area.y_range):  # the diagonal is as long as the longest of all arms
        span.renderers = drawn
    hover(area, drawn, ["rows"])
    legend(area, lines)
    return area


def _drift(content):
    facts = content.get("drift") or {}
    rates, unseen = facts.get("click_rate") or [], facts.get("unseen") or {}
    if not rates:
        return None
    upper = plot("slot", "click rate")
    upper.height, upper.y_range.start = 220, 0
    columns = {"x": list(range(len(rates))), "y": rates, "rows": facts["rows"]}
    looks = {"color": BLACK, "ls": "-"}
    hover(upper, line(upper, "click rate", columns, looks, True), ["rows"])
    if not unseen:
        return upper
    lower, lines = plot("slot", "share of unseen values", x_range=upper.x_range), {}
    lower.y_range.start = 0
    top = sorted(unseen, key=lambda field: -max(unseen[field]))
    for i, field in enumerate(top):
        looks = {"color": PALETTE[i % len(PALETTE)], "ls": _dash(i)}
        columns = {"x": list(range(len(unseen[field]))), "y": unseen[field]}
        lines[field] = line(lower, field, columns, looks, i < FIELDS)
        if len(lines) == 2 * FIELDS:
            break
    hover(lower, (drawn for (drawn,) in lines.values()))
    legend(lower, lines)
    return column(upper, lower)

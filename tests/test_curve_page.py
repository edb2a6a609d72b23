"""report.html of several delays, and of late clicks: the verdict, the tables, the figure's data."""

import json
import re

import numpy as np
import pytest
from report_case import EVIL, curve
from test_report_page import Parsed, models

from reloop2_keras.core.bootstrap import paired_interval
from reloop2_keras.core.curve import Curve
from reloop2_keras.core.curve_page import curve_page
from reloop2_keras.core.report import PrequentialReport
from reloop2_keras.core.verdict import decision, sentence


def text_of(page):
    return " ".join(Parsed(page).text.split())


@pytest.mark.parametrize("late", [False, True])
def test_what_is_told_is_what_each_report_says(late):
    made = curve(late)
    content = made.to_metrics()
    text = text_of(curve_page(content))
    for name, decided, told in zip(
        made.points, content["decisions"], content["verdicts"], strict=True
    ):
        assert decided == decision(made.points[name]) and told == sentence(made.points[name])
        assert f"{name} {told}" in text
    for arm, row in content["arms"].items():
        cells = (f"{a:.4f} / {b:.4f}" for a, b in zip(row["auc"], row["logloss"], strict=True))
        assert f"{arm} {' '.join(cells)}" in text
    assert content["verdict"] == made.sentence()
    for part in made.sentence().split(". ", 1):
        assert part in text
    assert text.index(made.sentence()[:20]) < text.index("How good is every arm?")
    assert content["seconds"] == [1.5] * len(made.points)
    # a parameter that differs is a list, one that does not is told once
    delays = content["parameters"]["delay"]
    assert delays == ("0 slots" if late else list(made.points))
    assert content["parameters"]["slots"] == 8


def test_the_verdict_over_delays_tells_what_each_costs():
    made = curve()
    told = made.sentence()
    assert told.startswith("deploy: online, at each delay. Against 0 slots, online changes: at 1 ")
    assert told.endswith("(2 seeds)")
    # the same by the definition: both points' predictions in one report
    points, change = list(made.points.values()), made.to_metrics()["changes"]
    both = {"late": points[2].predictions["online"], "now": points[0].predictions["online"]}
    report = PrequentialReport(
        ["late", "now"], [1, 2], both, points[0].labels, points[0].slot_of_row
    )
    for metric in ("auc", "logloss"):
        found = paired_interval(report, "late", "now", metric)
        assert change["points"][2][metric] == list(found)
        assert f"{found[0]:+.3f}".replace("0.", ".", 1) in told
    assert change["arm"] == "online" and change["points"][0]["auc"] == [0.0, 0.0, 0.0]


def test_advice_that_depends_on_the_delay_is_told_at_each():
    made = curve()
    worst = made.points["5 slots"]
    worst.predictions["online"] = [1 - p for p in worst.predictions["online"]]
    first = made.sentence().split(". ")[0]
    assert first == (
        "at 0 slots, 1 slots: deploy: online; at 5 slots: the memory does not help: keep "
        f"{decision(worst)['arm']}"
    )
    kind = re.search(r'class="verdict (\w*)"', curve_page(made.to_metrics()))[1]
    assert kind == ""  # neither green nor red


def test_the_best_way_is_named_only_if_it_is_known_to_be_the_best():
    made = curve(late=True)
    told = made.sentence()
    assert told.startswith("deploy: online; late clicks: retract. online with retract is better")
    assert "better than wait: " in told and "better than assume: " in told
    assert "below none late: " in told
    made = curve(late=True)  # a report keeps the scores that it was asked for once
    made.points["wait"].predictions["online"] = made.points["retract"].predictions["online"]
    told = made.sentence().split(". ")[0]
    assert told == "deploy: online; late clicks: not known yet, wait at best"


def test_the_data_of_the_figure_is_complete_and_in_its_place():
    content = curve().to_metrics()
    page = curve_page(content)
    items = json.loads(re.search(r'id="items">(.*?)</script>', page, re.S)[1])
    assert list(items) == ["curve"] and len(page) < 2_000_000
    lines = list(models(items["curve"], "GlyphRenderer"))
    assert len(lines) == 2 * 2 * len(content["arms"])  # AUC and log loss, lines and dots
    hidden = sum(not line.get("visible", True) for line in lines)
    assert hidden == 4 * len({"shuffled", "exact"})  # no verdict speaks of these
    labels = [item["label"]["value"] for item in models(items["curve"], "LegendItem")]
    assert labels == list(content["arms"])
    assert all(one["click_policy"] == "hide" for one in models(items["curve"], "Legend"))
    # five slots are as far as they are, and each point is called by its name
    ticks = [one["ticks"] for one in models(items["curve"], "FixedTicker")]
    assert ticks == [[0.0, 1.0, 5.0]] * 2 and "5 slots" in json.dumps(items)
    assert "connect-src" not in page.split("<style>")[0]


def test_text_of_the_data_is_never_markup():
    plain, evil = curve(), curve(names=EVIL)
    tags = [[tag for tag, _ in Parsed(curve_page(c.to_metrics())).tags] for c in (plain, evil)]
    assert tags[0] == tags[1]
    assert EVIL["exact"] in Parsed(curve_page(evil.to_metrics())).text


def test_both_files_are_written_and_one_slot_has_no_verdict(tmp_path):
    paths = curve().save(tmp_path)
    assert [path.name for path in paths] == ["curve.json", "report.html"]
    saved = json.loads(paths[0].read_text())
    assert text_of(paths[1].read_text()) == text_of(curve_page(saved))
    y, slots = np.array([0, 1, 1, 0]), np.zeros(4, "int32")
    p = {"frozen": [np.full(4, 0.5)], "online": [np.array([0.1, 0.5, 0.6, 0.2])]}
    one = PrequentialReport(list(p), [1], p, y, slots)
    made = Curve("delay", {"0 slots": one, "1 slots": one})
    assert made.to_metrics()["changes"] is None
    assert "not known yet" in text_of(curve_page(made.to_metrics()))

"""report.html: what it says without JavaScript, and that nothing of the data is code."""

import base64
import hashlib
import html.parser
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_case import EVIL, report

from reloop2_keras.core.report_page import report_page

ROOT = Path(__file__).parents[1]


class Parsed(html.parser.HTMLParser):
    """Tags with their attributes, and all text but that of scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._inside = [], "", ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data + " "


@pytest.fixture(scope="module")
def page():
    return report_page(report().to_metrics())


def test_verdict_and_tables_are_there_without_javascript(page):
    made = report()
    content, parsed = made.to_metrics(), Parsed(page)
    text = " ".join(parsed.text.split())
    assert content["verdict"].startswith("deploy: online. ")
    for sentence in content["verdict"].split(". ", 1):
        assert sentence in text
    assert text.index("deploy: online") < text.index("How good is every arm?")
    for arm, row in content["arms"].items():
        assert f"{arm} {row['auc']:.4f}" in text
    assert "What moved most?" in text and "share of unseen values user" in text
    assert "seeds 1, 2" in text and "The figures need JavaScript" in text
    assert made.info["checksum"] in text and made.info["revision"] in text


def test_nothing_is_fetched_and_only_known_scripts_may_run(page):
    tags = Parsed(page).tags
    assert not [tag for tag, _ in tags if tag in ("link", "img", "iframe", "object", "base")]
    assert not [name for _, given in tags for name in given if name in ("src", "href")]
    assert not [name for _, given in tags for name in given if name.startswith("on")]
    policy = next(given["content"] for tag, given in tags if "http-equiv" in given)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'" and "connect-src" not in rules
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    assert rules["script-src"].split() == [f"'sha256-{one}'" for one in hashes]
    assert len(scripts) == 2 and [t for t, _ in tags].count("script") == 3
    assert len(page) < 2_000_000


def models(part, kind):
    """Yield all of a kind in what Bokeh is given, wherever they stand."""
    if isinstance(part, dict):
        if part.get("name") == kind:
            yield part["attributes"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from models(one, kind)


def test_the_data_of_figures_is_json_and_complete(page):
    items = json.loads(re.search(r'id="items">(.*?)</script>', page, re.S)[1])
    assert list(items) == ["slots", "weights", "table-weights", "calibration", "drift"]
    lines = list(models(items["slots"], "GlyphRenderer"))
    assert len(lines) == 2 * len(report().arms)  # AUC, and log loss
    # those of the verdict are shown first, and one click away are the others
    assert sum(not line.get("visible", True) for line in lines) == 2 * len({"shuffled", "exact"})
    labels = [item["label"]["value"] for item in models(items["slots"], "LegendItem")]
    assert labels == report().arms
    for item in models(items["slots"], "Legend"):
        assert item["click_policy"] == "hide"
    assert len(list(models(items["calibration"], "GlyphRenderer"))) == 2 * len(labels) + 1
    assert [i["label"]["value"] for i in models(items["drift"], "LegendItem")] == ["user", "item"]


def test_text_of_the_data_is_never_markup():
    plain, evil = Parsed(report_page(report().to_metrics())), report(names=EVIL)
    parsed = Parsed(report_page(evil.to_metrics()))
    assert [tag for tag, _ in parsed.tags] == [tag for tag, _ in plain.tags]
    for name in EVIL.values():
        assert name in parsed.text


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_makes_a_tag(arm, verdict):
    content = {"arms": {arm: {"auc": 0.5}}, "verdict": verdict, "dataset": arm, "path": verdict}
    content |= {"backend": arm, "parameters": {arm: verdict}, "versions": {verdict: arm}}
    tags = [tag for tag, _ in Parsed(report_page(content)).tags]
    same = [tag for tag, _ in Parsed(report_page({**content, "verdict": "x"})).tags]
    assert tags == same and "script" not in tags


def test_a_stream_of_one_class_and_a_file_of_an_older_version():
    one = report(labels=np.ones(400, "uint8"))
    page = report_page(one.to_metrics())
    text = " ".join(Parsed(page).text.split())
    assert "online - - - - " in text and "nan" not in text.lower()
    old = {"arms": {"frozen": {"auc": 0.7}, "online": {}}, "slots": {}}
    assert "no verdict: this file is of an older version" in report_page(old)


def test_without_bokeh_the_page_says_how_to_get_its_figures():
    code = """
import sys; sys.path.insert(0, "tests"); import absent; absent.hide("bokeh")
from report_case import report
from reloop2_keras.core.report_page import report_page
page = report_page(report().to_metrics())
assert "pip install &#x27;reloop2[study]&#x27;" in page and "<script" not in page, page
assert "deploy: online" in page
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr

"""report.html in a headless Chromium: it draws, answers to a click, and runs no foreign code."""

import json
from pathlib import Path

import pytest
from report_case import EVIL, curve, report

from reloop2_keras.core.curve_page import curve_page
from reloop2_keras.core.report_page import report_page

pytestmark = pytest.mark.browser

PLACES = ["slots", "weights", "table-weights", "calibration", "drift"]
# the legend's names stand in shadow trees, one inside the other
DEEP = """
function deep(root, of) {
  const found = [...root.querySelectorAll(of)];
  for (const one of root.querySelectorAll("*"))
    if (one.shadowRoot) found.push(...deep(one.shadowRoot, of));
  return found;
}
"""


@pytest.fixture(scope="module")
def browser(chromium):
    return chromium()


def opened(browser, folder, content, ready=7, page=report_page):
    """Write a page and go to it; `ready`: how many figures to wait for."""
    path = Path(folder) / "report.html"
    path.write_text(page(content), encoding="utf-8")
    browser.get_log("performance")
    browser.get(path.as_uri())
    if ready:
        from selenium.webdriver.support.ui import WebDriverWait

        drawn = f"{DEEP} return deep(document, '.bk-Figure').length"
        WebDriverWait(browser, 60).until(lambda one: one.execute_script(drawn) >= ready)
    return path


def run(browser, script, *given):
    return browser.execute_script(DEEP + script, *given)


def visible(browser, arm):
    """Whether the lines of an arm are shown, in every plot of the first figure."""
    return run(
        browser,
        """
        const [name] = arguments;
        const root = Bokeh.index.roots.find(view => view.model.type == "Column");
        const lines = [];
        for (const figure of root.child_views)
          for (const one of figure.model.renderers)
            if (one.data_source.get_array("name")[0] == name) lines.push(one.visible);
        return lines;
        """,
        arm,
    )


def assert_quiet(browser, path):
    """No error was logged, and nothing but the page itself was asked for."""
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    events = (json.loads(line["message"])["message"] for line in browser.get_log("performance"))
    sent = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    # cursors and icons are data: inside the page; chrome: is what the browser draws of its own
    own = ("data:", "blob:", "chrome:")
    assert [url for url in sent if not url.startswith(own)] == [path.as_uri()]


def test_every_figure_is_drawn_without_an_error_and_nothing_is_fetched(browser, tmp_path):
    path = opened(browser, tmp_path, report().to_metrics())
    sizes = run(
        browser,
        """
        return arguments[0].map(name =>
          deep(document.getElementById(name), "canvas").map(one => one.width * one.height));
        """,
        PLACES,
    )
    assert all(max(found) > 100_000 for found in sizes)
    assert_quiet(browser, path)


def test_a_click_on_a_name_hides_an_arm_and_shows_it_again(browser, tmp_path):
    opened(browser, tmp_path, report().to_metrics())
    assert visible(browser, "online") == [True, True]
    assert visible(browser, "shuffled") == [False, False]
    for arm, states in (("online", (False, True)), ("shuffled", (True, False))):
        for state in states:
            click(browser, "slots", arm)
            assert visible(browser, arm) == [state, state]


def click(browser, place, arm):
    """Click an arm's name in a figure's legend."""
    script = """
    const place = document.getElementById(arguments[0]);
    return deep(place, ".bk-item").find(one => one.textContent == arguments[1]);
    """
    run(browser, script, place, arm).click()


@pytest.mark.parametrize("late", [False, True], ids=["delays", "late clicks"])
def test_a_curve_is_drawn_and_answers_to_a_click(late, browser, tmp_path):
    content = curve(late).to_metrics()
    path = opened(browser, tmp_path, content, ready=2, page=curve_page)
    assert run(browser, "return document.querySelector('.verdict').innerText").startswith(
        content["verdict"].split(". ")[0]
    )
    sizes = run(browser, "return deep(document, 'canvas').map(one => one.width * one.height)")
    assert max(sizes) > 100_000
    # a line and its dots, in each of the two plots
    assert visible(browser, "online") == [True] * 4 and visible(browser, "exact") == [False] * 4
    click(browser, "curve", "exact")
    click(browser, "curve", "online")
    assert visible(browser, "exact") == [True] * 4 and visible(browser, "online") == [False] * 4
    assert_quiet(browser, path)


def test_text_of_the_data_runs_nowhere(browser, tmp_path):
    """Not in the page, not in a legend, and not in what a line says that is pointed at."""
    from selenium.webdriver.common.action_chains import ActionChains

    opened(browser, tmp_path, report(names=EVIL).to_metrics())
    assert EVIL["exact"] in run(browser, "return document.body.innerText")
    legend = run(browser, "return deep(document, '.bk-label').map(one => one.textContent)")
    assert {EVIL["exact"], EVIL["user"], EVIL["item"]} <= set(legend)
    point = run(
        browser,
        """
        const root = Bokeh.index.roots.find(view => view.model.type == "Column");
        const figure = root.child_views[0];
        const line = figure.model.renderers.find(
          one => one.data_source.get_array("name")[0] == arguments[0]);
        line.visible = true;
        figure.el.scrollIntoView({block: "center"});
        const y = line.data_source.get_array("y")[4];
        const box = figure.canvas_view.el.getBoundingClientRect();
        return [box.x + figure.frame.x_scale.compute(4), box.y + figure.frame.y_scale.compute(y)];
        """,
        EVIL["exact"],
    )
    mouse = ActionChains(browser)
    mouse.w3c_actions.pointer_action.move_to_location(*map(int, point))
    mouse.perform()
    told = run(browser, "return deep(document, '.bk-Tooltip').map(one => one.shadowRoot.innerHTML)")
    assert "&lt;script&gt;window.pwned" in "".join(told)
    assert run(browser, "return window.pwned === undefined")
    # and were a text to become markup after all, the page's policy would not run it
    browser.get_log("browser")
    run(
        browser,
        """
        const one = document.createElement("script");
        one.textContent = "window.pwned = 1";
        document.body.append(one);
        """,
    )
    assert run(browser, "return window.pwned === undefined")
    assert "Content Security Policy" in str(browser.get_log("browser"))


def test_without_javascript_verdict_and_tables_are_read(chromium, tmp_path):
    from selenium.webdriver.common.by import By

    browser = chromium(script=False)
    content = report().to_metrics()
    opened(browser, tmp_path, content, ready=0)
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "deploy: online" in text and "The figures need JavaScript" in text
    assert f"online {content['arms']['online']['auc']:.4f}" in text

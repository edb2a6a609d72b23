"""Fixtures, and the rule that a run without a backend does not import keras."""

import os
import shutil
from pathlib import Path

import pytest
from forks import Forks

ROOT = Path(__file__).parents[1]
CHROMIUM = (
    "headless=new disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync"
)


def pytest_ignore_collect(collection_path, config):
    """Leave modules that import keras alone where only the others are asked for: it takes 10 s."""
    asked = config.getoption("markexpr") or ""
    if "not backend" in asked and collection_path.suffix == ".py":
        return "pytest.mark.backend\n" in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.fixture(scope="session")
def movietweetings_raw():
    """The raw MovieTweetings log, which is not part of the repository."""
    folder = ROOT.parent / "shared" / "data" / "movietweetings"
    if not (folder / "ratings.dat").is_file():
        pytest.skip("the MovieTweetings log is not beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def flights_raw():
    """The raw flights log, which is not part of the repository."""
    path = ROOT.parent / "shared" / "data" / "flights" / "flights.csv"
    if not path.is_file():
        pytest.skip("the flights log is not beside the repository (../shared/data)")
    return path


@pytest.fixture(scope="session")
def forks():
    """A function of a backend's name: its process (`forks.Forks`), started when first asked for."""
    started = {}

    def of(backend):
        if backend not in started:
            started[backend] = Forks(backend)
        return started[backend]

    yield of
    for one in started.values():
        one.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A function that starts a headless browser: is JavaScript on, and the window's size."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("no Chromium with its driver here (Debian: chromium and chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    started = []

    def start(script=True, size="1200,2400"):
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for option in [*CHROMIUM.split(), f"window-size={size}"]:
            options.add_argument(f"--{option}")
        if os.geteuid() == 0:  # Chromium's sandbox refuses root
            options.add_argument("--no-sandbox")
        options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        if not script:
            off = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", off)
        started.append(webdriver.Chrome(options=options, service=Service(driver)))
        return started[-1]

    yield start
    for one in started:
        one.quit()

"""Fixtures, and the rule that a run without a backend does not import keras."""

from pathlib import Path

import pytest
from forks import Forks

ROOT = Path(__file__).parents[1]


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

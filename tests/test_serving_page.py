"""What docs/serving.md tells a person on call is there: commands, routes, metrics, bodies."""

import configparser
import json
import re
import shlex
from pathlib import Path

import pytest

for needed in ("fastapi", "prometheus_client"):
    pytest.importorskip(needed, reason="not installed: pip install 'reloop2[serve]'")

from prometheus_client import generate_latest  # noqa: E402
from service_case import ship_tables  # noqa: E402

from reloop2_keras.__main__ import parser  # noqa: E402
from reloop2_keras.core.serving import OnlineModel  # noqa: E402
from reloop2_keras.service.app import made_app  # noqa: E402
from reloop2_keras.service.bodies import LearnBody, PredictBody, RollbackBody  # noqa: E402
from reloop2_keras.service.metrics import made_registry  # noqa: E402
from reloop2_keras.service.running import Running  # noqa: E402

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.fixture
def running(tmp_path):
    made = Running(ship_tables(tmp_path / "model"))
    yield made
    made.end()


def test_commands_are_ones_that_can_be_typed():
    text = PAGE.replace("\\\n", " ")
    found = re.findall(
        r"python -m reloop2_keras ((?:serve|release|predict|learn|compare)[^`#\n]*)", text
    )
    assert len(found) >= 6
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"make (\w+)$", text, re.M):
        assert f"\n{target}: " in makefile
    for words in found:
        parser().parse_args(shlex.split(words.rstrip(" &")))


def test_options_that_are_named_are_there():
    serve = next(a for a in parser()._actions if a.dest == "command").choices
    known = {o for name in serve for o in serve[name]._option_string_actions}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert len(named) >= 10 and named <= known, named - known


def test_routes_and_metrics_that_are_named_are_there(running):
    there = {route.path for route in made_app(running).app.app.routes}
    table = re.findall(r"`(?:GET |POST )?(/[a-z_]+)`", PAGE)
    assert len(set(table)) >= 8 and set(table) <= there, set(table) - there
    running.model.alarms.last["log_loss"] = 0.5
    said = generate_latest(made_registry(running)[0]).decode()
    metrics = set(re.findall(r"reloop2_(?!keras)[a-z_]+(?![a-z_*])", PAGE)) - {"reloop2_release_"}
    for name in metrics:
        assert name.removesuffix("_count") in said, name
    kinds = set(re.findall(r'kind="([a-z]+)"', PAGE)) - {"unknown", "conflicts"}
    assert len(kinds) >= 5
    told = re.search(r"`collections.Counter`: (.*?)\.\n", OnlineModel.__doc__, re.S)[1]
    assert all(kind in told for kind in kinds)


def test_bodies_fit():
    bodies = {"predict": PredictBody, "rollback": RollbackBody, "learn": LearnBody}
    found = re.findall(r"localhost:8000/(\w+) .*?(?:-d|--json) '(.*?)'", PAGE)
    assert len(found) >= 2
    for route, body in found:
        bodies[route].model_validate_json(body)
    assert all(json.loads(body) is not None for _, body in found)


def test_unit_and_rules_can_be_read():
    yaml = pytest.importorskip("yaml", reason="not installed: pip install pyyaml")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(blocks("ini")[0].replace("\\\n    ", ""))
    words = shlex.split(unit["Service"]["ExecStart"])
    given = parser().parse_args(words[words.index("serve") :])
    assert given.state == "/var/lib/" + unit["Service"]["StateDirectory"]
    # requests under way have 30 seconds, then the snapshot is written
    assert int(unit["Service"]["TimeoutStopSec"]) > 30
    for rule in yaml.safe_load(blocks("yaml")[0])["groups"][0]["rules"]:
        assert set(rule) <= {"alert", "expr", "for"} and rule["expr"].count("(") == rule[
            "expr"
        ].count(")")

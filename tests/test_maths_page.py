"""docs/maths.md: its defaults are the code's, its pictures those that the script draws."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "maths.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| `(\w+)` \| `([\w.]+)` \| (.+) \|$", PAGE, re.M)
pytestmark = pytest.mark.backend


def test_the_table_is_there():
    assert {"λ", "γ", "τ", "κ", "ν", "η", "α", "K", "L"} <= {symbol for symbol, *_ in ROWS}


@pytest.mark.parametrize(("symbol", "parameter", "place", "default"), ROWS)
def test_defaults_are_those_of_the_code(symbol, parameter, place, default):
    module, name = place.rsplit(".", 1)
    signature = inspect.signature(getattr(importlib.import_module(module), name).__init__)
    assert repr(signature.parameters[parameter].default) == default


def test_pictures_are_those_that_the_script_draws(tmp_path):
    script = ROOT / "docs" / "figures" / "draw.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], cwd=ROOT, check=True)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == ["architecture.svg", "random_plane.svg"]
    for name in drawn:
        assert f"figures/{name}" in PAGE
        kept = (script.parent / name).read_text(encoding="utf-8")
        assert (tmp_path / name).read_text(encoding="utf-8") == kept

"""Imports metrics.py without the package, which would import keras: a second instead of ten."""

import importlib.util
from pathlib import Path

_path = Path(__file__).parents[1] / "reloop2_keras" / "streaming" / "metrics.py"
_spec = importlib.util.spec_from_file_location("metrics", _path)
metrics = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(metrics)

"""ReLoop2 for Keras 3: click models that adapt online through an error memory.

Names are imported when they are first used: `reloop2_keras.core` needs no deep-learning framework,
and a server or a data preparation that imports only core waits for none. Where Keras is there
already all is imported at once, so that `keras.saving.load_model` knows our classes.
"""

import importlib
import sys

from reloop2_keras.core import __version__  # noqa: F401  # as every package has it

_ROOM_OF = {
    "Candidates": "streaming",
    "DeepFM": "models",
    "ErrorMemory": "layers",
    "ExactBackup": "models",
    "ExactErrorMemory": "layers",
    "FactorizationMachine": "layers",
    "FeatureErrorMemory": "layers",
    "FieldEmbedding": "layers",
    "KeyNormalization": "layers",
    "OnlineGate": "layers",
    "PreparedDataset": "data",
    "ReLoop2": "models",
    "SketchErrorMemory": "layers",
    "choose": "streaming",
    "compare": "streaming",
    "compare_delays": "streaming",
    "compare_late_clicks": "streaming",
    "iter_prequential": "streaming",
    "prequential": "streaming",
    "tune_memory": "streaming",
}

__all__ = sorted(_ROOM_OF)


def __getattr__(name):
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _register()
    value = getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    globals()[name] = value
    return value


def _register():
    """Import all layers and models, which tells Keras of their classes."""
    importlib.import_module(f"{__name__}.needs_keras")
    importlib.import_module(f"{__name__}.models")


def __dir__():
    return sorted({*globals(), *_ROOM_OF})


if sys.modules.get("keras") is not None:
    _register()

"""ReLoop2 on MindSpore: the names of reloop2_keras on Ascend, GPU and CPU."""

from mindspore_port import import_mindspore  # noqa: F401  # before anything imports MindSpore
from mindspore_port.data import PreparedDataset
from mindspore_port.layers import (
    ErrorMemory,
    ExactErrorMemory,
    FactorizationMachine,
    FeatureErrorMemory,
    FieldEmbedding,
    KeyNormalization,
    OnlineGate,
    OnlineTables,
    SketchErrorMemory,
)
from mindspore_port.models import DeepFM, ReLoop2
from mindspore_port.streaming import iter_prequential, prequential, tune_memory
from reloop2_keras.core import __version__  # noqa: F401

__all__ = [
    "DeepFM",
    "ErrorMemory",
    "ExactErrorMemory",
    "FactorizationMachine",
    "FeatureErrorMemory",
    "FieldEmbedding",
    "KeyNormalization",
    "OnlineGate",
    "OnlineTables",
    "PreparedDataset",
    "ReLoop2",
    "SketchErrorMemory",
    "iter_prequential",
    "prequential",
    "tune_memory",
]

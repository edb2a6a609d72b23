"""ReLoop2 for Keras 3: click models that adapt online through an error memory."""

from reloop2_keras.data import PreparedDataset
from reloop2_keras.layers import (
    ErrorMemory,
    ExactErrorMemory,
    FactorizationMachine,
    FeatureErrorMemory,
    FieldEmbedding,
    KeyNormalization,
    OnlineGate,
    SketchErrorMemory,
)
from reloop2_keras.models import DeepFM, ReLoop2
from reloop2_keras.streaming import iter_prequential, prequential, tune_memory

__version__ = "0.1.0"

__all__ = [
    "DeepFM",
    "ErrorMemory",
    "ExactErrorMemory",
    "FactorizationMachine",
    "FeatureErrorMemory",
    "FieldEmbedding",
    "KeyNormalization",
    "OnlineGate",
    "PreparedDataset",
    "ReLoop2",
    "SketchErrorMemory",
    "iter_prequential",
    "prequential",
    "tune_memory",
]

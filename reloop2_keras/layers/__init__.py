"""Layers: field embeddings, the factorization machine, error memories and the online gate."""

from reloop2_keras.layers.compensate import compensate
from reloop2_keras.layers.error_memory import ErrorMemory
from reloop2_keras.layers.exact_error_memory import ExactErrorMemory
from reloop2_keras.layers.factorization_machine import FactorizationMachine
from reloop2_keras.layers.field_embedding import FieldEmbedding
from reloop2_keras.layers.key_normalization import KeyNormalization
from reloop2_keras.layers.online_gate import OnlineGate
from reloop2_keras.layers.sketch_error_memory import SketchErrorMemory

__all__ = [
    "ErrorMemory",
    "ExactErrorMemory",
    "FactorizationMachine",
    "FieldEmbedding",
    "KeyNormalization",
    "OnlineGate",
    "SketchErrorMemory",
    "compensate",
]

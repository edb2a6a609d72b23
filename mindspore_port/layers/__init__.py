"""Layers: field embeddings, the factorization machine, error memories and the online gate."""

from mindspore_port.layers.compensate import compensate
from mindspore_port.layers.error_memory import ErrorMemory
from mindspore_port.layers.exact_error_memory import ExactErrorMemory
from mindspore_port.layers.factorization_machine import FactorizationMachine
from mindspore_port.layers.field_embedding import FieldEmbedding
from mindspore_port.layers.key_normalization import KeyNormalization
from mindspore_port.layers.online_gate import OnlineGate
from mindspore_port.layers.sketch_error_memory import SketchErrorMemory

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

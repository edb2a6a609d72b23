"""Layers: field embeddings, the factorization machine, error memories and the online gate."""

from mindspore_port.layers.compensation import compensate
from mindspore_port.layers.error_memory import ErrorMemory
from mindspore_port.layers.exact_error_memory import ExactErrorMemory
from mindspore_port.layers.factorization_machine import FactorizationMachine
from mindspore_port.layers.feature_error_memory import FeatureErrorMemory
from mindspore_port.layers.field_embedding import FieldEmbedding
from mindspore_port.layers.key_normalization import KeyNormalization
from mindspore_port.layers.log_odds import logit
from mindspore_port.layers.online_gate import OnlineGate
from mindspore_port.layers.online_tables import OnlineTables
from mindspore_port.layers.similarity_error_memory import SimilarityErrorMemory
from mindspore_port.layers.sketch_error_memory import SketchErrorMemory

__all__ = [
    "ErrorMemory",
    "ExactErrorMemory",
    "FactorizationMachine",
    "FeatureErrorMemory",
    "FieldEmbedding",
    "KeyNormalization",
    "OnlineGate",
    "OnlineTables",
    "SimilarityErrorMemory",
    "SketchErrorMemory",
    "compensate",
    "logit",
]

"""Layers: field embeddings, the factorization machine, error memories and the online gate."""

from reloop2_keras import needs_keras  # noqa: F401  (first: stops with one line)
from reloop2_keras.layers.compensation import compensate
from reloop2_keras.layers.error_memory import ErrorMemory
from reloop2_keras.layers.exact_error_memory import ExactErrorMemory
from reloop2_keras.layers.factorization_machine import FactorizationMachine
from reloop2_keras.layers.feature_error_memory import FeatureErrorMemory
from reloop2_keras.layers.field_embedding import FieldEmbedding
from reloop2_keras.layers.key_normalization import KeyNormalization
from reloop2_keras.layers.log_odds import logit
from reloop2_keras.layers.online_gate import OnlineGate
from reloop2_keras.layers.online_tables import OnlineTables
from reloop2_keras.layers.seeded_dropout import SeededDropout
from reloop2_keras.layers.similarity_error_memory import SimilarityErrorMemory
from reloop2_keras.layers.sketch_error_memory import SketchErrorMemory

__all__ = [
    "ErrorMemory",
    "ExactErrorMemory",
    "FactorizationMachine",
    "FeatureErrorMemory",
    "FieldEmbedding",
    "KeyNormalization",
    "OnlineGate",
    "OnlineTables",
    "SeededDropout",
    "SimilarityErrorMemory",
    "SketchErrorMemory",
    "compensate",
    "logit",
]

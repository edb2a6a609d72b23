"""Error memories: state and arithmetic as NumPy arrays, the same for every framework."""

from reloop2_keras.core.memories.exact import ExactMemory
from reloop2_keras.core.memories.feature import FeatureMemory
from reloop2_keras.core.memories.memory import Memory, Reading, Update
from reloop2_keras.core.memories.similarity import SimilarityMemory
from reloop2_keras.core.memories.sketch import SketchMemory

__all__ = [
    "ExactMemory",
    "FeatureMemory",
    "Memory",
    "Reading",
    "SimilarityMemory",
    "SketchMemory",
    "Update",
]

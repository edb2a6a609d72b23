"""Models: the slow DeepFM and ReLoop2, which adds fast memories."""

from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.reloop2 import ReLoop2
from reloop2_keras.models.serving import Serving

__all__ = ["DeepFM", "ReLoop2", "Serving"]

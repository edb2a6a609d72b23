"""Models: the slow DeepFM and ReLoop2, which adds fast memories."""

from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.gated import copy_memory, gated, learn, warm_start
from reloop2_keras.models.reloop2 import ReLoop2
from reloop2_keras.models.serving import Served, Serving
from reloop2_keras.models.train import train_base

__all__ = [
    "DeepFM",
    "ReLoop2",
    "Served",
    "Serving",
    "copy_memory",
    "gated",
    "learn",
    "train_base",
    "warm_start",
]

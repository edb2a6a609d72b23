"""Models: the slow DeepFM and ReLoop2, which adds fast memories."""

from reloop2_keras import needs_keras  # noqa: F401  (first: stops with one line)
from reloop2_keras.core.correction import Served
from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.early_stopping import train_base
from reloop2_keras.models.exact_backup import ExactBackup
from reloop2_keras.models.reloop2 import ReLoop2
from reloop2_keras.models.serving import Serving
from reloop2_keras.models.training_residuals import warm_start

__all__ = [
    "DeepFM",
    "ExactBackup",
    "ReLoop2",
    "Served",
    "Serving",
    "train_base",
    "warm_start",
]

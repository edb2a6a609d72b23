"""Models: the slow DeepFM and ReLoop2, which adds fast memories."""

from mindspore_port.models.checkpoint_file import load_model, save_model
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.early_stopping import train_base
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.models.serving import Serving
from mindspore_port.models.train_step import TrainStep, adam
from mindspore_port.models.training_residuals import warm_start
from reloop2_keras.core.correction import Served

__all__ = [
    "DeepFM",
    "ReLoop2",
    "Served",
    "Serving",
    "TrainStep",
    "adam",
    "load_model",
    "save_model",
    "train_base",
    "warm_start",
]

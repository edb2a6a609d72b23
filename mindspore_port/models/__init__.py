"""Models: the slow DeepFM and ReLoop2, which adds fast memories."""

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.files import load_model, save_model
from mindspore_port.models.gated import copy_memory, gated, learn, warm_start
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.models.serving import Served, Serving
from mindspore_port.models.train import train_base
from mindspore_port.models.train_step import TrainStep, adam

__all__ = [
    "DeepFM",
    "ReLoop2",
    "Served",
    "Serving",
    "TrainStep",
    "adam",
    "copy_memory",
    "gated",
    "learn",
    "load_model",
    "save_model",
    "train_base",
    "warm_start",
]

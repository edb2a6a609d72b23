"""The light runtime: a model that serves and learns, over a base by onnxruntime, or by Keras.

`onnxruntime` is imported when a base is opened, `onnx` when one is written; see README.md here.
"""

from reloop2_keras.core.serving.online_model import OnlineModel, Prediction
from reloop2_keras.core.serving.onnx_base import OnnxBase
from reloop2_keras.core.serving.shipped import Shipped, load_shipped, ship
from reloop2_keras.core.serving.store import Store

__all__ = [
    "OnlineModel",
    "OnnxBase",
    "Prediction",
    "Shipped",
    "Store",
    "load_shipped",
    "ship",
]

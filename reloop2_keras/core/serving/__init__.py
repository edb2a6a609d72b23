"""The light runtime: a base model served by onnxruntime, beside core's tables and rules.

`onnxruntime` is imported when a base is opened, `onnx` when one is written; see README.md here.
"""

from reloop2_keras.core.serving.onnx_base import OnnxBase

__all__ = ["OnnxBase"]

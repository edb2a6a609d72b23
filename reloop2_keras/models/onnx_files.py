"""Keras' own way to ask for an ONNX file, for models that core writes."""

from typing import Any

from reloop2_keras.models.mixin import Mixin


class OnnxFiles(Mixin):
    """Mixin before `keras.Model`: `export(path, format="onnx")` is `export_onnx(model, path)`.

    Keras' own would refuse a subclassed model, or trace it by a package of each backend.
    """

    def export(self, filepath: Any, format: str = "tf_saved_model", **options: Any) -> Any:
        """See `keras.Model.export`; "onnx" is written by core, the same file on every backend.

        Raises:
            ValueError: for "onnx", with any option but `verbose`.
        """
        if format != "onnx":
            return super().export(filepath, format=format, **options)
        from reloop2_keras.models.onnx_export import export_onnx  # which itself needs DeepFM

        if set(options) - {"verbose"}:
            raise ValueError(f"`export` to ONNX has no options. Received: {sorted(options)}")
        return export_onnx(self, filepath)

"""Import MindSpore without Triton, which it would import where it is installed.

PyTorch's CUDA build brings Triton, and MindSpore imports it only to teach it the names of
MindSpore's own dtypes; nothing here uses that. Triton's library ends the process (SIGSEGV) when
it is loaded after JAX or TensorFlow have worked in it, and the notebook that compares Keras with
MindSpore does just that. Ours.
"""

import sys

if "mindspore" not in sys.modules and "triton" not in sys.modules:
    sys.modules["triton"] = None  # type: ignore[assignment]  # an import of it: ImportError
    try:
        import mindspore  # noqa: F401
    finally:
        del sys.modules["triton"]

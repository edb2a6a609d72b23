"""V1: `ReLoop2.serve` and `predict` over the base model's `predict`, 32 x 2^12, d = 64."""

import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import clicks, compare, deepfm, interleaved, need

BACKENDS = ("torch", "jax", "tensorflow")
# rows -> (steps a turn, limit of `predict`, limit of `serve`)
BATCHES = {1: (100, 1.25, 1.1), 64: (60, 1.15, 1.1), 512: (20, 1.1, 1.1), 4096: (4, 1.1, 1.1)}
# T1's model with a last layer of 64, and the small preset, whose own product is so small
# (.7 GFLOP for 4,096 rows) that the hash's (.2) cannot be a tenth of it
MODELS = {"": (400, 400, 64), "-small-preset": (128, 64)}


def run(quick):
    from reloop2_keras import ReLoop2, SketchErrorMemory

    peer = need("onnxruntime", "v1-serve-against-onnxruntime", None, "ms")
    x, y, cardinalities = clicks(4096 * 4, 1000)
    for label, hidden_units in list(MODELS.items())[: 1 if quick else 2]:
        base = deepfm(cardinalities, "whole", 16, hidden_units)
        model = ReLoop2(base, SketchErrorMemory(32, 12))
        model.adapt([x])
        model.observe(x, y)
        for batch, (steps, limit, serve_limit) in BATCHES.items():
            part = {name: array[: batch * steps] for name, array in x.items()}

            def predict(model, part=part, batch=batch):
                model.predict(part, batch_size=batch, verbose=0)

            functions = {
                "predict": lambda m=model, f=predict: f(m),
                "serve": lambda m=model, x=part, b=batch: m.serve(x, batch_size=b),
                "base": lambda m=base, f=predict: f(m),
            }
            if peer and not label:
                functions.update(one_by_one(model, x, batch, steps))
            times = interleaved(functions, repetitions=3 if quick else 9)
            unit = {"scale": 1e3 / steps}
            name = f"batch-{batch}{label}"
            target = 1 / serve_limit if batch > 1 else None
            compare(f"v1-serve-{name}", times, "serve", "base", target, **unit)
            compare(f"v1-predict-{name}", times, "predict", "base", 1 / limit, **unit)
            if "onnx" in functions:
                note = "onnxruntime runs the base alone"
                name = f"v1-serve-batch-{batch}-against-onnxruntime"
                compare(name, times, "calls", "onnx", None, **unit, note=note)


def one_by_one(model, x, batch, steps):
    """A call of `ReLoop2.serve` a batch, memory and all, and the base alone in onnxruntime."""
    parts = [
        {name: array[i * batch : (i + 1) * batch] for name, array in x.items()}
        for i in range(steps)
    ]
    onnx = onnx_base(model.base)

    def run(part):
        return onnx.serve(part)["probability"]

    want = model.base.predict_on_batch(parts[0])[:, 0]
    np.testing.assert_allclose(run(parts[0]), want, atol=1e-5)
    return {
        "calls": lambda: [model.serve(part) for part in parts][0],
        "onnx": lambda: [run(part) for part in parts][0],
    }


def onnx_base(model, threads=None):
    """The base as `OnnxBase`, on as many threads as the other libraries have."""
    from reloop2_keras.core.compiled import CORES
    from reloop2_keras.core.serving import OnnxBase
    from reloop2_keras.models.onnx_export import export_onnx

    with tempfile.TemporaryDirectory() as folder:
        export_onnx(model, Path(folder) / "base.onnx")
        content = (Path(folder) / "base.onnx").read_bytes()
    return OnnxBase(
        content, keys=(), threads=threads or int(os.environ.get("OMP_NUM_THREADS", CORES))
    )

"""V3: the base in the light runtime over the same base in Keras, MLP 128-64, d = 16."""

import numpy as np

from benchmarks.common import clicks, compare, deepfm, interleaved, need
from benchmarks.v1 import onnx_base

BACKENDS = ("torch", "jax", "tensorflow")
BATCHES = {1: 200, 100: 50, 4096: 3}  # rows -> calls a turn


def run(quick):
    from reloop2_keras.models.serving import Serving

    if not need("onnxruntime", "v3-onnx-base", None, "ms"):
        return
    x, _, cardinalities = clicks(4096, 1000)
    base = deepfm(cardinalities, "whole", 16, (128, 64))
    light, whole = onnx_base(base, threads=1), Serving(base, ())
    for batch, calls in BATCHES.items():
        part = {name: array[:batch] for name, array in x.items()}
        want = whole(part)["probability"]
        apart = float(np.abs(light.serve(part)["probability"] - want).max())
        functions = {
            "onnx": lambda p=part, n=calls: [light.serve(p) for _ in range(n)][0],
            "keras": lambda p=part, n=calls: [whole(p) for _ in range(n)][0],
        }
        times = interleaved(functions, repetitions=3 if quick else 9)
        note = f"largest difference {apart:.1e}; onnxruntime on one thread, ids checked"
        compare(
            f"v3-base-batch-{batch}", times, "onnx", "keras", None, scale=1e3 / calls, note=note
        )

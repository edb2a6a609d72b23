"""The same shipped model with its base as Keras has it: python -m benchmarks.keras_twin MODEL OUT

For timings of the two side by side: `python -m benchmarks.service_load OUT --in-process`, each
backend. The weights are those in MODEL's base.onnx, a DeepFM; needs Keras and the package onnx.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx

from reloop2_keras.core.command_line import Parser, check_out_folder
from reloop2_keras.core.serving import OnnxBase, load_shipped, ship
from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.streaming.arms import FrozenBase


def twin(path):
    """A Keras DeepFM of an ONNX file's weights, whose constants have the layers' names."""
    graph = onnx.load(str(path)).graph
    arrays = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    units = [
        len(arrays[name])
        for name in sorted(arrays)
        if name.startswith("hidden_") and name.endswith("bias")
    ]
    dim = arrays["field_embedding/embeddings"].shape[1]
    model = DeepFM(OnnxBase(path).fields, embedding_dim=dim, hidden_units=units)
    model.build()
    for layer in model.layers:
        for weight in layer.weights:
            weight.assign(arrays[f"{layer.name}/{weight.name}"])
    return model


def main():
    made = Parser(description=__doc__.splitlines()[0])
    made.add_argument("model")
    made.add_argument("out")
    args = made.parse_args()
    made.opened(check_out_folder, args.out)
    shipped = made.opened(load_shipped, args.model)
    if shipped.base is None:
        made.error(f"{args.model}: expected a model over a base, found tables alone")
    model = made.opened(twin, shipped.base)
    cardinalities = np.array([field["cardinality"] for field in shipped.encoder.fields])
    rng = np.random.default_rng(0)
    ids = (
        rng.integers(0, cardinalities, (100, len(cardinalities)))
        + np.cumsum(cardinalities)
        - cardinalities
    )
    x = {"feature_ids": ids.astype("int32"), "feature_values": rng.random(ids.shape, "float32")}
    served = [
        np.ravel(b.serve(x)["probability"])
        for b in (FrozenBase(model, keys=()), OnnxBase(shipped.base, keys=()))
    ]
    print("largest difference of a probability:", float(np.abs(served[0] - served[1]).max()))
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base.keras"
        model.save(base)
        ship(args.out, shipped.online, shipped.encoder, base, shipped.card)


if __name__ == "__main__":
    main()

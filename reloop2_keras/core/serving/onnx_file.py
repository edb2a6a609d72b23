"""The ONNX file of a base: a graph, what it says of itself, and a checksum; whole or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.files import put_file
from reloop2_keras.core.optional import optional
from reloop2_keras.core.seal import with_seal
from reloop2_keras.core.serving.deepfm_graph import LOGIT, PROBABILITY, base_of, deepfm_graph

SCHEMA = 1
ENTRY = "reloop2"  # in the file's metadata: JSON, what `OnnxBase` reads


def export_neutral(
    description: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    path: str | os.PathLike,
    rows: int | None = None,
    encoder_mark: str | None = None,
) -> str:
    """Write the base of a model in neutral form as ONNX, beside its place, then renamed.

    A memory is not exported: it learns while serving. See `deepfm_graph` for inputs and outputs.

    Args:
        description, arrays: what `core.neutral.read` returns, of a `DeepFM` or `ReLoop2`.
        path: must end in .onnx.
        rows: int, a fixed number of rows; None for any.
        encoder_mark: str, see `same_ids.encoder_mark`: `release` compares it; None: not said.

    Returns:
        The file's SHA-256 (of all before it), by which a service can name the model.

    Raises:
        ImportError: if the package onnx is not installed.
        ValueError: naming the file and what does not fit. Nothing is written then.
    """
    try:
        base, own = base_of(description, arrays)
        config = base["config"]
        made = deepfm_graph(config, own, rows)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    keys = [output.name for output in made.graph.output if output.name not in (PROBABILITY, LOGIT)]
    about = {"class": "DeepFM", "fields": config["fields"], "keys": keys}
    return write(path, made, about | ({"encoder": encoder_mark} if encoder_mark else {}))


def with_outputs(model: Any, outputs: Mapping[str, tuple[str, int]]) -> None:
    """Give a traced graph outputs of our names and shapes, float32 (batch, width).

    Args:
        model: `onnx.ModelProto`; it is changed.
        outputs: new name -> (name of an output that is there, width).
    """
    onnx = optional("onnx", "export to ONNX", "onnx")
    graph, helper = model.graph, onnx.helper
    del graph.output[:]
    for name, (old, width) in outputs.items():
        shape = onnx.numpy_helper.from_array(np.array([-1, width], "int64"), f"{name}/shape")
        graph.initializer.append(shape)
        cast = helper.make_node("Cast", [old], [f"{name}/cast"], to=onnx.TensorProto.FLOAT)
        reshaped = helper.make_node("Reshape", [f"{name}/cast", f"{name}/shape"], [name])
        graph.node.extend([cast, reshaped])
        value = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", width])
        graph.output.append(value)
    onnx.checker.check_model(model)


def write(path: str | os.PathLike, model: Any, about: Mapping[str, Any]) -> str:
    """Write a graph, with what it says of itself; return the file's SHA-256.

    Args:
        path: must end in .onnx.
        model: `onnx.ModelProto`.
        about: plain types: `class`, `fields` (list of dicts, or None), `keys` (names of outputs),
            and `encoder` where it is known.

    Raises:
        ValueError: if the name ends otherwise.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ValueError(f"{path}: expected a name that ends in .onnx")
    del model.metadata_props[:]
    text = json.dumps({"schema": SCHEMA, **about}, sort_keys=True)
    model.metadata_props.add(key=ENTRY, value=text)
    data, digest = with_seal(model.SerializeToString(deterministic=True))
    put_file(path, data)
    return digest

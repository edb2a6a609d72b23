"""The neutral file between Keras and MindSpore: .npz, named and laid out as in Keras.

It holds every weight and what memories and gate learnt (names.py), and under `description`
(uint8, JSON) class names, arguments and the SHA-256 of each array. Its other end is
`reloop2_keras/models/neutral.py`.
"""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from mindspore_port.models.files import describe, rebuild, set_weights, weights
from mindspore_port.names import to_mindspore, to_neutral


def dump(model, path):
    """Write a `DeepFM` or `ReLoop2` as a neutral file, beside its place, then renamed."""
    arrays = {}
    for name, array in weights(model).items():
        neutral, transposed = to_neutral(name)
        arrays[neutral] = np.ascontiguousarray(array.T) if transposed else array
    sums = {name: _sha256(array) for name, array in arrays.items()}
    description = describe(model)
    description.get("base", description)["config"].pop("compute_dtype", None)  # Keras' is a policy
    text = json.dumps({"model": description, "sha256": sums}, sort_keys=True)
    arrays["description"] = np.frombuffer(text.encode("utf-8"), "uint8")
    path = Path(path)
    beside = path.with_name(f".part.{path.name}")
    np.savez(beside, **arrays)
    os.replace(beside, path)


def read(path):
    """Return (description dict, arrays by neutral name) of a neutral file, checksums compared.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: naming the file and what in it is not as it should be.
    """
    try:
        with np.load(path) as file:
            arrays = dict(file)
        description = json.loads(arrays.pop("description").tobytes())
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        raise ValueError(f"{path}: expected a neutral .npz file: {error}") from error
    for name in sorted(description["sha256"].keys() | arrays.keys()):
        found = _sha256(arrays[name]) if name in arrays else "no such array"
        expected = description["sha256"].get(name, "no such array")
        if found != expected:
            raise ValueError(f"{path}: {name}: expected sha256 {expected}, found {found}")
    return description, arrays


def load(path):
    """Return the model of a neutral file; raises as `read`, and where shapes differ."""
    description, arrays = read(path)
    model = rebuild(description["model"])
    named = {}
    for neutral, array in arrays.items():
        name, transposed = to_mindspore(neutral)
        named[name] = array.T if transposed else array
    set_weights(model, named, path)
    return model


def _sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()

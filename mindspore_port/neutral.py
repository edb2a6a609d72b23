"""The neutral file between Keras and MindSpore: .npz, named and laid out as in Keras.

`reloop2_keras/core/neutral.py` writes, reads and checks it, weight_names.py maps the names, and
`reloop2_keras/models/neutral.py` is the other end.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.model_weights import describe, rebuild, set_weights, weights
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.weight_names import to_mindspore, to_neutral
from reloop2_keras.core import neutral
from reloop2_keras.core.neutral import read

__all__ = ["dump", "load", "read"]


def neutral_form(model: DeepFM | ReLoop2) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return description and arrays of a model, named and laid out as in the neutral file.

    `compute_dtype` stays behind: it says how a device computes, as a dtype policy does in Keras.
    """
    arrays = {}
    for name, array in weights(model).items():
        neutral_name, transposed = to_neutral(name)
        arrays[neutral_name] = np.ascontiguousarray(array.T) if transposed else array
    description = describe(model)
    description.get("base", description)["config"].pop("compute_dtype", None)
    return description, arrays


def dump(model: DeepFM | ReLoop2, path: str | Path) -> None:
    """Write a `DeepFM` or `ReLoop2` as a neutral file, beside its place, then renamed.

    Raises:
        ValueError: if the name does not end in .npz, or a weight is not finite.
    """
    neutral.write(path, *neutral_form(model))


def load(path: str | Path) -> DeepFM | ReLoop2:
    """Return the model of a neutral file; raises as `read`, and where arguments do not fit."""
    description, arrays = read(path)
    named = {}
    for neutral_name, array in arrays.items():
        name, transposed = to_mindspore(neutral_name)
        named[name] = array.T if transposed else array
    model = rebuild(description, path)
    set_weights(model, named, path)
    return model

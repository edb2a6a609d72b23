"""A model's class names and arguments as plain types, and the model that they describe."""

from collections.abc import Mapping
from typing import Any

import keras

from reloop2_keras import layers
from reloop2_keras.core.old_names import gate_config
from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.reloop2 import ReLoop2

# of Keras alone; row_sparse says how a model is trained, not what it computes
NOT_ARGUMENTS = ("name", "trainable", "dtype", "row_sparse")
_PARTS = DeepFM | layers.ErrorMemory | layers.OnlineGate | layers.OnlineTables


def _arguments(layer):
    return {k: v for k, v in layer.get_config().items() if k not in NOT_ARGUMENTS}


def describe(model: keras.layers.Layer) -> dict[str, Any]:
    """Return class names and arguments of a model and its parts, as plain types.

    Raises:
        ValueError: if the model is neither a `DeepFM` nor a `ReLoop2` around one.
    """
    if isinstance(model, ReLoop2):
        online = model.online
        if isinstance(online, str):
            raise ValueError("expected a model that is built, found one whose tables are not")
        names = ("compensation", "label_weight", "key")
        return {
            "class": "ReLoop2",
            "config": {name: getattr(model, name) for name in names},
            "base": describe(model.base),
            "memory": [describe(memory) for memory in model.memories],
            "gate": describe(model.gate) if model.gate else None,
            **({} if online is None else {"online": describe(online)}),
        }
    if not isinstance(model, _PARTS):
        raise ValueError(
            f"expected a DeepFM, or a ReLoop2 around one. Received: {type(model).__name__}"
        )
    return {"class": type(model).__name__, "config": _arguments(model)}


def rebuild(description: Mapping[str, Any]) -> keras.layers.Layer:
    """Make and build the model that `describe` described; its weights are fresh.

    Raises:
        ValueError: if a class is unknown.
    """
    name, config = description["class"], description["config"]
    if name == "ReLoop2":
        memories = [rebuild(memory) for memory in description["memory"]]
        gate = rebuild(description["gate"]) if description["gate"] else None
        base = rebuild(description["base"])
        if description.get("online"):
            model = ReLoop2(base, rule=rebuild(description["online"]))
        else:
            model = ReLoop2(base, memories, **config, gate=gate)
        model.build()
        return model
    if name == "DeepFM":
        model = DeepFM(**config)
        model.build()
        return model
    if name not in layers.__all__:
        raise ValueError(f"expected a class of this package, found {name!r}")
    return getattr(layers, name)(**(gate_config(config) if name == "OnlineGate" else config))

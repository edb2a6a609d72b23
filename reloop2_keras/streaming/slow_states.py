"""Slow parts as plain values and arrays, so that a study that was killed can go on with them."""

from typing import Any

import keras
from keras import ops

from reloop2_keras.core.object_state import Hook
from reloop2_keras.streaming.arms import FrozenBase, IncrementalBase


def _variables(model):
    trained = [] if model.optimizer is None else list(model.optimizer.variables)
    return [*model.trainable_variables, *model.non_trainable_variables, *trained]


def _take_model(model: keras.Model) -> dict[str, Any]:
    return {"json": model.to_json(), "weights": [ops.convert_to_numpy(w) for w in model.weights]}


def _make_model(kept: dict[str, Any]) -> keras.Model:
    model = keras.models.model_from_json(kept["json"])
    if not model.built:
        model.build()
    model.set_weights(kept["weights"])
    return model


def _take_incremental(part: IncrementalBase) -> dict[str, Any]:
    return {
        "base": part.base,
        "options": part.options,
        "variables": [ops.convert_to_numpy(v) for v in _variables(part.base)],
        "late": part.__dict__.get("_late_rows", []),
    }


def _make_incremental(kept: dict[str, Any]) -> IncrementalBase:
    part = IncrementalBase(kept["base"], **kept["options"])
    model = part.base
    if len(kept["variables"]) > len(_variables(model)):  # a step had made the optimizer's
        model.optimizer.build(model.trainable_variables)
    for variable, value in zip(_variables(model), kept["variables"], strict=True):
        variable.assign(value)
    if kept["late"]:
        part.__dict__["_late_rows"] = kept["late"]
    return part


HOOKS = (
    Hook((keras.Model,), "model", _take_model, _make_model),
    Hook(IncrementalBase, "incremental", _take_incremental, _make_incremental),
    Hook(
        FrozenBase,
        "frozen",
        lambda part: {"base": part.base, "keys": list(part.keys)},
        lambda kept: FrozenBase(kept["base"], kept["keys"]),
    ),
)

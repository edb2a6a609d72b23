"""Slow parts as plain values and arrays, so that a study that was killed can go on with them."""

from typing import Any

from mindspore import Parameter

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.model_weights import describe, rebuild
from mindspore_port.streaming.arms import FrozenBase, IncrementalBase
from mindspore_port.tensors import assign, to_numpy
from reloop2_keras.core.object_state import Hook


def _parameters(part: Any) -> dict[str, Parameter]:
    """All parameters of a cell, by their number: names are not always distinct."""
    return {str(number): parameter for number, parameter in enumerate(part.get_parameters())}


def _take(cell: Any) -> dict[str, Any]:
    return {name: to_numpy(parameter) for name, parameter in _parameters(cell).items()}


def _give(cell: Any, kept: dict[str, Any]) -> None:
    found = _parameters(cell)
    if found.keys() != kept.keys():
        raise ValueError(f"expected {len(found)} parameters, found {len(kept)}")
    for name, parameter in found.items():
        assign(parameter, kept[name])


def _make_model(kept: dict[str, Any]) -> DeepFM:
    model = rebuild(kept["model"])
    _give(model, kept["parameters"])
    return model


def _make_incremental(kept: dict[str, Any]) -> IncrementalBase:
    part = IncrementalBase(kept["base"], **kept["options"])
    _give(part._step, kept["parameters"])
    _give(part.base, kept["own"])
    if kept["late"]:
        part.__dict__["_late_rows"] = kept["late"]
    return part


def _take_incremental(part: IncrementalBase) -> dict[str, Any]:
    return {
        "base": part.base,
        "options": part.options,
        "parameters": _take(part._step),
        "own": _take(part.base),  # the step count of dropout is none of the optimizer's
        "late": part.__dict__.get("_late_rows", []),
    }


HOOKS = (
    Hook(
        DeepFM,
        "model",
        lambda model: {"model": describe(model), "parameters": _take(model)},
        _make_model,
    ),
    Hook(IncrementalBase, "incremental", _take_incremental, _make_incremental),
    Hook(
        FrozenBase,
        "frozen",
        lambda part: {"base": part.base, "keys": list(part.keys)},
        lambda kept: FrozenBase(kept["base"], kept["keys"]),
    ),
)

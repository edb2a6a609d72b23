"""A model as plain data: what it is made of, and all that it learnt as arrays by name."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter, nn

from mindspore_port import layers
from mindspore_port.layers.shown_state import ShownState
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.tensors import EXECUTOR, assign, to_numpy
from reloop2_keras.core.array_checks import one_line
from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.old_names import gate_config


def describe(model: nn.Cell) -> dict[str, Any]:
    """Return class names and arguments of a model and its parts, as plain types."""
    if isinstance(model, ReLoop2):
        return {
            "class": "ReLoop2",
            "config": model.get_config(),
            "base": describe(model.base),
            "memory": [describe(memory) for memory in model.memories],
            "gate": None if model.gate is None else describe(model.gate),
            **({} if model.online is None else {"online": describe(model.online)}),
        }
    return {"class": type(model).__name__, "config": model.get_config()}


def rebuild(description: Mapping[str, Any], source: str | Path = "`description`") -> nn.Cell:
    """Make the model that `describe` described; its weights are fresh.

    Raises:
        ValueError: naming `source`, if it describes no model of this package.
    """
    try:
        return _rebuilt(description)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{source}: expected a model of this package: {one_line(error)}"
        ) from error


def _rebuilt(description: Mapping[str, Any]) -> nn.Cell:
    name, config = description["class"], description["config"]
    if name == "ReLoop2":
        memories = [_rebuilt(memory) for memory in description["memory"]]
        gate = _rebuilt(description["gate"]) if description["gate"] else None
        if description.get("online"):
            return ReLoop2(_rebuilt(description["base"]), rule=_rebuilt(description["online"]))
        return ReLoop2(_rebuilt(description["base"]), memories, **config, gate=gate)
    if name == "DeepFM":
        return DeepFM(**config)
    if not (name in layers.__all__ and hasattr(getattr(layers, name), "get_config")):
        raise ValueError(f"expected the class of a model or memory of this package, found {name!r}")
    return getattr(layers, name)(**(gate_config(config) if name == "OnlineGate" else config))


def named_parameters(model: nn.Cell) -> dict[str, Parameter]:
    """Return a dict: dotted name (its place in the model) -> Parameter, of all that was trained.

    Not what memories and gate show to graphs: those are copies; see `learnt`.
    """
    return {
        name: parameter
        for name, parameter in model.parameters_and_names()
        if name.split(".")[-1] != "dropout_step" and not name.split(".")[-1].startswith("shown_")
    }


def learnt(model: nn.Cell) -> dict[str, ArrayState]:
    """Return a dict: dotted place -> core object, of the memories and the gate of a model."""
    if isinstance(model, ReLoop2) and model.online is not None:
        return {"online.": model.online.core}
    if isinstance(model, ReLoop2):
        parts = {f"memories.{n}.": memory.core for n, memory in enumerate(model.memories)}
        return parts if model.gate is None else {**parts, "gate.": model.gate.core}
    return {"": model.core} if isinstance(model, ShownState) else {}


def weights(model: nn.Cell) -> dict[str, np.ndarray]:
    """Return a dict: dotted name (its place in the model) -> NumPy array, of all that is kept.

    What memories and gate learnt is as core holds it, in float64 and int64, all of one moment.
    """
    locked = model.locked() if isinstance(model, ReLoop2) else contextlib.nullcontext()
    with EXECUTOR, locked:
        arrays = {name: to_numpy(parameter) for name, parameter in named_parameters(model).items()}
        for place, core in learnt(model).items():
            for name, array in core.state().items():
                arrays[place + name.replace("/", ".")] = array
    return arrays


def set_weights(
    model: nn.Cell, arrays: Mapping[str, np.ndarray], source: str | Path = "`arrays`"
) -> None:
    """Write arrays into a model: its parameters, and what memories and gate learnt.

    Files of version 0.1 hold float32 and int32 of the same names.

    Raises:
        ValueError: naming `source` and the first name that is missing, left over or misshapen, or
            of which something was learnt that is not finite. Nothing is changed then.
    """
    kept = weights(model)
    for name in sorted(kept.keys() ^ arrays.keys()):
        found = "no such array" if name in kept else "an array of that name"
        raise ValueError(f"{source}: {name}: expected the weights of the model, found {found}")
    for name, mine in kept.items():
        if mine.shape != arrays[name].shape:
            raise ValueError(
                f"{source}: {name}: expected shape {mine.shape}, found {arrays[name].shape}"
            )
    parameters = named_parameters(model)
    for name in kept.keys() - parameters.keys():
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{source}: {name}: expected finite numbers, found NaN or infinity")
        if (np.abs(arrays[name].astype("float64")) > float(np.finfo("float32").max)).any():
            raise ValueError(f"{source}: {name}: expected numbers that float32 holds")
    for place, core in learnt(model).items():
        try:
            core.load_state({n: arrays[place + n.replace("/", ".")] for n in core.state()})
        except ValueError as error:
            raise ValueError(f"{source}: {place}{error}") from error
    for name, parameter in parameters.items():
        assign(parameter, arrays[name])

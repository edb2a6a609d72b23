"""Checkpoints that say themselves what they hold."""

import contextlib
import json
import os
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from mindspore_port import layers
from mindspore_port.layers.shown_state import ShownState
from mindspore_port.layers.state import EXECUTOR, assign, to_numpy
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.reloop2 import ReLoop2

CONFIG = "reloop2_config"  # a uint8 array: the description as JSON


def describe(model):
    """Return class names and arguments of a model and its parts, as plain types."""
    if isinstance(model, ReLoop2):
        return {
            "class": "ReLoop2",
            "config": model.get_config(),
            "base": describe(model.base),
            "memory": [describe(memory) for memory in model.memories],
            "gate": None if model.gate is None else describe(model.gate),
        }
    return {"class": type(model).__name__, "config": model.get_config()}


def rebuild(description):
    """Make the model that `describe` described; its weights are fresh.

    Raises:
        ValueError: if a class is unknown.
    """
    name, config = description["class"], description["config"]
    if name == "ReLoop2":
        memories = [rebuild(memory) for memory in description["memory"]]
        gate = rebuild(description["gate"]) if description["gate"] else None
        return ReLoop2(rebuild(description["base"]), memories, **config, gate=gate)
    if name == "DeepFM":
        return DeepFM(**config)
    if not (name in layers.__all__ and hasattr(getattr(layers, name), "get_config")):
        raise ValueError(f"expected the class of a model or memory of this package, found {name!r}")
    return getattr(layers, name)(**config)


def named_parameters(model):
    """Return a dict: dotted name (its place in the model) -> Parameter, of all that was trained.

    Not what memories and gate show to graphs: those are copies; see `learnt`.
    """
    return {
        name: parameter
        for name, parameter in model.parameters_and_names()
        if name.split(".")[-1] != "dropout_step" and not name.split(".")[-1].startswith("shown_")
    }


def learnt(model):
    """Return a dict: dotted place -> core object, of the memories and the gate of a model."""
    if isinstance(model, ReLoop2):
        parts = {f"memories.{n}.": memory.core for n, memory in enumerate(model.memories)}
        return parts if model.gate is None else {**parts, "gate.": model.gate.core}
    return {"": model.core} if isinstance(model, ShownState) else {}


def weights(model):
    """Return a dict: dotted name (its place in the model) -> NumPy array, of all that is kept.

    What memories and gate learnt is as core holds it, in float64 and int64, all of one moment.
    """
    locked = model.correction.locked() if isinstance(model, ReLoop2) else contextlib.nullcontext()
    with EXECUTOR, locked:
        arrays = {name: to_numpy(parameter) for name, parameter in named_parameters(model).items()}
        for place, core in learnt(model).items():
            for name, array in core.state().items():
                arrays[place + name.replace("/", ".")] = array
    return arrays


def set_weights(model, arrays, source="`arrays`"):
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
    for place, core in learnt(model).items():
        core.load_state({n: arrays[place + n.replace("/", ".")] for n in core.state()})
    for name, parameter in parameters.items():
        assign(parameter, arrays[name])


def save_arrays(arrays, path):
    """Write a dict of arrays as a MindSpore checkpoint, beside its place, then renamed."""
    path = Path(path)
    beside = path.with_name(f"{path.stem}.part.ckpt")  # it must end in .ckpt
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"name": name, "data": Tensor(np.array(a))} for name, a in arrays.items()]
    ms.save_checkpoint(listed, str(beside))
    beside.chmod(0o644)  # MindSpore makes it readable for its owner alone
    os.replace(beside, path)


def load_arrays(path):
    """Read a MindSpore checkpoint as a dict of arrays.

    Raises:
        FileNotFoundError, ValueError: if there is none, or it cannot be read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a MindSpore checkpoint")
    try:
        return {name: to_numpy(p) for name, p in ms.load_checkpoint(str(path)).items()}
    except (ValueError, RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: expected a MindSpore checkpoint (.ckpt): {error}") from error


def pack(description):
    """Return a description as a uint8 array."""
    text = json.dumps(description, sort_keys=True)
    return np.frombuffer(text.encode("utf-8"), "uint8").copy()


def unpack(arrays, source):
    """Take the description out of `arrays`; ValueError naming `source` if there is none."""
    if CONFIG not in arrays:
        raise ValueError(f"{source}: expected a file of `save_model` (with {CONFIG}), found none")
    return json.loads(arrays.pop(CONFIG).tobytes().decode("utf-8"))


def save_model(model, path):
    """Save a `DeepFM` or `ReLoop2` with all weights, memory and arguments in one checkpoint.

    Example:
        >>> save_model(model, "reloop2.ckpt")
        >>> model = load_model("reloop2.ckpt")
    """
    save_arrays({CONFIG: pack(describe(model)), **weights(model)}, path)


def load_model(path, compute_dtype=None):
    """Return the model that `save_model` or `convert` wrote.

    Args:
        path: of the file.
        compute_dtype: of the base's dense layers, instead of that of the file.

    Raises:
        FileNotFoundError, ValueError: if the file is missing or not of that kind.
    """
    arrays = load_arrays(path)
    description = unpack(arrays, path)
    if compute_dtype is not None:
        description.get("base", description)["config"]["compute_dtype"] = compute_dtype
    model = rebuild(description)
    # a checkpoint of training holds moments and counts, too
    arrays = {name: a for name, a in arrays.items() if not name.startswith("training.")}
    set_weights(model, arrays, path)
    return model

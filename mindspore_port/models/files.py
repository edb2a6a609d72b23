"""Checkpoints that say themselves what they hold."""

import contextlib
import hashlib
import json
import os
import warnings
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from mindspore_port import layers
from mindspore_port.layers.shown_state import ShownState
from mindspore_port.layers.state import EXECUTOR, assign, to_numpy
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.names import to_neutral
from reloop2_keras.core.files import array_checksum, replaced
from reloop2_keras.core.old_names import gate_config
from reloop2_keras.core.weight_shapes import check_shapes

CONFIG = "reloop2_config"  # a uint8 array: the description as JSON
SUMS = "reloop2_sha256"  # a uint8 array: the checksum of each other array, as JSON
# what comes before the file's own checksum, at its end: field 1000 of the protobuf message, text of
# 64 bytes. MindSpore does not know that field and ignores it
_MARK, _DIGITS = b"\xc2\x3e\x40", 64


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


def rebuild(description, source="`description`"):
    """Make the model that `describe` described; its weights are fresh.

    Raises:
        ValueError: naming `source`, if it describes no model of this package.
    """
    try:
        return _rebuilt(description)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{source}: expected a model of this package: {error}") from error


def _rebuilt(description):
    name, config = description["class"], description["config"]
    if name == "ReLoop2":
        memories = [_rebuilt(memory) for memory in description["memory"]]
        gate = _rebuilt(description["gate"]) if description["gate"] else None
        return ReLoop2(_rebuilt(description["base"]), memories, **config, gate=gate)
    if name == "DeepFM":
        return DeepFM(**config)
    if not (name in layers.__all__ and hasattr(getattr(layers, name), "get_config")):
        raise ValueError(f"expected the class of a model or memory of this package, found {name!r}")
    return getattr(layers, name)(**(gate_config(config) if name == "OnlineGate" else config))


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
    """Write a dict of arrays as a MindSpore checkpoint, beside its place, then renamed.

    The checkpoint also holds the SHA-256 of each array, and at its end that of the file, which
    `load_arrays` compares: MindSpore takes a flipped bit for another number, or crashes.
    """
    arrays = {name: np.array(a) for name, a in arrays.items()}
    sums = {name: array_checksum(a) for name, a in arrays.items()}
    listed = [{"name": n, "data": Tensor(a)} for n, a in {**arrays, SUMS: pack(sums)}.items()]
    with replaced(path, ".ckpt") as beside:
        ms.save_checkpoint(listed, str(beside))
        beside.chmod(0o600)  # MindSpore takes the right to write away
        digest = _digest(beside, beside.stat().st_size)
        with beside.open("ab") as file:
            file.write(_MARK + digest)


def _digest(path, size):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while size > 0:
            part = file.read(min(size, 1 << 20))
            if not part:
                break
            total.update(part)
            size -= len(part)
    return total.hexdigest().encode()


def _is_whole(path):
    """Whether a file's own checksum is right; None if it has none."""
    size = os.path.getsize(path) - len(_MARK) - _DIGITS
    if size < 0:
        return None
    with open(path, "rb") as file:
        file.seek(size)
        end = file.read()
    if not end.startswith(_MARK):
        return None
    return end[len(_MARK) :] == _digest(path, size)


def load_arrays(path):
    """Read a MindSpore checkpoint as a dict of arrays, checksums compared.

    Warns where there are none: earlier versions wrote none.

    Raises:
        FileNotFoundError, ValueError: if there is no such file, it cannot be read, or an array is
            not what was written.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: not found. Expected a MindSpore checkpoint")
    whole = _is_whole(path)
    if whole is False:  # and MindSpore must not see it: it may crash the process
        raise ValueError(f"{path}: expected the file that was written, found another checksum")
    try:
        arrays = {name: to_numpy(p) for name, p in ms.load_checkpoint(str(path)).items()}
        sums = _unpacked(arrays.pop(SUMS)) if SUMS in arrays else None
    except (ValueError, RuntimeError, TypeError, KeyError, MemoryError) as error:
        first = [*str(error).strip().splitlines(), type(error).__name__][0]
        raise ValueError(f"{path}: expected a MindSpore checkpoint (.ckpt): {first}") from error
    if sums is not None and whole is None:
        raise ValueError(f"{path}: expected a checksum at its end, found none")
    if sums is None:
        warnings.warn(
            f"{path}: holds no checksums, as earlier versions wrote it; damage would go unnoticed",
            stacklevel=2,
        )
        return arrays
    for name in sorted(sums.keys() | arrays.keys()):
        found = array_checksum(arrays[name]) if name in arrays else "no such array"
        expected = sums.get(name, "no such array")
        if found != expected:
            raise ValueError(f"{path}: {name}: expected sha256 {expected}, found {found}")
    return arrays


def pack(description):
    """Return a description as a uint8 array."""
    text = json.dumps(description, sort_keys=True)
    return np.frombuffer(text.encode("utf-8"), "uint8").copy()


def unpack(arrays, source):
    """Take the description out of `arrays`; ValueError naming `source` if there is none."""
    if CONFIG not in arrays:
        raise ValueError(f"{source}: expected a file of `save_model` (with {CONFIG}), found none")
    return _unpacked(arrays.pop(CONFIG))


def _unpacked(array):
    described = json.loads(array.tobytes().decode("utf-8"))
    if not isinstance(described, dict):
        raise ValueError(f"expected a JSON object, found {type(described).__name__}")
    return described


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
    # a checkpoint of training holds moments and counts, too
    arrays = {name: a for name, a in arrays.items() if not name.startswith("training.")}
    shapes = {}
    try:  # before anything of a size that the file only claims is allocated
        for name, array in arrays.items():
            neutral, transposed = to_neutral(name)
            shapes[neutral] = array.shape[::-1] if transposed else array.shape
        check_shapes(description, shapes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    model = rebuild(description, path)
    set_weights(model, arrays, path)
    return model

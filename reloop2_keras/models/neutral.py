"""Models as a .npz file that needs no framework: the way to MindSpore and back.

python -m reloop2_keras.models.neutral dump MODEL.keras OUT.npz
python -m reloop2_keras.models.neutral load IN.npz MODEL.keras
python -m reloop2_keras.models.neutral outputs MODEL.keras BATCH.npz OUT.npz

The file holds every weight of the base under a name like `base/hidden_0/kernel`, what memories and
gate learnt under a name like `memories/0/sums` (float64, int64), and under `description` (uint8,
JSON) class names, arguments and the SHA-256 of each array. Not in it:
optimizer, compile options, layer names, dtype policy, `row_sparse`.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import keras
import numpy as np

from reloop2_keras import layers
from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.reloop2 import ReLoop2

# of Keras alone; row_sparse says how a model is trained, not what it computes
NOT_ARGUMENTS = ("name", "trainable", "dtype", "row_sparse")
numpy = keras.ops.convert_to_numpy


def _arguments(layer):
    return {k: v for k, v in layer.get_config().items() if k not in NOT_ARGUMENTS}


def describe(model):
    """Return class names and arguments of a model and its parts, as plain types.

    Raises:
        ValueError: if the model is neither a `DeepFM` nor a `ReLoop2` around one.
    """
    if isinstance(model, ReLoop2):
        names = ("compensation", "label_weight", "key")
        return {
            "class": "ReLoop2",
            "config": {name: getattr(model, name) for name in names},
            "base": describe(model.base),
            "memory": [describe(memory) for memory in model.memories],
            "gate": describe(model.gate) if model.gate else None,
        }
    if not isinstance(model, DeepFM | layers.ErrorMemory | layers.OnlineGate):
        raise ValueError(
            f"expected a DeepFM, or a ReLoop2 around one. Received: {type(model).__name__}"
        )
    return {"class": type(model).__name__, "config": _arguments(model)}


def rebuild(description):
    """Make and build the model that `describe` described; its weights are fresh.

    Raises:
        ValueError: if a class is unknown.
    """
    name, config = description["class"], description["config"]
    if name == "ReLoop2":
        memories = [rebuild(memory) for memory in description["memory"]]
        gate = rebuild(description["gate"]) if description["gate"] else None
        model = ReLoop2(rebuild(description["base"]), memories, **config, gate=gate)
        model.build()
        return model
    if name == "DeepFM":
        model = DeepFM(**config)
        model.build()
        return model
    if name not in layers.__all__:
        raise ValueError(f"expected a class of this package, found {name!r}")
    return getattr(layers, name)(**config)


def variables(model):
    """Return a dict: neutral name -> Keras variable, of the base's weights."""
    if isinstance(model, ReLoop2):
        return {f"base/{name}": w for name, w in variables(model.base).items()}
    children = [model.field_embedding, model.linear_embedding, *model.hidden_layers]
    children.append(model.deep_logit)
    return {f"{child.name}/{w.name}": w for child in children for w in child.weights}


def learnt(model):
    """Return a dict: prefix of neutral names -> core object, of the memories and the gate."""
    if not isinstance(model, ReLoop2):
        return {}
    parts = {f"memories/{n}/": memory.core for n, memory in enumerate(model.memories)}
    return {**parts, "gate/": model.gate.core} if model.gate else parts


def states(model):
    """Return a dict: neutral name -> array in float64 or int64, of what memories and gate learnt.

    Weights of their layers are float32 copies.
    """
    return {
        prefix + name: array
        for prefix, core in learnt(model).items()
        for name, array in core.state().items()
    }


def _beside(path, write):
    beside = path.with_name(f".part.{path.name}")
    write(beside)
    os.replace(beside, path)


def dump(model, path):
    """Write a model as a neutral file, beside its place, then renamed."""
    arrays = {name: numpy(w) for name, w in variables(model).items()} | states(model)
    sums = {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in arrays.items()}
    text = json.dumps({"model": describe(model), "sha256": sums}, sort_keys=True)
    arrays["description"] = np.frombuffer(text.encode("utf-8"), "uint8")
    _beside(Path(path), lambda p: np.savez(p, **arrays))


def load(path):
    """Return the model of a neutral file.

    Raises:
        ValueError: if the file is not neutral, or an array is missing, left over or misshapen.
    """
    with np.load(path) as file:
        arrays = dict(file)
    if "description" not in arrays:
        raise ValueError(f"{path}: expected a neutral file with a `description`, found none")
    model = rebuild(json.loads(arrays.pop("description").tobytes())["model"])
    named = variables(model)
    known = named.keys() | states(model).keys()
    if known != arrays.keys():
        raise ValueError(f"{path}: arrays and model differ in {sorted(known ^ arrays.keys())}")
    for name, variable in named.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise ValueError(
                f"{path}: {name}: expected shape {tuple(variable.shape)}, "
                f"found {arrays[name].shape}"
            )
        variable.assign(arrays[name])
    for prefix, core in learnt(model).items():
        try:
            core.load_state({name: arrays[prefix + name] for name in core.state()})
        except ValueError as error:
            raise ValueError(f"{path}: {prefix}{error}") from error
    return model


def outputs(model, batch):
    """Return what a model says on a batch: logit, keys, and `corrected` for a `ReLoop2`."""
    x = {name: keras.ops.convert_to_tensor(array) for name, array in batch.items()}
    base = model.base if isinstance(model, ReLoop2) else model
    out = {name: numpy(value) for name, value in base.logits_and_keys(x).items()}
    if base is not model:
        out["corrected"] = numpy(model(x))
    return out


def main(argv):
    """Command line; returns the exit status."""
    if len(argv) < 3 or argv[0] not in ("dump", "load", "outputs"):
        sys.stderr.write(__doc__)
        return 2
    command, source, *rest = argv
    try:
        if command == "dump":
            dump(keras.saving.load_model(source, compile=False), rest[0])
        elif command == "load":
            model = load(source)
            _beside(Path(rest[0]), model.save)
        else:
            model = keras.saving.load_model(source, compile=False)
            with np.load(rest[0]) as batch:
                np.savez(rest[1], **outputs(model, dict(batch)))
    except (ValueError, OSError, TypeError, KeyError) as error:
        sys.stderr.write(f"neutral: {source}: {error}\n")
        return 2
    sys.stdout.write(keras.backend.backend() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

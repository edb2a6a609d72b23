"""Models as a .npz file that needs no framework: the way to MindSpore and back.

python -m reloop2_keras.models.neutral dump MODEL.keras OUT.npz
python -m reloop2_keras.models.neutral load IN.npz MODEL.keras
python -m reloop2_keras.models.neutral outputs MODEL.keras BATCH.npz OUT.npz

The file is described in `reloop2_keras/core/neutral.py`. Not in it: optimizer, compile options,
layer names, dtype policy, `row_sparse`.
"""

import argparse
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from reloop2_keras import layers
from reloop2_keras.core import neutral
from reloop2_keras.core.command_line import Parser, check_out_file
from reloop2_keras.core.files import replaced
from reloop2_keras.core.keras_file import check_keras_file
from reloop2_keras.core.old_names import gate_config
from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.reloop2 import ReLoop2

# of Keras alone; row_sparse says how a model is trained, not what it computes
NOT_ARGUMENTS = ("name", "trainable", "dtype", "row_sparse")
_BAD_INPUT = (ValueError, OSError, TypeError, KeyError, zipfile.BadZipFile, EOFError)
_PARTS = DeepFM | layers.ErrorMemory | layers.OnlineGate | layers.OnlineTables
numpy = keras.ops.convert_to_numpy


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


def arrays_of(model: keras.Model) -> dict[str, np.ndarray]:
    """Return a dict: neutral name -> NumPy array, of all that a model holds.

    Raises:
        ValueError: if the model is not built.
    """
    if not model.built:
        raise ValueError("expected a model that is built, found one without weights: call it once")
    if not isinstance(model, ReLoop2):
        return {name: _plain(numpy(w)) for name, w in _weights(model).items()}
    arrays = {f"base/{name}": array for name, array in arrays_of(model.base).items()}
    for part, layer in _learning(model).items():
        arrays |= {f"{part}/{name}": array for name, array in layer.core.state().items()}
    return arrays


def _learning(model):
    """What learns online: neutral name -> layer."""
    if model.online is not None:
        return {"online": model.online}
    parts = {f"memories/{number}": memory for number, memory in enumerate(model.memories)}
    return {**parts, **({"gate": model.gate} if model.gate else {})}


def _weights(base):
    children = [base.field_embedding, base.linear_embedding, *base.hidden_layers, base.deep_logit]
    return {f"{child.name}/{w.name}": w for child in children for w in child.weights}


def _plain(array):
    """NumPy has no bfloat16 of its own: what reads the file would see raw bytes."""
    return array if array.dtype.kind in "iuf" else array.astype("float32")


def dump(model: keras.Model, path: str | Path) -> None:
    """Write a built `DeepFM` or `ReLoop2` as a neutral file, beside its place, then renamed.

    Args:
        path: must end in .npz.

    Raises:
        ValueError: naming the file, if the model is another one, not built or not finite.
    """
    neutral.write(path, describe(model), arrays_of(model))


def load(path: str | Path) -> keras.Model:
    """Return the model of a neutral file.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: naming the file and what in it is damaged, of another size, or not of this
            package. Nothing of a size that the file only claims is allocated.
    """
    description, arrays = neutral.read(path)
    try:
        model = rebuild(description)
        base = model.base if isinstance(model, ReLoop2) else model
        prefix = "" if base is model else "base/"
        for name, variable in _weights(base).items():
            variable.assign(arrays[prefix + name])
        if base is not model:
            for part, layer in _learning(model).items():
                start = part + "/"
                layer.load_state(
                    {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
                )
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: expected a model of this package: {error}") from error
    return model


def outputs(model: keras.Model, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a model says on a batch: logit, keys, and `corrected` for a `ReLoop2`."""
    x = {name: keras.ops.convert_to_tensor(array) for name, array in batch.items()}
    base = model.base if isinstance(model, ReLoop2) else model
    out = {name: numpy(value) for name, value in base.logits_and_keys(x).items()}
    if base is not model:
        out["corrected"] = numpy(model(x))
    return out


def load_model(path: Path) -> keras.Model:
    """Return the model of a .keras file, not compiled; one clear error if it is none."""
    return keras.saving.load_model(check_keras_file(path), compile=False)


def _dump(arguments):
    check_out_file(arguments.output)
    dump(load_model(arguments.model), arguments.output)


def _load(arguments):
    check_out_file(arguments.model)
    load(arguments.neutral).save(arguments.model)


def _outputs(arguments):
    check_out_file(arguments.output)
    model = load_model(arguments.model)
    found = outputs(model, neutral.read_arrays(arguments.batch))
    with replaced(arguments.output) as beside:
        np.savez(beside, **found)


def _file(*endings):
    """A type of argument: a path that ends as it should."""

    def path(text):
        if Path(text).suffix not in endings:
            raise argparse.ArgumentTypeError(
                f"expected a name that ends in {' or '.join(endings)}, found {text!r}"
            )
        return Path(text)

    return path


def _parser():
    parser = Parser(
        prog="python -m reloop2_keras.models.neutral",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    model, npz = ("model", _file(".keras")), _file(".npz")
    for name, run, *arguments in (
        ("dump", _dump, model, ("output", npz)),
        ("load", _load, ("neutral", npz), model),
        ("outputs", _outputs, model, ("batch", npz), ("output", npz)),
    ):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        for argument, kind in arguments:
            command.add_argument(argument, type=kind)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except _BAD_INPUT as error:
        names = [str(path) for path in vars(arguments).values() if isinstance(path, Path)]
        text = (str(error).strip() or repr(error)).splitlines()[0][:500]
        if not any(name in text for name in names):
            text = f"{' '.join(names)}: {text}"
        sys.stderr.write(f"neutral: {text}\n")
        return 2
    sys.stdout.write(keras.backend.backend() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

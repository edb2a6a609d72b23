"""Models as a .npz file that needs no framework: the way to MindSpore and back.

python -m reloop2_keras.models.neutral dump MODEL.keras OUT.npz
python -m reloop2_keras.models.neutral load IN.npz MODEL.keras
python -m reloop2_keras.models.neutral outputs MODEL.keras BATCH.npz OUT.npz

The file is described in `reloop2_keras/core/neutral.py`. Not in it: optimizer, compile options,
layer names, dtype policy, `row_sparse`.
"""

import argparse
import contextlib
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from reloop2_keras.core import neutral
from reloop2_keras.core.array_checks import one_line
from reloop2_keras.core.command_line import Parser, check_out_file
from reloop2_keras.core.files import replaced
from reloop2_keras.core.keras_file import check_keras_file
from reloop2_keras.models.plain_form import describe, rebuild
from reloop2_keras.models.reloop2 import ReLoop2

_BAD_INPUT = (ValueError, OSError, TypeError, KeyError, zipfile.BadZipFile, EOFError)
numpy = keras.ops.convert_to_numpy


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
        raise ValueError(f"{path}: expected a model of this package: {one_line(error)}") from error
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


@contextlib.contextmanager
def _one_line(*paths: Path) -> Iterator[None]:
    """Raise whatever is wrong with a file as one ValueError, of one line that names it."""
    try:
        yield
    except _BAD_INPUT as error:
        text = (str(error).strip() or repr(error)).splitlines()[0][:500]
        if not any(str(path) in text for path in paths):
            text = f"{' '.join(map(str, paths))}: {text}"
        raise ValueError(text) from error


def dump_file(model: str | Path, output: str | Path) -> str:
    """Write the model of a .keras file as a neutral file; returns the backend's name (ours).

    Raises:
        ValueError: in one line that names the file, for whatever cannot be read or written.
    """
    model, output = Path(model), Path(output)
    with _one_line(model, output):
        check_out_file(output)
        dump(load_model(model), output)
    return keras.backend.backend()


def load_file(source: str | Path, model: str | Path) -> str:
    """Write the model of a neutral file as a .keras file; returns the backend's name (ours).

    A neutral file keeps no dtype policy: the model computes in float32, whatever policy is in use.

    Raises:
        ValueError: in one line that names the file, for whatever cannot be read or written.
    """
    source, model = Path(source), Path(model)
    policy = keras.config.dtype_policy()  # of this thread alone, as Keras keeps it
    with _one_line(source, model):
        check_out_file(model)
        try:
            keras.config.set_dtype_policy("float32")
            load(source).save(model)
        finally:
            keras.config.set_dtype_policy(policy)
    return keras.backend.backend()


def outputs_file(model: str | Path, batch: str | Path, output: str | Path) -> str:
    """Write as .npz what the model of a .keras file says on a batch; returns the backend's name.

    Args:
        model, output: paths.
        batch: path of a .npz file of feature_ids, feature_values and feature_hashes.

    Raises:
        ValueError: in one line that names the file, for whatever cannot be read or written.
    """
    model, batch, output = Path(model), Path(batch), Path(output)
    with _one_line(model, batch, output):
        check_out_file(output)
        found = outputs(load_model(model), neutral.read_arrays(batch))
        with replaced(output) as beside:
            np.savez(beside, **found)
    return keras.backend.backend()


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
        ("dump", dump_file, model, ("output", npz)),
        ("load", load_file, ("source", npz), model),
        ("outputs", outputs_file, model, ("batch", npz), ("output", npz)),
    ):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        for argument, kind in arguments:
            shown = "neutral" if argument == "source" else None
            command.add_argument(argument, type=kind, metavar=shown)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    paths = vars(_parser().parse_args(argv))
    del paths["command"]
    try:
        backend = paths.pop("run")(**paths)
    except ValueError as error:
        sys.stderr.write(f"neutral: {error}\n")
        return 2
    sys.stdout.write(backend + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Weights, memory and gate from Keras to MindSpore and back, by way of a neutral file.

python -m mindspore_port.convert keras-to-mindspore IN OUT
python -m mindspore_port.convert mindspore-to-keras IN OUT

A Keras model is a .keras file or, where Keras is not installed, the neutral .npz that
`python -m reloop2_keras.models.neutral dump` (or this command) wrote elsewhere. A MindSpore model
is a .ckpt file, or .npz. Where both frameworks are installed, both sides are run on one batch and
the largest differences are printed; Keras runs in a process of its own, on the backend that the
environment chooses, or in this one where a caller hands its end in, as a notebook does. Elsewhere
checksums and shapes are compared.
"""

import argparse
import functools
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mindspore_port import neutral
from mindspore_port.logs import Log, fail
from mindspore_port.models.checkpoint_file import load_model, save_model
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.models.serving import Serving
from reloop2_keras.core.beside import beside
from reloop2_keras.core.command_line import Parser, check_out_file
from reloop2_keras.core.files import replaced, writing
from reloop2_keras.core.memories import ExactMemory, SketchMemory

TOLERANCE = 1e-4  # of the check; parity in float32 is about 1e-6
ROWS = 256


class KerasEnd(Protocol):
    """What does Keras' part of a conversion: `reloop2_keras.models.neutral` is one (ours)."""

    def dump_file(self, model: Path, output: Path) -> str:
        """Write a .keras file as a neutral one; returns the backend's name."""

    def load_file(self, source: Path, model: Path) -> str:
        """Write a neutral file as a .keras one, in float32; returns the backend's name."""

    def outputs_file(self, model: Path, batch: Path, output: Path) -> str:
        """Write as .npz what a .keras file says on a batch; returns the backend's name."""


def convert(
    direction: str,
    source: str | Path,
    target: str | Path,
    say: Callable[[str], None] | None = None,
    keras: KerasEnd | None = None,
) -> dict[str, float] | None:
    """Convert a file; returns a dict of largest differences, or None where Keras is missing.

    Args:
        direction: "keras-to-mindspore" or "mindspore-to-keras".
        source, target: paths; see the module.
        say: function of a line, or None.
        keras: what does Keras' part here, such as the module `reloop2_keras.models.neutral`. None:
            a process of its own does it.

    Raises:
        ValueError: for an unknown kind of file, a broken one, or a difference above 1e-4.
    """
    say = say or Log(quiet=True)
    source, target = Path(source), Path(target)
    to_keras = direction == "mindspore-to-keras"
    kinds = ({".ckpt", ".npz"}, {".keras", ".npz"})
    for name, path, kind in zip(
        ("IN", "OUT"), (source, target), kinds[:: 1 if to_keras else -1], strict=True
    ):
        if path.suffix not in kind:
            raise ValueError(f"{path}: expected {name} to end in {' or '.join(sorted(kind))}")
    if not source.is_file():
        raise FileNotFoundError(f"{source}: not found")
    check_out_file(target)
    with writing(target, reads=True), beside(target) as folder:
        middle = folder / "neutral.npz"
        if to_keras:
            # compared in float32: a neutral file keeps no dtype of computation
            ckpt = source.suffix == ".ckpt"
            model = load_model(source, "float32") if ckpt else neutral.load(source)
            neutral.dump(model, middle)
            model = neutral.load(middle)  # in float32, as Keras will run it
            keras_file = target
            if target.suffix == ".keras":
                _keras_end(keras, "load")(middle, target)
        else:
            keras_file = source
            if source.suffix == ".keras":
                _keras_end(keras, "dump")(source, middle)
            else:
                shutil.copyfile(source, middle)
            model = neutral.load(middle)
            if target.suffix == ".ckpt":
                save_model(model, target)
                model = load_model(target)  # what is checked is what was written
        arrays = neutral.read(middle)[1]
        if target.suffix == ".npz":
            with replaced(target, check=neutral.read) as whole:
                shutil.copyfile(middle, whole)
        numbers = sum(array.size for array in arrays.values())
        say(f"{source} -> {target}: {len(arrays)} arrays, {numbers:,} numbers")
        if keras_file.suffix == ".npz" or not (keras or _keras_is_here()):
            say("Keras side not run (no .keras file or no Keras here): checksums and shapes agree")
            return None
        return compare(model, keras_file, folder, say, keras)


def _keras_is_here() -> bool:
    return all(importlib.util.find_spec(name) for name in ("keras", "reloop2_keras"))


def _keras_end(keras: KerasEnd | None, command: str) -> Callable[..., str]:
    if keras is None:
        return functools.partial(_keras, command)
    return getattr(keras, f"{command}_file")


def _keras(*arguments: str | Path) -> str:
    """Run the Keras end in a process of its own; returns its last word, the backend's name."""
    if not _keras_is_here():
        raise ValueError(
            "Keras is not installed here: dump the .keras file where it is, by "
            "`python -m reloop2_keras.models.neutral dump MODEL.keras OUT.npz`, and give the .npz"
        )
    command = [sys.executable, "-m", "reloop2_keras.models.neutral", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.strip()[-2000:])
    return done.stdout.split()[-1]


def probe(model: DeepFM | ReLoop2, rows: int = ROWS, seed: int = 0) -> dict[str, np.ndarray]:
    """Return a batch of random rows that a model can take."""
    base = model.base if isinstance(model, ReLoop2) else model
    rng = np.random.default_rng(seed)
    cardinalities = np.array([field["cardinality"] for field in base.fields])
    offsets = np.cumsum(cardinalities) - cardinalities
    ids = offsets + (rng.random((rows, len(offsets))) * cardinalities).astype("int64")
    return {
        "feature_ids": ids.astype("int32"),
        "feature_values": rng.random(ids.shape, "float32"),
        "feature_hashes": rng.integers(-(2**31), 2**31, ids.shape).astype("int32"),
    }


def outputs(model: DeepFM | ReLoop2, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a model says on a batch: logit, keys, and `corrected` for a `ReLoop2`."""
    base = model.base if isinstance(model, ReLoop2) else model
    out = Serving(base, ("hidden", "embedding"))(batch)
    out = {name: out[name] for name in ("logit", "hidden", "embedding")}
    if base is not model:
        out["corrected"] = model.predict(batch)
    return out


def compare(
    model: DeepFM | ReLoop2,
    keras_file: Path,
    folder: Path,
    say: Callable[[str], None],
    keras: KerasEnd | None = None,
) -> dict[str, float]:
    """Run a Keras file and a MindSpore model on one batch; returns the largest differences.

    Args:
        model: `DeepFM` or `ReLoop2` of this package.
        keras_file: path of the .keras file that should be the same model.
        folder: path, for the batch and the outputs.
        say: function of a line.
        keras: as of `convert`.

    Raises:
        ValueError: if a difference is above 1e-4.
    """
    batch = probe(model)
    np.savez(folder / "batch.npz", **batch)
    files = keras_file, folder / "batch.npz", folder / "outputs.npz"
    backend = _keras_end(keras, "outputs")(*files)
    with np.load(folder / "outputs.npz") as file:
        theirs = dict(file)
    mine = outputs(model, batch)
    sure = sure_rows(model, mine)
    differences = {}
    for name, value in mine.items():
        rows = sure if name == "corrected" else slice(None)
        gap = np.abs(value[rows] - theirs[name].reshape(value.shape)[rows])
        differences[name] = float(gap.max(initial=0.0))
    told = ", ".join(f"{name} {gap:.1e}" for name, gap in differences.items())
    say(f"largest difference to Keras on {backend}, {ROWS} rows: {told}")
    if not sure.all():
        say(f"({(~sure).sum()} rows left out of `corrected`: a tie, or a projection near 0)")
    if max(differences.values()) > TOLERANCE:
        raise ValueError(f"{keras_file}: expected differences below {TOLERANCE}, found {told}")
    return differences


def sure_rows(model: DeepFM | ReLoop2, served: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return bool (rows,): False where rounding alone may decide what a memory finds.

    That is so where a sketch's projection lies within 1e-5 of 0, and where the nearest row that an
    exact memory leaves out is as near as the last one it takes, within 1e-5.
    """
    sure = np.ones(len(served["logit"]), bool)
    if not isinstance(model, ReLoop2):
        return sure
    for memory, key in zip(model.memories, model.keys, strict=True):
        core = memory.core
        if isinstance(core, SketchMemory):
            projected = core.normalization(served[key]) @ core.projections.astype("float64")
            sure &= (np.abs(projected) > 1e-5).all(axis=1)
        elif isinstance(core, ExactMemory):
            held = core.keys[core.rows[:, 2] > 0].astype("float64")
            if len(held) > core.num_neighbors:
                similarity = -np.sort(-(core.places(served[key]) @ held.T), axis=1)
                last = similarity[:, core.num_neighbors - 1]
                sure &= last - similarity[:, core.num_neighbors] > 1e-5
    return sure


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    parser = Parser(
        prog="python -m mindspore_port.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("direction", choices=["keras-to-mindspore", "mindspore-to-keras"])
    parser.add_argument("input", metavar="IN", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    args = parser.parse_args(argv)
    try:
        convert(args.direction, args.input, args.output, Log())
    except (ValueError, OSError) as error:
        return fail("convert", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

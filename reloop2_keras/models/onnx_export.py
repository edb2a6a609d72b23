"""Base models as ONNX files, which `core.serving.OnnxBase` serves without Keras.

python -m reloop2_keras.models.onnx_export MODEL.keras OUT.onnx --dataset DATASET

A `DeepFM` (or the base of a `ReLoop2`) is written by core, from its weights: the same file on every
backend. Any other functional model is traced by Keras' own `export`, and compared with Keras on
rows that the caller gives, before the file is kept.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from reloop2_keras.backend import Inputs
from reloop2_keras.core.beside import scratch
from reloop2_keras.core.command_line import Parser, check_out_file
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.optional import optional
from reloop2_keras.core.serving import OnnxBase
from reloop2_keras.core.serving.deepfm_graph import OPSET, PROBABILITY
from reloop2_keras.core.serving.onnx_file import export_neutral, with_outputs, write
from reloop2_keras.core.serving.same_ids import encoder_mark
from reloop2_keras.models.deepfm import DeepFM
from reloop2_keras.models.neutral import arrays_of, load_model
from reloop2_keras.models.plain_form import describe
from reloop2_keras.models.reloop2 import ReLoop2
from reloop2_keras.models.serving import Serving, key_dim, tapped

TOLERANCE = 1e-5


def export_onnx(
    model: keras.Model,
    path: str | os.PathLike,
    keys: Sequence[str] = (),
    example: Inputs | None = None,
    fields: Iterable[Mapping[str, Any]] | None = None,
    encoder: Encoder | None = None,
) -> str:
    """Write a base model as ONNX (opset 18, any number of rows), beside its place, then renamed.

    Args:
        model: a built `DeepFM`; a `ReLoop2`, of which the base is written, as a memory learns
            while serving; or a functional `keras.Model` with one probability as its output.
        path: must end in .onnx.
        keys: names of layers of a functional model, to be served as keys; a `DeepFM`'s file always
            has "hidden" and "embedding".
        example: for a functional model at least two rows of what it takes, such as
            `slot.load()`'s ids and values.
        fields: for a functional model that takes `feature_ids` and `feature_values`: those of the
            dataset, so that ids are checked when it serves.
        encoder: `Encoder` of the dataset that it was trained on: the file says which ids these
            are, and a service refuses to release it over others.

    Returns:
        The file's SHA-256.

    Raises:
        ImportError: if the package onnx is not installed.
        ValueError: if the model is not built, an argument is missing, Keras cannot export the
            model on this backend, or what it wrote is not equal to Keras to 1e-5. Nothing is
            written then.

    Example:
        >>> export_onnx(base, "base.onnx")  # doctest: +SKIP
        >>> export_onnx(mine, "mine.onnx", ["last_layer"], example)  # doctest: +SKIP
    """
    if isinstance(model, ReLoop2):
        model = model.base
    if not isinstance(model, DeepFM):
        return _traced(model, Path(path), tuple(keys), example, fields, encoder)
    for key in keys:
        key_dim(model, key)
    mark = None if encoder is None else encoder_mark(encoder)
    return export_neutral(describe(model), arrays_of(model), path, encoder_mark=mark)


def _traced(model, path, keys, example, fields, encoder):
    if example is None:
        raise ValueError("`example` must be rows of the model's inputs, to compare what is written")
    want = Serving(model, keys)(example)
    if len(want[PROBABILITY]) < 2:
        raise ValueError("`example` must have at least two rows. Received: one")
    onnx = optional("onnx", "export to ONNX", "onnx")
    with scratch("reloop2-onnx") as folder:
        traced = folder / "traced.onnx"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of tracers about themselves; see `_compare`
                served = tapped(model, keys)
                served(_rows(example, 2))  # Keras exports what was called once
                served.export(str(traced), format="onnx", verbose=False, opset_version=OPSET)
        except Exception as error:  # each exporter has errors of its own, missing packages too
            first = [*str(error).strip().splitlines(), type(error).__name__][0]
            raise ValueError(
                f"{path}: Keras on {keras.backend.backend()} cannot export {model.name!r} to ONNX "
                f"here: {first} Serve it by Keras, or export it with KERAS_BACKEND=torch"
            ) from error
        made = onnx.load(str(traced))
        names = dict(zip([PROBABILITY, *keys], [o.name for o in made.graph.output], strict=True))
        widths = [1, *(want[key].shape[1] for key in keys)]
        with_outputs(made, {new: (names[new], n) for new, n in zip(names, widths, strict=True)})
        about = {
            "class": type(model).__name__,
            "fields": None if fields is None else [dict(field) for field in fields],
            "keys": list(keys),
        }
        if encoder is not None:
            about["encoder"] = encoder_mark(encoder)
        beside = Path(folder) / "checked.onnx"
        write(beside, made, about)
        _compare(OnnxBase(beside.read_bytes()), model, example, want)
        return write(path, made, about)


def _compare(base, model, example, want):
    """Raise ValueError unless a file serves what Keras does, in batches of several sizes."""
    if isinstance(example, Mapping):
        arrays = dict(example)
    else:
        parts = example if isinstance(example, list | tuple) else [example]
        arrays = dict(zip([x.name for x in model.inputs], parts, strict=True))
    for rows in sorted({1, 2, len(want[PROBABILITY])}):
        found = base.serve(_rows(arrays, rows))
        for name, array in want.items():
            apart = float(np.abs(found[name] - array[:rows]).max())
            if not apart <= TOLERANCE:
                raise ValueError(
                    f"{model.name!r} in ONNX must give Keras' {name!r} to {TOLERANCE}. Received: "
                    f"{apart} apart in {rows} rows. Serve it by Keras"
                )


def _rows(x, rows):
    return keras.tree.map_structure(lambda array: np.asarray(array)[:rows], x)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    parser = Parser(
        prog="python -m reloop2_keras.models.onnx_export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "model", type=Path, help="a .keras file of a DeepFM or a ReLoop2 around one"
    )
    parser.add_argument("output", type=Path, help="ends in .onnx")
    parser.add_argument(
        "--dataset", type=Path, help="that it was trained on: the file says which ids it has"
    )
    args = parser.parse_args(argv)
    try:
        if args.output.suffix != ".onnx":
            raise ValueError(f"{args.output}: expected OUT to end in .onnx")
        check_out_file(args.output)
        encoder = None if args.dataset is None else Encoder.load(args.dataset)
        checksum = export_onnx(load_model(args.model), args.output, encoder=encoder)
    except (ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"onnx_export: {' '.join(str(error).split())}\n")
        return 2
    sys.stdout.write(f"written: {args.output} (sha256 {checksum[:12]}…)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

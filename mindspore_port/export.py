"""Export the base model: python -m mindspore_port.export CKPT OUT [--rows N].

OUT ends in .mindir (any batch size), .onnx (any batch size) or .air (Ascend only). Inputs:
`feature_ids` int32 (batch, F) and `feature_values` float32 (batch, F); output: logits float32
(batch, 1). With hashed rows also `feature_hashes` int32 (batch, F). A memory is not exported: it
changes while serving. Beside a .mindir or .air file its SHA-256 is written, as OUT.json, and
printed: such a file has no checksum of its own, and its readers take a flipped bit for a weight.

The .onnx file is core's (`core.serving.deepfm_graph`), from the weights alone: the same file as
from Keras, with the outputs `probability`, `logit`, `hidden` and `embedding`. It is computed in
float32 and served by `core.serving.OnnxBase`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindspore_port.logs import Log, fail
from mindspore_port.models.checkpoint_file import load_model
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.reloop2 import ReLoop2
from mindspore_port.neutral import neutral_form
from reloop2_keras.core.arguments import MOST_ROWS
from reloop2_keras.core.command_line import Parser, check_out_file, whole
from reloop2_keras.core.serving.onnx_file import export_neutral
from reloop2_keras.core.side_file import check_side_file, replaced_with_side_file

FORMATS = {".mindir": "MINDIR", ".onnx": "ONNX", ".air": "AIR"}


class Logits(nn.Cell):
    """The base model's logit alone, as one cell.

    Args:
        base: `DeepFM`.

    Call arguments:
        feature_ids: int32 (batch, F). feature_values: float32 (batch, F). feature_hashes: int32
            (batch, F), for a base with hashed rows.

    Returns:
        float32 (batch, 1).

    Example:
        >>> ms.export(Logits(base), ids, values, file_name="base", file_format="MINDIR")
    """

    def __init__(self, base: DeepFM) -> None:
        super().__init__(auto_prefix=False)  # or it would rename the base's parameters
        self.base = base
        self.set_train(False)

    def construct(
        self, feature_ids: Tensor, feature_values: Tensor, feature_hashes: Tensor | None = None
    ) -> Tensor:
        return self.base.logits_and_keys(feature_ids, feature_values, feature_hashes)["logit"]


def export(checkpoint: str | Path, target: str | Path, rows: int | None = None) -> None:
    """Write the base model of a checkpoint in another format, beside its place, then renamed.

    Beside a .mindir or .air file goes its SHA-256 (`core.side_file`).

    Args:
        checkpoint: path of a file of `save_model`, of training or of `convert`.
        target: path that ends in .mindir, .onnx or .air.
        rows: int, a fixed batch size; None for any.

    Raises:
        ValueError: if the format is unknown or this MindSpore cannot write it.
        ImportError: for .onnx, if the package onnx is not installed.
    """
    target = Path(target)
    kind = FORMATS.get(target.suffix)
    if kind is None:
        raise ValueError(f"{target}: expected OUT to end in {', '.join(FORMATS)}")
    check_out_file(target)
    model = load_model(checkpoint)
    base = model.base if isinstance(model, ReLoop2) else model
    if kind == "ONNX":
        export_neutral(*neutral_form(model), target, rows)
        return
    width = len(base.fields)
    dtypes = [ms.int32, ms.float32, *([ms.int32] if base.takes_hashes else [])]
    inputs = [
        Tensor(shape=(None, width), dtype=dtype)
        if rows is None
        else Tensor(np.zeros((rows, width)), dtype)
        for dtype in dtypes
    ]
    syntax = ms.get_context("jit_syntax_level")
    with replaced_with_side_file(target) as beside:
        try:
            ms.export(Logits(base), *inputs, file_name=str(beside), file_format=kind)
        except (RuntimeError, ValueError, TypeError) as error:
            first = str(error).strip().splitlines()[0]
            raise ValueError(f"{target}: {kind} cannot be written here: {first}") from error
        finally:
            # a failed `ms.export` leaves the strict level, under which cells return no dicts
            ms.set_context(jit_syntax_level=syntax)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    parser = Parser(
        prog="python -m mindspore_port.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", metavar="CKPT", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    parser.add_argument(
        "--rows", type=whole(1, MOST_ROWS), help="a fixed batch size (default: any)"
    )
    args = parser.parse_args(argv)
    try:
        export(args.checkpoint, args.output, args.rows)
        own = args.output.suffix == ".onnx"  # it holds its checksum itself
        digest = "" if own else f", sha256 {check_side_file(args.output)}"
    except (ValueError, OSError, ImportError) as error:
        return fail("export", error)
    Log()(f"saved: {args.output}{digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

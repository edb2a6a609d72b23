"""Export the base model: python -m mindspore_port.export CKPT OUT [--rows N].

OUT ends in .mindir (any batch size), .onnx (any batch size) or .air (Ascend only). Inputs:
`feature_ids` int32 (batch, F) and `feature_values` float32 (batch, F); output: logits float32
(batch, 1). With hashed rows MINDIR and AIR also take `feature_hashes` int32 (batch, F), and ONNX
takes `feature_rows` int32 (batch, F) instead of ids, which `core.hashed_rows.HashedRows.rows` makes
on the host: MindSpore's ONNX files have no integer operation for it. A memory is not exported: it
changes while serving.
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
from reloop2_keras.core.files import replaced

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


class RowLogits(nn.Cell):
    """`Logits` from rows of the tables instead of ids and hashes.

    Args:
        base: `DeepFM`.
    """

    def __init__(self, base: DeepFM) -> None:
        super().__init__(auto_prefix=False)  # or it would rename the base's parameters
        self.base = base
        self.set_train(False)

    def construct(self, feature_rows: Tensor, feature_values: Tensor) -> Tensor:
        return self.base.from_rows(feature_rows, feature_values)["logit"]


def export(checkpoint: str | Path, target: str | Path, rows: int | None = None) -> None:
    """Write the base model of a checkpoint in another format, beside its place, then renamed.

    Args:
        checkpoint: path of a file of `save_model`, of training or of `convert`.
        target: path that ends in .mindir, .onnx or .air.
        rows: int, a fixed batch size; None for any.

    Raises:
        ValueError: if the format is unknown or this MindSpore cannot write it.
    """
    target = Path(target)
    kind = FORMATS.get(target.suffix)
    if kind is None:
        raise ValueError(f"{target}: expected OUT to end in {', '.join(FORMATS)}")
    model = load_model(checkpoint)
    base = model.base if isinstance(model, ReLoop2) else model
    width = len(base.fields)
    dtypes = [ms.int32, ms.float32, *([ms.int32] if base.takes_hashes else [])]
    inputs = [
        Tensor(shape=(None, width), dtype=dtype)
        if rows is None
        else Tensor(np.zeros((rows, width)), dtype)
        for dtype in dtypes
    ]
    syntax = ms.get_context("jit_syntax_level")
    with replaced(target) as beside:
        try:
            if kind == "ONNX":
                _export_onnx(base, rows, width, str(beside))
            else:
                ms.export(Logits(base), *inputs, file_name=str(beside), file_format=kind)
        except (RuntimeError, ValueError, TypeError) as error:
            first = str(error).strip().splitlines()[0]
            raise ValueError(f"{target}: {kind} cannot be written here: {first}") from error
        finally:
            # a failed `ms.export` leaves the strict level, under which cells return no dicts
            ms.set_context(jit_syntax_level=syntax)


def _export_onnx(base: DeepFM, rows: int | None, width: int, path: str) -> None:
    hashed = base.takes_hashes
    names = ["feature_rows" if hashed else "feature_ids", "feature_values"]
    # ONNX takes an example, and axes that may differ from it
    example = (rows or 2, width)
    axes = None if rows else {name: {0: "batch"} for name in (*names, "logit")}
    ms.onnx.export(
        RowLogits(base) if hashed else Logits(base),
        Tensor(np.zeros(example, "int32")),
        Tensor(np.zeros(example, "float32")),
        file_name=path,
        input_names=names,
        output_names=["logit"],
        dynamic_axes=axes,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m mindspore_port.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", metavar="CKPT", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    parser.add_argument("--rows", type=int, help="a fixed batch size (default: any)")
    args = parser.parse_args(argv)
    try:
        export(args.checkpoint, args.output, args.rows)
    except (ValueError, OSError) as error:
        return fail("export", error)
    Log()(f"saved: {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

r"""Train a DeepFM by several processes of PyTorch: each step takes the mean of their gradients.

    KERAS_BACKEND=torch python -m torch.distributed.run --nproc-per-node 2 \
        -m reloop2_keras.distributed.torch_ddp DATASET OUT.keras [options]

On several machines give `torch.distributed.run` its --nnodes and --rdzv-endpoint. The run is that
of one process with the joint batch, to rounding, but for dropout: each process draws its own masks.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS
from reloop2_keras.core.base_arguments import MOST_UNITS
from reloop2_keras.core.command_line import Parser, check_out_file, real, whole
from reloop2_keras.data import PreparedDataset
from reloop2_keras.models.deepfm import DeepFM

PROGRAM = "reloop2_keras.distributed.torch_ddp"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = Parser(
        prog=f"python -m {PROGRAM}",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("dataset", metavar="DATASET", help="folder that data_scripts prepared")
    made.add_argument("output", metavar="OUT", type=Path, help="ends in .keras")
    made.add_argument("--batch-size", type=whole(1, 2**30), default=1024, help="of a joint batch")
    made.add_argument("--epochs", type=whole(1), default=3)
    made.add_argument("--seed", type=whole(0, 2**32 - 1), default=1001)
    made.add_argument("--learning-rate", type=real("(0, inf)"), default=1e-3)
    made.add_argument("--embedding-dim", type=whole(1, MOST_UNITS), default=16)
    made.add_argument("--hidden-units", type=whole(1, MOST_UNITS), nargs="+", default=[128, 64])
    made.add_argument("--dropout", type=real("[0, 1)"), default=0.0)
    made.add_argument("--embedding-l2", type=real("[0, inf)"), default=0.0)
    made.add_argument("--shuffle-rows", type=whole(1, MOST_ROWS), default=262_144)
    return made


def train(args: argparse.Namespace, rank: int, workers: int) -> keras.Model:
    """Train this process's part; returns the model, equal in all processes.

    Raises:
        ValueError: if the workers cannot share a joint batch equally.
    """
    from reloop2_keras.backend.torch_group import share_gradients

    if args.batch_size % workers:
        raise ValueError(
            f"--batch-size: expected a multiple of the {workers} processes, found {args.batch_size}"
        )
    dataset = PreparedDataset(args.dataset)
    keras.utils.set_random_seed(args.seed)
    model = DeepFM(
        dataset.fields, args.embedding_dim, args.hidden_units, args.dropout, args.embedding_l2
    )
    model.build()
    for number, layer in enumerate(model.dropout_layers):
        # else the rows at one place of all parts would lose the same units
        layer.seed_generator.state.assign([args.seed + number + 1000 * rank, 0])
    model.compile(keras.optimizers.Adam(args.learning_rate), "binary_crossentropy")
    share_gradients(model)
    batches = dataset.train(
        args.batch_size // workers,
        seed=args.seed,
        shuffle_rows=args.shuffle_rows,
        rank=rank,
        num_workers=workers,
    )
    model.fit(batches, epochs=args.epochs, verbose=0)
    return model


def fingerprint(model: keras.Model) -> str:
    """Return a SHA-256 of all weights."""
    arrays = (keras.ops.convert_to_numpy(weight) for weight in model.weights)
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 2 for bad input."""
    args = parser().parse_args(argv)
    try:
        if keras.backend.backend() != "torch":
            raise ValueError(f"expected KERAS_BACKEND=torch, found {keras.backend.backend()}")
        if "RANK" not in os.environ:
            raise ValueError(f"start it by `python -m torch.distributed.run ... -m {PROGRAM}`")
        if args.output.suffix != ".keras":
            raise ValueError(f"{args.output}: expected OUT to end in .keras")
        check_out_file(args.output)
        from reloop2_keras.backend.torch_group import joined

        with joined() as (rank, workers):
            model = train(args, rank, workers)
            sys.stdout.write(f"worker {rank} of {workers}: weights sha256 {fingerprint(model)}\n")
            if rank == 0:
                del model.optimizer.apply  # the shared one, which no file can hold
                model.save(args.output)
    except (ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"torch_ddp: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

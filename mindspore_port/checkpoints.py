"""Checkpoints of a training run: written after each epoch, the oldest removed, resumed from."""

import re
import warnings
from pathlib import Path

import numpy as np
from mindspore import Parameter

from mindspore_port.models.checkpoint_file import CONFIG, load_arrays, pack, save_arrays, unpack
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.model_weights import describe, named_parameters, weights
from mindspore_port.models.row_sparse_step import RowSparseStep
from mindspore_port.models.train_step import TrainStep
from mindspore_port.tensors import assign, to_numpy

TRAINING = "training."  # prefix of what only training needs: `load_model` ignores it
EPOCH = "training.epoch"
Step = TrainStep | RowSparseStep


class Checkpoints:
    """The files `epoch-0001.ckpt`, ... of a folder; each is a model file as well.

    Args:
        folder: path.
        keep: int, how many of the newest stay.

    Example:
        >>> checkpoints = Checkpoints("runs/ckpt", keep=5)
        >>> epoch = checkpoints.resume(base, step)  # 0 where there is none
        >>> checkpoints.save(base, step, epoch=1)
    """

    def __init__(self, folder: str | Path, keep: int) -> None:
        self.folder, self.keep = Path(folder), keep

    def _paths(self) -> list[Path]:
        found = self.folder.glob("epoch-*.ckpt")
        return sorted(path for path in found if re.fullmatch(r"epoch-\d{4,}\.ckpt", path.name))

    def save(self, base: DeepFM, step: Step, epoch: int) -> Path:
        """Write base, optimizer state and the number of finished epochs; returns the path."""
        path = self.folder / f"epoch-{epoch:04d}.ckpt"
        state = {TRAINING + name: to_numpy(p) for name, p in training_state(base, step).items()}
        save_arrays(
            {
                CONFIG: pack(describe(base)),
                **weights(base),
                **state,
                EPOCH: np.array(epoch, "int32"),
            },
            path,
        )
        for old in self._paths()[: -self.keep]:
            old.unlink()
        return path

    def resume(self, base: DeepFM, step: Step) -> int:
        """Load the newest checkpoint, if any; returns the number of finished epochs.

        A damaged one is left out with a warning, and the one before it is taken.

        Raises:
            ValueError: if it is of a model with other arguments or another optimizer, or all of
                them are damaged.
        """
        newest = self._newest()
        if newest is None:
            return 0
        path, arrays = newest
        # earlier versions did not say which dtype they computed in
        mine, theirs = describe(base), unpack(arrays, path)
        theirs["config"].setdefault("compute_dtype", base.compute_dtype)
        theirs["config"].setdefault("hashed", None)
        if pack(mine).tobytes() != pack(theirs).tobytes():
            raise ValueError(
                f"{path}: expected a checkpoint of the model that is trained, found one with "
                "other arguments; choose another --ckpt_path or --resume false"
            )
        epoch = int(arrays.pop(EPOCH))
        targets = weights_and_state(base, step)
        for name in sorted(targets.keys() ^ arrays.keys()):
            found = "none" if name in targets else "one"
            raise ValueError(f"{path}: {name}: expected what is trained, found {found}")
        for name, parameter in targets.items():
            assign(parameter, arrays[name])
        return epoch

    def _newest(self) -> tuple[Path, dict[str, np.ndarray]] | None:
        """Path and arrays of the newest checkpoint that is whole; None without any."""
        damaged = None
        for path in reversed(self._paths()):
            try:
                return path, load_arrays(path)
            except ValueError as error:
                warnings.warn(f"{error}; the checkpoint before it is taken", stacklevel=3)
                damaged = error
        if damaged is not None:
            raise damaged
        return None


def training_state(base: DeepFM, step: Step) -> dict[str, Parameter]:
    """Parameters of a step that are not the base's: moments, counts, the loss scale."""
    mine = {id(parameter) for parameter in named_parameters(base).values()}
    return {p.name: p for p in step.get_parameters() if id(p) not in mine}


def weights_and_state(base: DeepFM, step: Step) -> dict[str, Parameter]:
    """Return a dict: name in a checkpoint -> Parameter."""
    state = {TRAINING + name: p for name, p in training_state(base, step).items()}
    return {**named_parameters(base), **state}

"""Checkpoints of a training run: written after each epoch, the oldest removed, resumed from."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Parameter

from mindspore_port.models.checkpoint_file import (
    CONFIG,
    load_arrays,
    pack,
    save_arrays,
    unpack,
    unpacked,
)
from mindspore_port.models.deepfm import DeepFM
from mindspore_port.models.model_weights import describe, named_parameters, weights
from mindspore_port.models.row_sparse_step import RowSparseStep
from mindspore_port.models.train_step import TrainStep
from mindspore_port.tensors import assign, to_numpy
from reloop2_keras.core.beside import remove_left
from reloop2_keras.core.run_identity import check_identity

TRAINING = "training."  # prefix of what only training needs: `load_model` ignores it
EPOCH = "training.epoch"
ABOUT = "training.about"  # which run it is of, as JSON; earlier versions did not say
NAMES = r"epoch-\d{4,}\.ckpt"
Step = TrainStep | RowSparseStep


class Checkpoints:
    """The files `epoch-0001.ckpt`, ... of a folder; each is a model file as well.

    Args:
        folder: path.
        keep: int, how many of the newest stay.
        about: `run_identity` of this run: the checkpoint of another one is refused; or None.

    Example:
        >>> checkpoints = Checkpoints("runs/ckpt", keep=5)
        >>> epoch = checkpoints.resume(base, step)  # 0 where there is none
        >>> checkpoints.save(base, step, epoch=1)
    """

    def __init__(
        self, folder: str | Path, keep: int, about: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.keep, self.about = Path(folder), keep, about

    def _paths(self) -> list[Path]:
        found = self.folder.glob("epoch-*.ckpt")
        return sorted(path for path in found if re.fullmatch(NAMES, path.name))

    def save(self, base: DeepFM, step: Step, epoch: int) -> Path:
        """Write base, optimizer state and the number of finished epochs; returns the path."""
        path = self.folder / f"epoch-{epoch:04d}.ckpt"
        state = {TRAINING + name: to_numpy(p) for name, p in training_state(base, step).items()}
        about = {} if self.about is None else {ABOUT: pack(self.about)}
        end = {**about, EPOCH: np.array(epoch, "int32")}
        save_arrays({CONFIG: pack(describe(base)), **weights(base), **state, **end}, path)
        self._remove_old()
        return path

    def _remove_old(self) -> None:
        for old in self._paths()[: -self.keep]:
            old.unlink(missing_ok=True)

    def resume(self, base: DeepFM, step: Step) -> int:
        """Load the newest checkpoint, if any; returns the number of finished epochs.

        A damaged one is left out with a warning, and the one before it is taken.

        Raises:
            ValueError: if it is of a model with other arguments or another optimizer, of another
                run (`about`; other code and versions are a warning), or all of them are damaged.
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
        epoch, about = int(arrays.pop(EPOCH)), arrays.pop(ABOUT, None)
        if about is not None and self.about is not None:
            check_identity(self.folder, self.about, unpacked(about), lenient=True)
        targets = weights_and_state(base, step)
        for name in sorted(targets.keys() ^ arrays.keys()):
            found = "none" if name in targets else "one"
            raise ValueError(f"{path}: {name}: expected what is trained, found {found}")
        for name, parameter in targets.items():
            assign(parameter, arrays[name])
        if path == self._paths()[-1]:  # none is damaged
            self._remove_old()  # a run may have been killed just before it did
        return epoch

    def _newest(self) -> tuple[Path, dict[str, np.ndarray]] | None:
        """Path and arrays of the newest checkpoint that is whole; None without any."""
        remove_left(self.folder, NAMES)  # of a run that was killed while it wrote one
        damaged: list[ValueError] = []
        for path in reversed(self._paths()):
            try:
                arrays = load_arrays(path)
                if not {CONFIG, EPOCH} <= arrays.keys():
                    raise ValueError(f"{path}: expected a checkpoint of a training, found another")
            except ValueError as error:
                damaged.append(error)
                continue
            for why in damaged:
                warnings.warn(f"{why}; the checkpoint before it is taken", stacklevel=3)
            return path, arrays
        if damaged:
            raise ValueError(
                f"{damaged[0]}; no checkpoint before it is whole: bring one back, or start anew "
                "with another --ckpt_path or --resume false"
            )
        return None


def training_state(base: DeepFM, step: Step) -> dict[str, Parameter]:
    """Parameters of a step that are not the base's: moments, counts, the loss scale."""
    mine = {id(parameter) for parameter in named_parameters(base).values()}
    return {p.name: p for p in step.get_parameters() if id(p) not in mine}


def weights_and_state(base: DeepFM, step: Step) -> dict[str, Parameter]:
    """Return a dict: name in a checkpoint -> Parameter."""
    state = {TRAINING + name: p for name, p in training_state(base, step).items()}
    return {**named_parameters(base), **state}

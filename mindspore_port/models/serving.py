"""What a base model says at serving time: its prediction and the keys of a memory."""

from collections.abc import Callable, Mapping, Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindspore_port.models.deepfm import DeepFM
from mindspore_port.tensors import EXECUTOR, to_numpy, to_tensor
from reloop2_keras.core.arguments import integer
from reloop2_keras.core.input_checks import check_inputs

HASHES = "feature_hashes"  # the key of a `FeatureErrorMemory`: an input, not a layer's output


def key_dim(base: DeepFM, key: str) -> int:
    """Return the width of the keys of that name; ValueError if `base` has no such key."""
    if key not in base.key_dims:
        raise ValueError(f"`key` must be one of {sorted(base.key_dims)}. Received: {key!r}")
    return base.key_dims[key]


class Serving:
    """A base model that serves slots: predictions and keys, in batches of few sizes.

    Args:
        base: `DeepFM`.
        keys: tuple of key names to return beside the prediction.
        batch_size: int, the most rows at once; see `in_batches`.

    Example:
        >>> served = Serving(base, keys=("hidden",))(slot.load())
        >>> served["probability"].shape, served["hidden"].shape
        ((2834,), (2834, 64))
    """

    def __init__(
        self, base: DeepFM, keys: Sequence[str] = ("hidden",), batch_size: int = 4096
    ) -> None:
        for key in keys:
            key_dim(base, key)
        self.base = base
        self.keys = tuple(keys)
        self.batch_size = batch_size
        self._cell = _ServedOutputs(base)

    def __call__(
        self, arrays: Mapping[str, np.ndarray], batch_size: int | None = None
    ) -> dict[str, np.ndarray]:
        """Return a dict of NumPy float32 arrays: `probability`, `logit` (rows,), keys (rows, dim).

        Threads may call it: they take turns.

        Args:
            arrays: dict with `feature_ids` and `feature_values` (rows, F).
            batch_size: int, instead of that of this object.
        """
        check_inputs(arrays, self.base.fields, hashed=self.base.takes_hashes)

        def forward(batch):
            outputs = self._cell(*batch.values())
            probability = outputs["probability"][:, 0]
            served = {"probability": probability, "logit": outputs["logit"][:, 0]}
            return {**served, **{key: outputs[key] for key in self.keys}}

        with EXECUTOR:
            self._cell.set_train(False)
            return in_batches(
                forward,
                inputs(arrays, self.base),
                self.batch_size if batch_size is None else batch_size,
            )


def inputs(arrays: Mapping[str, np.ndarray], base: DeepFM | None = None) -> dict[str, np.ndarray]:
    """The part of a slot's arrays that a base model takes, in the order of its call arguments.

    Args:
        arrays: of a slot.
        base: the model; None: one without hashed rows.
    """
    taken = {
        "feature_ids": np.asarray(arrays["feature_ids"], "int32"),
        "feature_values": np.asarray(arrays["feature_values"], "float32"),
    }
    if base is not None and base.takes_hashes:
        taken[HASHES] = np.asarray(arrays[HASHES]).astype("int32")
    return taken


def in_batches(
    function: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    arrays: Mapping[str, np.ndarray],
    batch_size: int,
) -> dict[str, np.ndarray]:
    """Apply a row-wise function of a dict of Tensors batch by batch.

    Args:
        function: takes a dict of Tensors (batch, ...), returns a dict of Tensors (batch, ...).
        arrays: dict of arrays with equal numbers of rows, at least one.
        batch_size: int. In graph mode, which compiles each shape, a batch is padded to one of a
            few numbers of rows by repeating its last row, and the padding cut off.

    Returns:
        dict of NumPy arrays (rows, ...).

    Raises:
        ValueError: if there are no rows, or `batch_size` is not a positive integer.
    """
    batch_size = integer("batch_size", batch_size, 1)
    rows = len(next(iter(arrays.values())))
    if rows == 0:
        raise ValueError("`arrays` must have at least one row. Received: none")
    parts, compiles = [], ms.get_context("mode") == ms.GRAPH_MODE
    for start in range(0, rows, batch_size):
        count = min(batch_size, rows - start)
        spare = _padded_rows(count, batch_size) - count if compiles else 0
        batch = {}
        for name, array in arrays.items():
            part = np.asarray(array[start : start + count])
            part = np.concatenate([part, np.repeat(part[-1:], spare, 0)]) if spare else part
            batch[name] = to_tensor(part)
        out = function(batch)
        parts.append({name: to_numpy(value)[:count] for name, value in out.items()})
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _padded_rows(rows: int, batch_size: int) -> int:
    """The next power of two, at least 256: a shape costs each cell a second or so to compile."""
    return min(max(256, 1 << (rows - 1).bit_length()), batch_size)


class _ServedOutputs(nn.Cell):
    """The base's outputs as one cell, so that graph mode compiles them."""

    def __init__(self, base):
        super().__init__(auto_prefix=False)  # or it would rename the base's parameters
        self.base = base

    def construct(self, feature_ids, feature_values, feature_hashes=None):
        outputs = self.base.logits_and_keys(feature_ids, feature_values, feature_hashes)
        return {
            "probability": ops.sigmoid(outputs["logit"]),
            "logit": outputs["logit"],
            "hidden": outputs["hidden"],
            "embedding": outputs["embedding"],
        }

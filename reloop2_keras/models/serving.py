"""What a base model says at serving time: its prediction and the keys of a memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend import COMPILES, Inputs, Tensor, compiled
from reloop2_keras.core.arguments import integer

HASHES = "feature_hashes"  # the key of a `FeatureErrorMemory`: an input, not a layer's output


def serve(base: keras.Model, inputs: Inputs, keys: Iterable[str]) -> dict[str, Tensor]:
    """Return base probabilities and memory keys, in one pass through the base model.

    Args:
        base: `DeepFM`, or any functional `keras.Model` with a probability as its one output.
        inputs: what `base` takes; with a memory keyed by features a dict that holds
            `feature_hashes` beside it.
        keys: names of keys: "hidden" or "embedding" for a `DeepFM`, else the name of a layer of
            `base`, whose output is flattened; "feature_hashes" is taken from the inputs.

    Returns:
        dict: `probability` float32 (batch,), and each key: float32 (batch, dim), or int32 (batch,
        F) for "feature_hashes".

    Raises:
        ValueError: if `base` has no such key, or the inputs have no `feature_hashes`.
    """
    served = {}
    if HASHES in keys:
        if not isinstance(inputs, dict) or HASHES not in inputs:
            found = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
            raise ValueError(
                f"`inputs` must be a dict with {HASHES!r}, which a FeatureErrorMemory is keyed by. "
                f"Received: {found}"
            )
        hashes = inputs[HASHES]
        if "int" not in keras.backend.standardize_dtype(hashes.dtype):
            raise ValueError(
                f"`inputs[{HASHES!r}]` must be integers: floats lose bits of a hash. "
                f"Received dtype: {hashes.dtype}"
            )
        served[HASHES] = ops.cast(ops.convert_to_tensor(hashes), "int32")
    keys = [key for key in keys if key != HASHES]
    if hasattr(base, "logits_and_keys"):
        outputs = base.logits_and_keys(inputs)
        for key in keys:
            key_dim(base, key)
            served[key] = outputs[key]
        return {"probability": ops.sigmoid(outputs["logit"][:, 0]), **served}
    probabilities, *outputs = keras.tree.flatten(tapped(base, tuple(keys))(taken_by(base, inputs)))
    served["probability"] = ops.cast(ops.reshape(probabilities, (-1,)), "float32")
    for key, output in zip(keys, outputs, strict=True):
        width = int(np.prod(output.shape[1:]))
        served[key] = ops.cast(ops.reshape(output, (ops.shape(output)[0], width)), "float32")
    return served


def taken_by(base: keras.Model, x: Inputs) -> Inputs:
    """Return inputs without `feature_hashes`, unless the base reads them itself.

    Args:
        base: see `serve`.
        x: a dict of arrays, or other inputs, which are returned as they are.
    """
    if not isinstance(x, dict) or getattr(base, "takes_hashes", False):
        return x
    return {name: array for name, array in x.items() if name != HASHES}


def key_dim(base: keras.Model, key: str) -> int:
    """Return the width of the keys that `serve` will give."""
    if hasattr(base, "key_dims"):
        if key not in base.key_dims:
            raise ValueError(f"`key` must be one of {sorted(base.key_dims)}. Received: {key!r}")
        return base.key_dims[key]
    return int(np.prod(tapped(base, (key,)).outputs[1].shape[1:]))


def tapped(base: keras.Model, keys: tuple[str, ...]) -> keras.Model:
    """Return a functional base as a model with more outputs: the probability, then each key.

    Made once and kept in `__dict__`, as Keras must not track the same weights twice.
    """
    taps = base.__dict__.setdefault("_reloop2_taps", {})
    if keys not in taps:
        names = [layer.name for layer in base.layers]
        for key in keys:
            if key not in names:
                raise ValueError(
                    f"`key` must name a layer of the base model, {names}. Received: {key!r}"
                )
        outputs = [base.get_layer(key).output for key in keys]
        taps[keys] = keras.Model(base.inputs, [base.outputs[0], *outputs])
    return taps[keys]


class Serving:
    """A base model that serves rows: predictions and keys in fixed-size batches.

    Args:
        base: see `serve`.
        keys: tuple of names of layers' outputs to return beside the prediction.
        batch_size: int. Where the backend compiles, batches are padded to a few sizes.

    Example:
        >>> served = Serving(base, keys=("hidden",))(slot.load())
        >>> served["probability"].shape, served["hidden"].shape
        ((2834,), (2834, 64))
    """

    def __init__(
        self, base: keras.Model, keys: Sequence[str] = ("hidden",), batch_size: int = 4096
    ) -> None:
        self.base = base
        self.keys = tuple(keys)
        self.batch_size = batch_size
        # (how inputs are given, the compiled step)
        self._run: tuple[tuple[str, int], Callable] | None = None

    def __getstate__(self):
        return {**self.__dict__, "_run": None}  # a copy must not serve this one's base

    def __call__(self, x: Inputs, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """Return a dict of NumPy float32 arrays: `probability` (rows,) and each key (rows, dim).

        Args:
            x: what `base` takes: an array, a list or tuple, or a dict of arrays.
            batch_size: int, instead of that of this object.
        """
        boxed, unboxed = _boxed(x)
        if not self.base.built:  # on a row, as Keras models may build themselves
            self.base(keras.tree.map_structure(lambda array: array[:1], x))
        form = type(x).__name__, len(boxed)
        if self._run is None or self._run[0] != form:
            step = compiled(lambda batch: serve(self.base, unboxed(batch), self.keys), [self.base])
            self._run = form, step
        return in_batches(
            self._run[1], boxed, self.batch_size if batch_size is None else batch_size
        )


def _boxed(x):
    """Inputs as a dict of arrays, and the function that turns such a dict of tensors back."""
    if isinstance(x, dict):
        return x, dict
    if not isinstance(x, list | tuple):
        return {"0": x}, lambda boxed: boxed["0"]
    kind = type(x)
    # by number: compiled steps of JAX hand a dict over in sorted order, "10" before "2"
    return dict(zip(map(str, range(len(x))), x, strict=True)), lambda boxed: kind(
        boxed[str(number)] for number in range(len(x))
    )


def in_batches(
    function: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]],
    inputs: Mapping[str, np.ndarray],
    batch_size: int,
) -> dict[str, np.ndarray]:
    """Apply a row-wise function of a dict of arrays batch by batch.

    Args:
        function: takes and returns a dict of arrays (batch, ...); what `compiled` returned.
        inputs: dict of arrays with equal numbers of rows, at least one.
        batch_size: int. Where the backend compiles, a batch is padded to one of a few numbers of
            rows by repeating its last row, and the padding cut off.

    Returns:
        dict of NumPy arrays (rows, ...).
    """
    batch_size = integer("batch_size", batch_size, 1)
    rows = len(next(iter(inputs.values())))
    if rows == 0:
        raise ValueError("`inputs` must have at least one row. Received: none")
    parts = []
    for start in range(0, rows, batch_size):
        count = min(batch_size, rows - start)
        spare = _padded_rows(count, batch_size) - count if COMPILES else 0
        batch = {}
        for name, array in inputs.items():
            part = np.asarray(array[start : start + count])
            batch[name] = np.concatenate([part, np.repeat(part[-1:], spare, 0)]) if spare else part
        out = function(batch)
        parts.append({name: value[:count] if spare else value for name, value in out.items()})
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _padded_rows(rows, batch_size):
    """A multiple of an eighth of the next power of two: at most a seventh is lost."""
    step = max(1, (1 << (rows - 1).bit_length()) // 8)
    return min(-(-rows // step) * step, batch_size)

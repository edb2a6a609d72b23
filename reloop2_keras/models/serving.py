"""What a base model says at serving time: its prediction and the keys of a memory."""

import keras
import numpy as np
from keras import ops


def serve(base, inputs, key):
    """Return base probabilities and memory keys, in one pass through the base model.

    Args:
        base: `DeepFM`, or any functional `keras.Model` with a probability as its one output.
        inputs: what `base` takes.
        key: "hidden" or "embedding" for a `DeepFM`; else the name of a layer of `base`, whose
            output is flattened.

    Returns:
        (probabilities float32 (batch,), keys float32 (batch, dim))

    Raises:
        ValueError: if `base` has no such key.
    """
    if hasattr(base, "logits_and_keys"):
        key_dim(base, key)
        outputs = base.logits_and_keys(inputs)
        return ops.sigmoid(outputs["logit"][:, 0]), outputs[key]
    probabilities, keys = _tapped(base, key)(inputs)
    batch = ops.shape(keys)[0]
    return (
        ops.cast(ops.reshape(probabilities, (-1,)), "float32"),
        ops.cast(ops.reshape(keys, (batch, int(np.prod(keys.shape[1:])))), "float32"),
    )


def key_dim(base, key):
    """Return the width of the keys that `serve` will give."""
    if hasattr(base, "key_dims"):
        if key not in base.key_dims:
            raise ValueError(f"`key` must be one of {sorted(base.key_dims)}. Received: {key!r}")
        return base.key_dims[key]
    return int(np.prod(_tapped(base, key).outputs[1].shape[1:]))


def _tapped(base, key):
    """The base as a model with two outputs; made once a key and kept beside the base's attributes.

    `__dict__` and not an attribute: Keras must not track the same weights twice.
    """
    taps = base.__dict__.setdefault("_reloop2_taps", {})
    if key not in taps:
        names = [layer.name for layer in base.layers]
        if key not in names:
            raise ValueError(
                f"`key` must name a layer of the base model, {names}. Received: {key!r}"
            )
        taps[key] = keras.Model(base.inputs, [base.outputs[0], base.get_layer(key).output])
    return taps[key]


class Serving:
    """A base model that serves slots: predictions and keys in fixed-size batches.

    Args:
        base: see `serve`.
        keys: tuple of key names to return beside the prediction.
        batch_size: int. The last batch is padded to it, so that compiled backends see one shape.

    Example:
        >>> served = Serving(base, keys=("hidden",))(slot.inputs())
        >>> served["probability"].shape, served["hidden"].shape
        ((2834,), (2834, 64))
    """

    def __init__(self, base, keys=("hidden",), batch_size=4096):
        self.base = base
        self.keys = tuple(keys)
        self.batch_size = batch_size
        self._model = _ServedOutputs(base, self.keys)

    def __call__(self, inputs):
        """Return a dict of NumPy float32 arrays: `probability` (rows,) and each key (rows, dim)."""
        return in_batches(self._model.predict_on_batch, inputs, self.batch_size)


def in_batches(function, inputs, batch_size):
    """Apply a function of a dict of arrays batch by batch; returns a dict of NumPy arrays.

    Args:
        function: takes a dict of arrays (batch, ...), returns a dict of tensors (batch, ...).
        inputs: dict of arrays with equal numbers of rows, at least one.
        batch_size: int; the last batch is padded by repeating its last row, the padding cut off.
    """
    rows = len(next(iter(inputs.values())))
    if rows == 0:
        raise ValueError("`inputs` must have at least one row. Received: none")
    parts = []
    for start in range(0, rows, batch_size):
        batch = {
            name: np.asarray(array[start : start + batch_size]) for name, array in inputs.items()
        }
        count = min(batch_size, rows - start)
        if count < batch_size and rows > batch_size:
            pad = batch_size - count
            batch = {
                name: np.concatenate([array, np.repeat(array[-1:], pad, axis=0)])
                for name, array in batch.items()
            }
        out = function(batch)
        parts.append({name: ops.convert_to_numpy(value)[:count] for name, value in out.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class _ServedOutputs(keras.Model):
    """Compiles with the backend's own `predict` path; holds no weights of its own."""

    def __init__(self, base, keys):
        super().__init__(name="served_outputs")  # TensorFlow takes no leading underscore
        self.base = base
        self.served_keys = keys

    def call(self, inputs):
        outputs = {}
        for key in self.served_keys:
            outputs["probability"], outputs[key] = serve(self.base, inputs, key)
        return outputs

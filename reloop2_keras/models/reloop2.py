"""Slow model plus fast memory."""

import keras
import numpy as np
from keras import ops

from reloop2_keras.layers.compensate import compensate
from reloop2_keras.models.row_sparse_training import RowSparseTraining
from reloop2_keras.models.serving import in_batches, key_dim, serve


@keras.saving.register_keras_serializable(package="reloop2")
class ReLoop2(RowSparseTraining, keras.Model):
    """A base model whose predictions are corrected by an error memory (method.md, section 2).

    `predict` and `call` return compensated probabilities. `observe` writes rows whose labels have
    arrived. `fit` trains the base model alone: with `training=True` the output is the base's.

    Args:
        base: `DeepFM`, or any functional `keras.Model` with one probability a row.
        memory: an `ErrorMemory`.
        compensation: float in [0, 1], lambda: 0 is the base model, 1 the memory alone (gamma = 1).
        label_weight: float in [0, 1], gamma.
        key: "hidden", "embedding" (DeepFM), or the name of a layer of `base`.
        **kwargs: passed to `keras.Model`.

    Call arguments:
        inputs: what `base` takes.

    Returns:
        float32 (batch, 1).

    Example:
        >>> model = ReLoop2(base, SketchErrorMemory(num_arrays=70, num_bits=12), compensation=0.5)
        >>> model.adapt(dataset.train(batch_size=4096))  # centres the keys
        >>> p = model.predict(x)      # serve
        >>> model.observe(x, y)       # labels arrived
        >>> model.save("reloop2.keras")
    """

    def __init__(self, base, memory, compensation=0.5, label_weight=1.0, key="hidden", **kwargs):
        super().__init__(**kwargs)
        for name, value in (("compensation", compensation), ("label_weight", label_weight)):
            if not 0 <= value <= 1:
                raise ValueError(f"`{name}` must be in [0, 1]. Received: {value}")
        if not (hasattr(memory, "read") and hasattr(memory, "write")):
            raise ValueError(f"`memory` must be an ErrorMemory. Received: {memory!r}")
        self.base = base
        self.memory = memory
        self.compensation = compensation
        self.label_weight = label_weight
        self.key = key

    def build(self, input_shape=None):
        if not self.base.built:
            self.base.build(input_shape)
        if not self.memory.built:
            self.memory.build((None, key_dim(self.base, self.key)))

    def _ensure_built(self, x):
        if not self.built:
            self(keras.tree.map_structure(lambda array: array[:1], x))

    def call(self, inputs, training=False):
        if training:
            return self.base(inputs, training=True)
        probabilities, keys = serve(self.base, inputs, self.key)
        reading = self.memory(keys)
        corrected = compensate(probabilities, reading, self.compensation, self.label_weight)
        return corrected[:, None]

    def adapt(self, batches):
        """Fit the memory's key normalisation to the keys of training batches.

        Args:
            batches: iterable of `x` or of tuples `(x, y, ...)`, such as `dataset.train(...)`.
        """

        def keys():
            for batch in batches:
                x = batch[0] if isinstance(batch, tuple) else batch
                self._ensure_built(x)
                yield ops.convert_to_numpy(serve(self.base, x, self.key)[1])

        self.memory.adapt(keys())

    def observe(self, x, y=None):
        """Write rows whose labels arrived. Call it AFTER they were scored.

        Args:
            x: dict of arrays, or a tuple `(x, y)`.
            y: (rows,) or (rows, 1) of 0 and 1.

        Returns:
            int, the number of rows written (all of them without threshold and sampling).
        """
        if y is None:
            x, y = x[0], x[1]
        self._ensure_built(x)

        def served(batch):
            inputs = batch if isinstance(x, dict) else batch["x"]
            probabilities, keys = serve(self.base, inputs, self.key)
            return {"probability": probabilities, "key": keys}

        out = in_batches(served, x if isinstance(x, dict) else {"x": x}, batch_size=4096)
        return self.memory.write(
            out["key"], np.asarray(ops.convert_to_numpy(y)), out["probability"]
        )

    def fit(self, x=None, *args, **kwargs):
        """Train the BASE model; see `keras.Model.fit`. The memory is left as it is."""
        if getattr(x, "keeps_own_order", False):
            kwargs.setdefault("shuffle", False)
        return super().fit(x, *args, **kwargs)

    def get_config(self):
        return {
            **super().get_config(),
            "base": keras.saving.serialize_keras_object(self.base),
            "memory": keras.saving.serialize_keras_object(self.memory),
            "compensation": self.compensation,
            "label_weight": self.label_weight,
            "key": self.key,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild base and memory, then the model around them."""
        config = dict(config)
        for part in ("base", "memory"):
            config[part] = keras.saving.deserialize_keras_object(config[part], custom_objects)
        return cls(**config)

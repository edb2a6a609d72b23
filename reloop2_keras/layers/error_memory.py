"""What all error memories share: arguments, filters, the order of a write."""

import keras
import numpy as np
from keras import ops

from reloop2_keras.layers.key_normalization import KeyNormalization


class ErrorMemory(keras.layers.Layer):
    """Base class: a fixed-size memory of observed (key; label, base prediction).

    `read` answers, for a query key, what labels and predictions similar rows had. `write`,
    `reset`, `merge` change the state; they are methods outside the traced step, to be called when
    labels have arrived. The state is non-trainable weights: saved in `.keras` files.

    Args:
        temperature: float > 0, tau of the softmax over neighbours.
        error_threshold: float in [0, 1), sigma: only rows with |label - p| > sigma are written.
            The default, None, writes all.
        sampling_rate: float in (0, 1]: each row is written with this probability.
        key_normalization: "none", "center" or "whiten"; fitted by `adapt`.
        decay: float in (0, 1]: before each write everything remembered is weighted by it.
            1.0 (default) never forgets.
        seed: int, seed of projections and sampling.
        **kwargs: passed to `keras.layers.Layer`. The dtype is float32 whatever the global policy.

    Call arguments:
        keys: float (batch, dim).

    Returns:
        A reading: dict of float32 (batch,): `mean_label`, `mean_probability` and `found`, which
        is 0 where the memory held nothing to read (then the means are 0) and else 1.
    """

    read_batch_size = 4096  # rows that a reader should ask for at once

    def __init__(
        self,
        temperature=0.1,
        error_threshold=None,
        sampling_rate=1.0,
        key_normalization="center",
        decay=1.0,
        seed=1001,
        **kwargs,
    ):
        kwargs.setdefault("dtype", "float32")
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        if not temperature > 0:
            raise ValueError(f"`temperature` must be > 0. Received: {temperature}")
        if error_threshold is not None and not 0 <= error_threshold < 1:
            raise ValueError(f"`error_threshold` must be in [0, 1). Received: {error_threshold}")
        for name, value in (("sampling_rate", sampling_rate), ("decay", decay)):
            if not 0 < value <= 1:
                raise ValueError(f"`{name}` must be in (0, 1]. Received: {value}")
        self.temperature = temperature
        self.error_threshold = error_threshold
        self.sampling_rate = sampling_rate
        self.key_normalization = key_normalization
        self.decay = decay
        self.seed = seed
        self.normalize = KeyNormalization(key_normalization, name="normalize")

    def build(self, keys_shape):
        if not self.normalize.built:  # `adapt` came first
            self.normalize.build(keys_shape)
        # number of writes so far: makes sampling reproducible across save and load
        self.num_writes = self._state("num_writes", (), "int32")

    def _state(self, name, shape, dtype="float32"):
        return self.add_weight(
            name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False
        )

    def adapt(self, keys):
        """Fit the key normalisation to training keys: an array (rows, dim) or an iterable of them.

        Raises:
            ValueError: if the memory is not empty (what it holds was stored under other keys).
        """
        if self.built and int(ops.convert_to_numpy(self.num_writes)):
            raise ValueError("`adapt` must come before the first `write`; `reset` the memory first")
        dim = self.normalize.adapt(keys)
        if not self.built:
            self.build((None, dim))

    def call(self, keys):
        return self.read(keys)

    def read(self, keys):
        """Return the reading for query keys (batch, dim); see the class."""
        raise NotImplementedError

    def write(self, keys, labels, probabilities):
        """Remember rows in their order: what was predicted for them and what then happened.

        Args:
            keys: float (rows, dim), the keys of serving time.
            labels: (rows,) of 0 and 1.
            probabilities: float (rows,) in [0, 1], the BASE model's predictions of serving time.

        Returns:
            int, the number of rows that passed threshold and sampling.

        Raises:
            ValueError: if lengths differ, or labels or probabilities are out of range.
        """
        # a host round trip: rows are filtered to a varying number, which no graph likes
        keys = np.asarray(ops.convert_to_numpy(keys), "float32")
        if not np.isfinite(keys).all():
            raise ValueError("`keys` must be finite. Received: NaN or infinity")
        return self._write(keys, labels, probabilities, self._store)

    def _write(self, keys, labels, probabilities, store):
        """Check and filter rows, then `store(keys, labels, probabilities)` what is left."""
        labels = np.asarray(ops.convert_to_numpy(labels), "float32").reshape(-1)
        probabilities = np.asarray(ops.convert_to_numpy(probabilities), "float32").reshape(-1)
        if not (len(keys) == len(labels) == len(probabilities)) or keys.ndim != 2:
            raise ValueError(
                "`keys` (rows, dim), `labels` (rows,) and `probabilities` (rows,) must have equal "
                f"numbers of rows. Received shapes: {keys.shape}, {labels.shape}, "
                f"{probabilities.shape}"
            )
        good = (labels == 0.0) | (labels == 1.0)
        if not good.all():
            bad = labels[~good][0]
            raise ValueError(f"`labels` must be 0 or 1. Received: {bad}")
        good = (probabilities >= 0) & (probabilities <= 1)
        if not good.all():
            bad = probabilities[~good][0]
            raise ValueError(f"`probabilities` must be in [0, 1]. Received: {bad}")
        if not self.built:
            self.build((None, keys.shape[1]))
        keep = self._keep(labels, probabilities)
        if self.decay != 1.0:
            self._fade(self.decay)
        self.num_writes.assign_add(1)
        if len(keep) and keep.all():  # spares a copy
            store(keys, labels, probabilities)
        elif keep.any():
            store(keys[keep], labels[keep], probabilities[keep])
        return int(keep.sum())

    def _keep(self, labels, probabilities):
        keep = np.ones(len(labels), bool)
        if self.error_threshold is not None:
            keep &= np.abs(labels - probabilities) > self.error_threshold
        if self.sampling_rate < 1.0:
            step = int(ops.convert_to_numpy(self.num_writes))
            draws = np.random.default_rng((self.seed, step)).random(len(labels))
            keep &= draws < self.sampling_rate
        return keep

    def _store(self, keys, labels, probabilities):
        raise NotImplementedError

    def _fade(self, factor):
        raise NotImplementedError

    def reset(self):
        """Forget everything observed. Projections and key normalisation stay."""
        raise NotImplementedError

    def merge(self, other):
        """Take in all that another memory of the same configuration holds."""
        raise NotImplementedError

    def _check_mergeable(self, other):
        mine, theirs = self.get_config(), other.get_config()
        differing = [
            key for key in mine if key not in ("name", "trainable") and mine[key] != theirs.get(key)
        ]
        if type(other) is not type(self) or differing:
            raise ValueError(
                f"`other` must be a {type(self).__name__} of the same configuration. "
                f"Received: {type(other).__name__} that differs in {differing}"
            )
        if not (self.built and other.built):
            raise ValueError("Both memories must be built before `merge`")

    def compute_output_shape(self, keys_shape):
        shape = (keys_shape[0],)
        return {"mean_label": shape, "mean_probability": shape, "found": shape}

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "error_threshold": self.error_threshold,
            "sampling_rate": self.sampling_rate,
            "key_normalization": self.key_normalization,
            "decay": self.decay,
            "seed": self.seed,
        }


def masked_attention(similarity, mask, temperature):
    """Softmax of similarity / temperature over the last axis where mask is true, else 0.

    Args:
        similarity: float32 (batch, neighbours).
        mask: bool (batch, neighbours).
        temperature: float.

    Returns:
        (weights (batch, neighbours) that sum to 1, or to 0 where nothing is unmasked;
        found (batch,), 1.0 where anything is).
    """
    logits = ops.where(mask, similarity / temperature, -1e30)
    weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    weights = ops.where(mask, weights, 0.0)
    total = ops.sum(weights, axis=-1, keepdims=True)
    found = ops.cast(ops.squeeze(total, -1) > 0, "float32")
    return weights / ops.maximum(total, 1e-30), found

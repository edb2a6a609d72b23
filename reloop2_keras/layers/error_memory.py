"""What all error memories share: arguments, checks, the order of a write."""

import keras
import numpy as np
from keras import ops


class ErrorMemory(keras.layers.Layer):
    """Base class: a fixed-size memory of what a model got wrong.

    `read` answers, for a query key, what was observed for rows like it. `write`, `reset`, `merge`
    change the state; they are methods outside the traced step, to be called when labels have
    arrived. The state is non-trainable weights: saved in `.keras` files.

    Two families: `SimilarityErrorMemory` (the paper's; keys are vectors of the base model) and
    `FeatureErrorMemory` (ours; keys are hashes of raw feature values).

    Args:
        sampling_rate: float in (0, 1]: each row is written with this probability.
        decay: float in (0, 1]: before each write everything remembered is weighted by it.
            1.0 (default) never forgets.
        seed: int, seed of projections and sampling.
        **kwargs: passed to `keras.layers.Layer`. The dtype is float32 whatever the global policy.

    Call arguments:
        keys: (batch, dim).

    Returns:
        A reading: dict of float32 (batch, ...).
    """

    read_batch_size = 4096  # rows that a reader should ask for at once
    reads_whole = False  # whether a compiled read passes over all of the state, empty or not

    def __init__(self, sampling_rate=1.0, decay=1.0, seed=1001, **kwargs):
        kwargs.setdefault("dtype", "float32")
        kwargs.setdefault("trainable", False)
        super().__init__(**kwargs)
        for name, value in (("sampling_rate", sampling_rate), ("decay", decay)):
            if not 0 < value <= 1:
                raise ValueError(f"`{name}` must be in (0, 1]. Received: {value}")
        self.sampling_rate = sampling_rate
        self.decay = decay
        self.seed = seed

    def build(self, keys_shape):
        self._width = keys_shape[-1]
        # number of writes so far: makes sampling reproducible across save and load
        self.num_writes = self._state("num_writes", (), "int32")

    def _state(self, name, shape, dtype="float32"):
        # no autocast: under a policy of halves a sum of 65,505 would read as infinity
        return self.add_weight(
            name=name,
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def call(self, keys):
        return self.read(keys)

    def read(self, keys):
        """Return the reading for query keys (batch, dim); see the class."""
        raise NotImplementedError

    def look_up(self, keys):
        """Read, and say where: hashed once, for reading and for the write that follows.

        Args:
            keys: (batch, dim), see `read`.

        Returns:
            (reading, places): what `read` returns, and what `write_at` takes: a tensor
            (batch, ...); the keys themselves for a memory that does not hash.
        """
        return self.read(keys), keys

    @property
    def num_gate_inputs(self):
        """int: how many inputs of an `OnlineGate` one reading gives."""
        raise NotImplementedError

    def gate_inputs(self, reading, probabilities):
        """Return a reading as inputs of an `OnlineGate`: float32 (batch, num_gate_inputs).

        Args:
            reading: what `read` returned.
            probabilities: float32 (batch,), base predictions of the same rows.
        """
        raise NotImplementedError

    def write(self, keys, labels, probabilities):
        """Remember rows in their order: what was predicted for them and what then happened.

        Args:
            keys: (rows, dim), the keys of serving time.
            labels: (rows,) of 0 and 1.
            probabilities: float (rows,) in [0, 1], the BASE model's predictions of serving time.

        Returns:
            int, the number of rows that passed the filters.

        Raises:
            ValueError: if lengths differ, or labels or probabilities are out of range.
        """
        return self._write(keys, labels, probabilities)

    def write_at(self, places, labels, probabilities, **more):
        """`write` for rows that were looked up before.

        Args:
            places: what `look_up` returned for their keys.
            labels, probabilities, **more: see `write`.

        Returns:
            int, the number of rows that passed the filters.
        """
        return self.write(places, labels, probabilities, **more)

    def _write(self, keys, labels, probabilities, store=None, **more):
        # a host round trip: rows are filtered to a varying number, which no graph likes
        if store is None:
            keys, store = self._host_keys(keys), self._store
            if self.built and keys.ndim == 2 and keys.shape[1] != self._width:
                raise ValueError(
                    f"`keys` must have {self._width} columns. Received: {keys.shape[1]}"
                )
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
            store(keys, labels, probabilities, **more)
        elif keep.any():
            more = {name: value[keep] for name, value in more.items()}
            store(keys[keep], labels[keep], probabilities[keep], **more)
        return int(keep.sum())

    def _host_keys(self, keys):
        """Check keys and return them as a NumPy array."""
        raise NotImplementedError

    def _host_buckets(self, places, columns):
        """Check places that are buckets: int32 (rows, columns), 2^num_bits of them a column."""
        if not self.built:
            raise ValueError("The memory must be built before `write_at`")
        buckets = np.asarray(ops.convert_to_numpy(places))
        bits = self.num_bits
        right = buckets.ndim == 2 and buckets.shape[1] == columns and buckets.dtype.kind == "i"
        if not right or not (buckets >> bits == np.arange(columns)).all():
            raise ValueError(
                "`places` must be what `look_up(keys)` returned, column k in "
                f"[k * 2^{bits}, (k + 1) * 2^{bits}). "
                f"Received: shape {buckets.shape}, dtype {buckets.dtype}"
            )
        return buckets

    def _keep(self, labels, probabilities):
        if self.sampling_rate == 1.0:
            return np.ones(len(labels), bool)
        step = int(ops.convert_to_numpy(self.num_writes))
        draws = np.random.default_rng((self.seed, step)).random(len(labels))
        return draws < self.sampling_rate

    def _store(self, keys, labels, probabilities):
        raise NotImplementedError

    def _fade(self, factor):
        raise NotImplementedError

    def _states(self):
        """The weights that `reset` empties."""
        raise NotImplementedError

    def reset(self):
        """Forget everything observed. Projections and key normalisation stay."""
        if self.built:
            for state in (*self._states(), self.num_writes):
                state.assign(ops.zeros(state.shape, state.dtype))

    def merge(self, other):
        """Take in all that another memory of the same configuration and key width holds."""
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
        if other._width != self._width:  # sums may have one shape all the same
            raise ValueError(
                f"`other` must be built for keys of width {self._width}. Received: {other._width}"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "sampling_rate": self.sampling_rate,
            "decay": self.decay,
            "seed": self.seed,
        }

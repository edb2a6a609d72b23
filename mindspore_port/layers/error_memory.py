"""What all error memories share: arguments, checks, the order of a write."""

import numpy as np
from mindspore import nn

from mindspore_port.layers.state import assign, state, to_numpy, to_tensor


class ErrorMemory(nn.Cell):
    """Base class: a fixed-size memory of what a model got wrong.

    Calling it (or `read`) answers, for a query key, what was observed for rows like it. `write`,
    `reset`, `merge` change the state in place; they stay outside compiled graphs and are called
    when labels have arrived. The state is Parameters without gradient: saved in checkpoints.

    Two families: `SimilarityErrorMemory` (the paper's; keys are vectors of the base model) and
    `FeatureErrorMemory` (ours; keys are hashes of raw feature values).

    Args:
        sampling_rate: float in (0, 1]: each row is written with this probability.
        decay: float in (0, 1]: before each write everything remembered is weighted by it.
            1.0 (default) never forgets.
        seed: int, seed of projections and sampling.

    Call arguments:
        keys: (batch, dim).

    Returns:
        A reading: dict of float32 (batch, ...).

    Raises:
        ValueError: if an argument is out of range.
    """

    read_batch_size = 4096  # rows that a reader should ask for at once

    def __init__(self, sampling_rate=1.0, decay=1.0, seed=1001):
        super().__init__()
        for name, value in (("sampling_rate", sampling_rate), ("decay", decay)):
            if not 0 < value <= 1:
                raise ValueError(f"`{name}` must be in (0, 1]. Received: {value}")
        self.sampling_rate = sampling_rate
        self.decay = decay
        self.seed = seed
        self.built = False

    def build(self, dim):
        """Allocate the state for keys of width `dim`."""
        # number of writes so far: makes sampling reproducible across save and load
        self.num_writes = state("num_writes", (), "int32")
        self.dim = int(dim)
        # in a tuple: nn.Cell must not take the same weights for a second child
        self._looking_up = (_LookUp(self),)
        self.built = True

    def read(self, keys):
        """Return the reading for query keys (batch, dim), array or Tensor; see the class."""
        return self(to_tensor(keys))

    def look_up(self, keys):
        """Read, and say where: hashed once, for reading and for the write that follows.

        Args:
            keys: (batch, dim), see `read`.

        Returns:
            (reading, places): what `read` returns, and what `write_at` takes: a Tensor
            (batch, ...); the keys themselves for a memory that does not hash.
        """
        keys = to_tensor(keys)
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

        Raises:
            ValueError: as `write`, and if places are not what `look_up` returns.
        """
        return self.write(places, labels, probabilities, **more)

    def _write(self, keys, labels, probabilities, store=None, **more):
        if store is None:
            keys, store = self._host_keys(keys), self._store
            if self.built and keys.ndim == 2 and keys.shape[1] != self.dim:
                raise ValueError(f"`keys` must have {self.dim} columns. Received: {keys.shape[1]}")
        labels = to_numpy(labels, "float32").reshape(-1)
        probabilities = to_numpy(probabilities, "float32").reshape(-1)
        if not (len(keys) == len(labels) == len(probabilities)) or keys.ndim != 2:
            raise ValueError(
                "`keys` (rows, dim), `labels` (rows,) and `probabilities` (rows,) must have equal "
                f"numbers of rows. Received shapes: {keys.shape}, {labels.shape}, "
                f"{probabilities.shape}"
            )
        within = (probabilities >= 0) & (probabilities <= 1)  # False for NaN too
        for name, array, good, want in (
            ("labels", labels, np.isin(labels, (0.0, 1.0)), "0 or 1"),
            ("probabilities", probabilities, within, "in [0, 1]"),
        ):
            if not good.all():
                raise ValueError(f"`{name}` must be {want}. Received: {array[~good][0]}")
        if not self.built:
            self.build(keys.shape[1])
        keep = self._keep(labels, probabilities)
        if self.decay != 1.0:
            self._fade(self.decay)
        assign(self.num_writes, self.num_writes.asnumpy() + 1)
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
        buckets = to_numpy(places)
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
        step = int(self.num_writes.asnumpy())
        draws = np.random.default_rng((self.seed, step)).random(len(labels))
        return draws < self.sampling_rate

    def _store(self, keys, labels, probabilities):
        raise NotImplementedError

    def _fade(self, factor):
        raise NotImplementedError

    def _states(self):
        """The parameters that `reset` empties."""
        raise NotImplementedError

    def reset(self):
        """Forget everything observed. Projections and key normalisation stay."""
        if self.built:
            for parameter in (*self._states(), self.num_writes):
                assign(parameter, np.zeros(parameter.shape))

    def merge(self, other):
        """Take in all that another memory of the same configuration and key width holds."""
        raise NotImplementedError

    def _check_mergeable(self, other):
        mine, theirs = self.get_config(), other.get_config()
        differing = [key for key in mine if mine[key] != theirs.get(key)]
        if type(other) is not type(self) or differing:
            raise ValueError(
                f"`other` must be a {type(self).__name__} of the same configuration. "
                f"Received: {type(other).__name__} that differs in {differing}"
            )
        if not (self.built and other.built):
            raise ValueError("Both memories must be built before `merge`")
        if other.dim != self.dim:  # sums may have one shape all the same
            raise ValueError(
                f"`other` must be built for keys of width {self.dim}. Received: {other.dim}"
            )

    def _add(self, other, parameters):
        """Add another memory's parameters of these names, and its number of writes."""
        for name in (*parameters, "num_writes"):
            mine, theirs = getattr(self, name), getattr(other, name)
            assign(mine, mine.asnumpy() + theirs.asnumpy())

    def get_config(self):
        """Return the arguments by name."""
        return {"sampling_rate": self.sampling_rate, "decay": self.decay, "seed": self.seed}


class _LookUp(nn.Cell):
    """Reading and places of a memory that hashes as one cell, so that graph mode compiles them."""

    def __init__(self, memory):
        super().__init__(auto_prefix=False)  # or it would rename the memory's parameters
        self.memory = memory

    def construct(self, keys):
        return self.memory.reading_and_buckets(keys)

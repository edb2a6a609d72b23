"""Exact nearest neighbours over a ring buffer: small scale, and the sketch's oracle."""

import numpy as np
from mindspore import ops

from mindspore_port.layers.similarity_error_memory import SimilarityErrorMemory, masked_attention
from mindspore_port.layers.state import assign, state, to_numpy, to_tensor


class ExactErrorMemory(SimilarityErrorMemory):
    """The last `capacity` rows, read by top-k cosine similarity (method.md, section 2).

    a = softmax(cosine / tau) over the `num_neighbors` nearest; the reading is the a-weighted mean
    label and mean base prediction. Time of a read grows with the rows held: use it up to some
    1e5 rows, and `SketchErrorMemory` beyond. Calling it searches all `capacity` rows (one shape,
    so that it compiles); `read` passes over the part that is still empty.

    Args:
        capacity: int, N: rows of the ring buffer; when it is full the oldest row gives way.
        num_neighbors: int, k.
        **kwargs: see `SimilarityErrorMemory` and `ErrorMemory`.

    Example:
        >>> memory = ExactErrorMemory(capacity=1000, num_neighbors=2, key_normalization="none")
        >>> memory.write([[1.0, 0.0], [0.0, 1.0]], labels=[1, 0], probabilities=[0.4, 0.6])
        2
        >>> memory.read([[1.0, 0.0]])["mean_label"]  # softmax([1, 0] / .1)[0]
        [0.99995]
    """

    read_batch_size = 512  # a (batch, capacity) matrix of similarities is made

    def __init__(self, capacity=100_000, num_neighbors=50, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("capacity", capacity), ("num_neighbors", num_neighbors)):
            if int(value) != value or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {value}")
        if num_neighbors > capacity:
            raise ValueError(
                f"`num_neighbors` must be <= capacity {capacity}. Received: {num_neighbors}"
            )
        self.capacity = int(capacity)
        self.num_neighbors = int(num_neighbors)

    def build(self, dim):
        """Allocate the ring buffer for keys of width `dim`."""
        super().build(dim)
        self.keys = state("keys", (self.capacity, dim))
        # columns: label, base prediction, weight; weight 0 marks an empty row
        self.rows = state("rows", (self.capacity, 3))
        self.cursor = state("cursor", (), "int32")  # rows ever stored

    def _unit(self, keys):
        keys = self.normalize(keys)
        norm = ops.sqrt((keys * keys).sum(axis=-1, keepdims=True))
        return keys / ops.clamp(norm, 1e-12, None)

    def _search(self, keys, held_keys, rows):
        # (batch, held)
        similarity = ops.matmul(self._unit(keys), held_keys.T)
        filled = (rows[:, 2] > 0).astype(similarity.dtype)
        similarity = filled * similarity + (filled - 1.0) * 2.0
        # (batch, k)
        similarity, index = ops.topk(similarity, self.num_neighbors)
        neighbors = ops.gather(rows, index, 0)
        weight = neighbors[:, :, 2]
        # a decayed row counts by its weight: exp(s / tau + log w) = w * exp(s / tau)
        logits = similarity + self.temperature * ops.log(ops.clamp(weight, 1e-30, None))
        attention, found = masked_attention(logits, weight > 0, self.temperature)
        means = (ops.expand_dims(attention, -1) * neighbors[:, :, :2]).sum(axis=1)
        return {"mean_label": means[:, 0], "mean_probability": means[:, 1], "found": found}

    def construct(self, keys):
        return self._search(keys, self.keys, self.rows)

    def read(self, keys):
        """Return the reading for query keys (batch, dim), searching the filled part only."""
        held = int(self.cursor.asnumpy())
        # powers of two keep the number of shapes small
        held = min(self.capacity, max(self.num_neighbors, 1 << max(held - 1, 1).bit_length()))
        return self._search(to_tensor(keys, "float32"), self.keys[:held], self.rows[:held])

    def _store(self, keys, labels, probabilities):
        units = to_numpy(self._unit(to_tensor(keys)))
        self._append(units, np.stack([labels, probabilities, np.ones_like(labels)], axis=1))

    def _append(self, units, rows):
        start = int(self.cursor.asnumpy())
        slots = np.arange(start, start + len(units)) % self.capacity
        # of rows that would land on one another only the last ones count
        slots, units, rows = (a[-self.capacity :] for a in (slots, units, rows))
        index = to_tensor(slots, "int32")
        ops.scatter_update(self.keys, index, to_tensor(units, "float32"))
        ops.scatter_update(self.rows, index, to_tensor(rows, "float32"))
        # int32: wraps to a value that marks the same place and a full buffer
        end = start + len(units) if start < self.capacity else slots[-1] + 1 + self.capacity
        assign(self.cursor, end)

    def _fade(self, factor):
        assign(self.rows, self.rows.asnumpy() * np.array([1.0, 1.0, factor], "float32"))

    def _states(self):
        return self.keys, self.rows, self.cursor

    def merge(self, other):
        """Append the other memory's rows, oldest first, as if they were written now.

        Args:
            other: `ExactErrorMemory` of the same configuration, key normalisation included.

        Raises:
            ValueError: if configurations or key widths differ, or a memory is not built.
        """
        self._check_mergeable(other)
        rows = other.rows.asnumpy()
        start = int(other.cursor.asnumpy())
        order = np.roll(np.arange(other.capacity), -(start % other.capacity))
        order = order[rows[order, 2] > 0]
        self._append(other.keys.asnumpy()[order], rows[order])
        self._add(other, ())

    def get_config(self):
        """Return the arguments by name."""
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "num_neighbors": self.num_neighbors,
        }

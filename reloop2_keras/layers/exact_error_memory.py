"""Exact nearest neighbours over a ring buffer: small scale, and the sketch's oracle."""

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend import concrete
from reloop2_keras.layers.similarity_error_memory import SimilarityErrorMemory, masked_attention


@keras.saving.register_keras_serializable(package="reloop2")
class ExactErrorMemory(SimilarityErrorMemory):
    """The last `capacity` rows, read by top-k cosine similarity (method.md, section 2).

    a = softmax(cosine / tau) over the `num_neighbors` nearest; the reading is the a-weighted mean
    label and mean base prediction. Time of a read grows with the rows held: use it up to some
    1e5 rows, and `SketchErrorMemory` beyond.

    Args:
        capacity: int, N: rows of the ring buffer; when it is full the oldest row gives way.
        num_neighbors: int, k.
        **kwargs: see `SimilarityErrorMemory` and `ErrorMemory`.

    Example:
        >>> memory = ExactErrorMemory(capacity=1000, num_neighbors=2, key_normalization="none")
        >>> memory.write([[1.0, 0.0], [0.0, 1.0]], labels=[1, 0], probabilities=[0.4, 0.6])
        2
        >>> memory.read(np.array([[1.0, 0.0]]))["mean_label"]  # softmax([1, 0] / .1)[0]
        [0.99995]
    """

    reads_whole = True
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

    def build(self, keys_shape):
        super().build(keys_shape)
        self.keys = self._state("keys", (self.capacity, keys_shape[-1]))
        # columns: label, base prediction, weight; weight 0 marks an empty row
        self.rows = self._state("rows", (self.capacity, 3))
        self.cursor = self._state("cursor", (), "int32")  # rows ever stored

    def _unit(self, keys):
        return ops.normalize(self.normalize(keys), axis=-1, order=2, epsilon=1e-12)

    def read(self, keys):
        held_keys, rows = ops.convert_to_tensor(self.keys), ops.convert_to_tensor(self.rows)
        held = concrete(self.cursor)
        if held is not None:
            # eager: pass over the empty part; powers of two keep the number of shapes small
            held = min(self.capacity, max(self.num_neighbors, 1 << max(held - 1, 1).bit_length()))
            held_keys, rows = held_keys[:held], rows[:held]
        # (batch, held)
        similarity = ops.matmul(self._unit(keys), ops.transpose(held_keys))
        similarity = ops.where(rows[:, 2] > 0, similarity, -2.0)
        # (batch, k)
        similarity, index = ops.top_k(similarity, self.num_neighbors, sorted=False)
        neighbors = ops.take(rows, index, axis=0)
        weight = neighbors[..., 2]
        # a decayed row counts by its weight: exp(s / tau + log w) = w * exp(s / tau)
        logits = similarity + self.temperature * ops.log(ops.maximum(weight, 1e-30))
        attention, found = masked_attention(logits, weight > 0, self.temperature)
        means = ops.sum(attention[..., None] * neighbors[..., :2], axis=1)
        return {"mean_label": means[:, 0], "mean_probability": means[:, 1], "found": found}

    def _store(self, keys, labels, probabilities):
        units = ops.convert_to_numpy(self._unit(keys))
        rows = np.stack([labels, probabilities, np.ones_like(labels)], axis=1)
        self._append(units, rows)

    def _append(self, units, rows):
        start = int(ops.convert_to_numpy(self.cursor))
        slots = np.arange(start, start + len(units)) % self.capacity
        # of rows that would land on one another only the last ones count
        slots, units, rows = (a[-self.capacity :] for a in (slots, units, rows))
        index = slots[:, None].astype("int32")
        self.keys.assign(ops.scatter_update(self.keys, index, units))
        self.rows.assign(ops.scatter_update(self.rows, index, rows.astype("float32")))
        # int32: wraps to a value that marks the same place and a full buffer
        end = start + len(units) if start < self.capacity else slots[-1] + 1 + self.capacity
        self.cursor.assign(int(end))

    def _fade(self, factor):
        scale = np.array([1.0, 1.0, factor], "float32")
        self.rows.assign(self.rows * scale)

    def _states(self):
        return self.keys, self.rows, self.cursor

    def merge(self, other):
        """Append the other memory's rows, oldest first, as if they were written now.

        Args:
            other: `ExactErrorMemory` of the same configuration, key normalisation included.
        """
        self._check_mergeable(other)
        rows = ops.convert_to_numpy(other.rows)
        start = int(ops.convert_to_numpy(other.cursor))
        order = np.roll(np.arange(other.capacity), -(start % other.capacity))
        order = order[rows[order, 2] > 0]
        self._append(ops.convert_to_numpy(other.keys)[order], rows[order])
        self.num_writes.assign_add(other.num_writes)

    def get_config(self):
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "num_neighbors": self.num_neighbors,
        }

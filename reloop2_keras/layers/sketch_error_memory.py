"""The paper's constant-size memory: K arrays of SimHash buckets."""

import keras
import numpy as np
from keras import ops

from reloop2_keras.backend import bucket_means, by_chunks, pack_signs, scatter_add, take_sums
from reloop2_keras.layers.similarity_error_memory import SimilarityErrorMemory

# when a bucket counts more rows than that, all are halved, see `_halve_when_full`
FULL = 2.0**20


@keras.saving.register_keras_serializable(package="reloop2")
class SketchErrorMemory(SimilarityErrorMemory):
    """K arrays of 2^L buckets of (count, sum of labels, sum of predictions).

    Array k hashes a key by the signs of its own L random projections (SimHash). The K arrays play
    the part of K neighbours: y_k = sum_y / sum_x, p_k = sum_p / sum_x, similarity
    s_k = sum_x / (all rows in the array), attention softmax(s / tau); empty buckets are masked.
    Read and write cost O(1), whatever was written before (method.md, section 2).

    Args:
        num_arrays: int, K.
        num_bits: int, L in [1, 20].
        **kwargs: see `SimilarityErrorMemory` and `ErrorMemory`.

    When one bucket counts more than 2^20 rows, all sums are halved: older rows then weigh half, as
    `decay` would have it, and nothing else changes.

    Memory: num_arrays * 2^num_bits * 12 bytes.

    Example:
        >>> memory = SketchErrorMemory(num_arrays=8, num_bits=4, key_normalization="none")
        >>> memory.write([[1.0, 0.0]], labels=[1], probabilities=[0.25])
        1
        >>> memory.read(np.array([[2.0, 0.0]]))  # same direction, same buckets
        {'mean_label': [1.0], 'mean_probability': [0.25], 'found': [1.0]}
    """

    def __init__(self, num_arrays=70, num_bits=12, **kwargs):
        super().__init__(**kwargs)
        if int(num_arrays) != num_arrays or num_arrays < 1:
            raise ValueError(f"`num_arrays` must be a positive integer. Received: {num_arrays}")
        if int(num_bits) != num_bits or not 1 <= num_bits <= 20:
            raise ValueError(f"`num_bits` must be an integer in [1, 20]. Received: {num_bits}")
        if num_arrays << num_bits >= 2**31:
            raise ValueError(
                "`num_arrays` * 2^`num_bits` must stay below 2^31 (int32 bucket indices). "
                f"Received: {num_arrays} and {num_bits}"
            )
        self.num_arrays = int(num_arrays)
        self.num_bits = int(num_bits)

    def build(self, keys_shape):
        super().build(keys_shape)
        # drawn by NumPy, so that every backend gets the same projections from the same seed
        draw = np.random.default_rng(self.seed).standard_normal(
            (keys_shape[-1], self.num_arrays * self.num_bits)
        )
        self.projections = self.add_weight(
            name="projections",
            shape=draw.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(draw, dtype),
            trainable=False,
            autocast=False,
        )
        self.sums = self._state("sums", (self.num_arrays << self.num_bits, 3))
        self.total = self._state("total", ())  # rows in each array
        self._unchecked = FULL

    def buckets(self, keys):
        """Return the bucket of each key in each array: int32 (batch, num_arrays).

        Buckets of array k lie in [k * 2^L, (k + 1) * 2^L); bit l is the sign of projection l.
        """
        projected = ops.matmul(self.normalize.call(keys), self.projections)
        return pack_signs(projected, self.num_arrays, self.num_bits)

    def read(self, keys):
        return self.look_up(keys)[0]

    def look_up(self, keys):
        """See `ErrorMemory.look_up`; places are the `buckets`."""
        reading = by_chunks(self._look_up, ops.convert_to_tensor(keys, "float32"))
        return reading, reading.pop("buckets")

    def _look_up(self, keys):
        buckets = self.buckets(keys)
        # (batch, arrays, 3)
        sums = take_sums(self.sums, buckets)
        # (batch, 2): attention over bucket means, not pooled sums (they did better everywhere)
        means, found = bucket_means(sums, ops.convert_to_tensor(self.total), self.temperature)
        return {
            "mean_label": means[:, 0],
            "mean_probability": means[:, 1],
            "found": found,
            "buckets": buckets,
        }

    def _store(self, keys, labels, probabilities):
        self._store_buckets(ops.convert_to_numpy(self.buckets(keys)), labels, probabilities)

    def write_at(self, places, labels, probabilities):
        """`write` for rows that were looked up before.

        Args:
            places: int32 (rows, num_arrays), what `look_up` or `buckets` returned.
            labels, probabilities: see `write`.

        Returns:
            int, the number of rows that passed threshold and sampling.
        """
        buckets = self._host_buckets(places, self.num_arrays)
        return self._write(buckets, labels, probabilities, store=self._store_buckets)

    def _store_buckets(self, buckets, labels, probabilities):
        rows = np.stack([np.ones_like(labels), labels, probabilities], axis=1)
        scatter_add(self.sums, buckets, rows)
        self.total.assign_add(float(len(rows)))
        self._halve_when_full(len(rows))

    def _halve_when_full(self, rows):
        """Halve all sums, now and then: means and shares stay, and new rows keep counting.

        A float32 sum of 2^24 no longer grows by 1, and long before it loses small probabilities.
        """
        self._unchecked += rows
        if self._unchecked < FULL:
            return
        self._unchecked = 0
        if float(ops.convert_to_numpy(self.total)) <= FULL:  # no bucket counts more than all
            return
        counts = self.sums[:, 0]
        # a large total may have missed single rows
        self.total.assign(ops.sum(counts[: 1 << self.num_bits]))
        if float(ops.convert_to_numpy(ops.max(counts))) > FULL:
            self._fade(0.5)

    def _fade(self, factor):
        self.sums.assign(self.sums * factor)
        self.total.assign(self.total * factor)

    def _states(self):
        return self.sums, self.total

    def merge(self, other):
        """Add the other memory's sums: the same as having written its rows here.

        Args:
            other: `SketchErrorMemory` of the same configuration and key normalisation.
        """
        self._check_mergeable(other)
        self.sums.assign_add(other.sums)
        self.total.assign_add(other.total)
        self._halve_when_full(FULL)
        self.num_writes.assign_add(other.num_writes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_arrays": self.num_arrays,
            "num_bits": self.num_bits,
        }

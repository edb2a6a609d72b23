"""The paper's constant-size memory: K arrays of SimHash buckets."""

import numpy as np
from mindspore import Tensor, ops

from mindspore_port.layers.similarity_error_memory import SimilarityErrorMemory, masked_attention
from mindspore_port.layers.state import assign, state, to_numpy, to_tensor

# when a bucket counts more rows than that, all are halved, see `_halve_when_full`
FULL = 2.0**20


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
        >>> memory.read([[2.0, 0.0]])  # same direction, same buckets
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
        self.powers = Tensor(np.left_shift(1, np.arange(num_bits)).astype("int32"))
        self.offsets = Tensor((np.arange(num_arrays) << num_bits).astype("int32"))

    def build(self, dim):
        """Allocate buckets and draw projections for keys of width `dim`."""
        super().build(dim)
        # drawn by NumPy, so that MindSpore and Keras get the same projections from the same seed
        draw = np.random.default_rng(self.seed).standard_normal(
            (dim, self.num_arrays * self.num_bits)
        )
        self.projections = state("projections", draw.shape)
        assign(self.projections, draw)
        self.sums = state("sums", (self.num_arrays << self.num_bits, 3))
        self.total = state("total", ())  # rows in each array
        self._unchecked = FULL

    def buckets(self, keys):
        """Return the bucket of each key in each array: int32 (batch, num_arrays).

        Buckets of array k lie in [k * 2^L, (k + 1) * 2^L); bit l is the sign of projection l.
        """
        # (batch, arrays, bits)
        signs = ops.matmul(self.normalize(keys), self.projections) > 0
        bits = signs.astype(self.powers.dtype).reshape(-1, self.num_arrays, self.num_bits)
        return (bits * self.powers).sum(axis=-1).astype(self.powers.dtype) + self.offsets

    def construct(self, keys):
        return self.reading_and_buckets(keys)[0]

    def read(self, keys):
        """Return the reading for query keys (batch, dim), array or Tensor; see the class."""
        return self.look_up(keys)[0]

    def look_up(self, keys):
        """See `ErrorMemory.look_up`; places are the `buckets`."""
        return self._looking_up[0](to_tensor(keys, "float32"))

    def reading_and_buckets(self, keys):
        """`look_up` of a Tensor, as part of a graph."""
        buckets = self.buckets(keys)
        # (batch, arrays, 3)
        sums = ops.gather(self.sums, buckets, 0)
        count = sums[:, :, 0]
        mask = count > 0
        similarity = count / ops.clamp(self.total, 1e-30, None)
        attention, found = masked_attention(similarity, mask, self.temperature)
        # (batch, 2): attention over bucket means, not pooled sums (they did better everywhere)
        safe = count + (1.0 - mask.astype(count.dtype))
        weight = ops.expand_dims(attention / safe, -1)
        means = (weight * sums[:, :, 1:]).sum(axis=1)
        reading = {"mean_label": means[:, 0], "mean_probability": means[:, 1], "found": found}
        return reading, buckets

    def _store(self, keys, labels, probabilities):
        self._store_buckets(to_numpy(self.buckets(to_tensor(keys))), labels, probabilities)

    def write_at(self, places, labels, probabilities):
        """`write` for rows that were looked up before.

        Args:
            places: int32 (rows, num_arrays), what `look_up` or `buckets` returned.
            labels, probabilities: see `write`.

        Returns:
            int, the number of rows that passed threshold and sampling.

        Raises:
            ValueError: as `write`, and if places are not what `look_up` returns.
        """
        buckets = self._host_buckets(places, self.num_arrays)
        return self._write(buckets, labels, probabilities, store=self._store_buckets)

    def _store_buckets(self, buckets, labels, probabilities):
        rows = np.stack([np.ones_like(labels), labels, probabilities], axis=1)
        updates = to_tensor(np.repeat(rows, self.num_arrays, axis=0))
        ops.scatter_add(self.sums, to_tensor(buckets.reshape(-1)), updates)
        assign(self.total, self.total.asnumpy() + np.float32(len(rows)))
        self._halve_when_full(len(rows))

    def _halve_when_full(self, rows):
        """Halve all sums, now and then: means and shares stay, and new rows keep counting.

        A float32 sum of 2^24 no longer grows by 1, and long before it loses small probabilities.
        """
        self._unchecked += rows
        if self._unchecked < FULL:
            return
        self._unchecked = 0
        if float(self.total.asnumpy()) <= FULL:  # no bucket counts more than all
            return
        counts = self.sums.asnumpy()[:, 0]
        # a large total may have missed single rows
        assign(self.total, counts[: 1 << self.num_bits].sum(dtype="float64"))
        if counts.max() > FULL:
            self._fade(0.5)

    def _fade(self, factor):
        assign(self.sums, self.sums.asnumpy() * np.float32(factor))
        assign(self.total, self.total.asnumpy() * np.float32(factor))

    def _states(self):
        return self.sums, self.total

    def merge(self, other):
        """Add the other memory's sums: the same as having written its rows here.

        Args:
            other: `SketchErrorMemory` of the same configuration and key normalisation.

        Raises:
            ValueError: if configurations or key widths differ, or a memory is not built.
        """
        self._check_mergeable(other)
        self._add(other, ("sums", "total"))
        self._halve_when_full(FULL)

    def get_config(self):
        """Return the arguments by name."""
        return {
            **super().get_config(),
            "num_arrays": self.num_arrays,
            "num_bits": self.num_bits,
        }

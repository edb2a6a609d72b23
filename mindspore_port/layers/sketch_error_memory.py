"""The paper's constant-size memory: K arrays of SimHash buckets."""

from typing import Any

import numpy as np
from mindspore import Tensor, ops

from mindspore_port.layers.similarity_error_memory import SimilarityErrorMemory, masked_attention
from reloop2_keras.core.memories import SketchMemory
from reloop2_keras.core.shown import shows


@shows("num_arrays", "num_bits", "sums", "total", "projections")
class SketchErrorMemory(SimilarityErrorMemory):
    """K arrays of 2^L buckets of (count, sum of labels, sum of predictions), read by attention.

    Read and write cost O(1), whatever was written before (docs/method.md, section 2). Formulas:
    see `core.memories.SketchMemory`.

    Args:
        num_arrays: int, K.
        num_bits: int, L in [1, 20].
        **kwargs: see `core.memories.SimilarityMemory` and `Memory`: temperature, error_threshold,
            key_normalization, sampling_rate, decay, seed.

    Memory: num_arrays * 2^num_bits * 24 bytes on the host, and half of that again for the
    parameters that graphs read.

    Example:
        >>> memory = SketchErrorMemory(num_arrays=8, num_bits=4, key_normalization="none")
        >>> memory.write([[1.0, 0.0]], labels=[1], probabilities=[0.25])
        1
        >>> memory.read([[2.0, 0.0]])  # same direction, same buckets
        {'mean_label': [1.0], 'mean_probability': [0.25], 'found': [1.0]}
    """

    SHOWN = ("projections", "sums", "total")

    def __init__(self, num_arrays: int = 70, num_bits: int = 12, **kwargs: Any) -> None:
        super().__init__(SketchMemory(num_arrays, num_bits, **kwargs))
        self.powers = Tensor(np.left_shift(1, np.arange(num_bits)).astype("int32"))
        self.first_buckets = Tensor((np.arange(num_arrays) << num_bits).astype("int32"))

    def places(self, keys: Tensor) -> Tensor:
        """Return the bucket of each key in each array: int32 (batch, num_arrays).

        Buckets of array k lie in [k * 2^L, (k + 1) * 2^L); bit l is the sign of projection l.
        """
        # (batch, arrays, bits)
        signs = ops.matmul(self.normalize(keys), self.shown_projections) > 0
        bits = signs.astype(self.powers.dtype).reshape(-1, self.num_arrays, self.num_bits)
        return (bits * self.powers).sum(axis=-1).astype(self.powers.dtype) + self.first_buckets

    def construct(self, keys: Tensor) -> dict[str, Tensor]:
        # (batch, arrays, 3)
        sums = ops.gather(self.shown_sums, self.places(keys), 0)
        count = sums[:, :, 0]
        mask = count > 0
        similarity = count / ops.clamp(self.shown_total, 1e-30, None)
        attention, found = masked_attention(similarity, mask, self.temperature)
        # (batch, 2): attention over bucket means, not pooled sums (they did better everywhere)
        safe = count + (1.0 - mask.astype(count.dtype))
        weight = ops.expand_dims(attention / safe, -1)
        means = (weight * sums[:, :, 1:]).sum(axis=1)
        return {"mean_label": means[:, 0], "mean_probability": means[:, 1], "found": found}

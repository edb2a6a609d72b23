"""The paper's constant-size memory: K arrays of SimHash buckets."""

from typing import Any

import keras
from keras import ops

from reloop2_keras.backend import (
    Tensor,
    bucket_means,
    by_chunks,
    full_product,
    pack_signs,
    take_sums,
)
from reloop2_keras.core.memories import SketchMemory
from reloop2_keras.core.shown import shows
from reloop2_keras.layers.similarity_error_memory import SimilarityErrorMemory


@shows("num_arrays", "num_bits", "sums", "total", "projections")
@keras.saving.register_keras_serializable(package="reloop2")
class SketchErrorMemory(SimilarityErrorMemory):
    """K arrays of 2^L buckets of (count, sum of labels, sum of predictions).

    Array k hashes a key by the signs of its own L random projections (SimHash). The K arrays play
    the part of K neighbors: y_k = sum_y / sum_x, p_k = sum_p / sum_x, similarity
    s_k = sum_x / (all rows in the array), attention softmax(s / tau); empty buckets are masked.
    Read and write cost O(1), whatever was written before (docs/method.md, section 2).

    Args:
        num_arrays: int, K.
        num_bits: int, L in [1, 20].
        temperature: float > 0, tau of the softmax over neighbors.
        error_threshold: float in [0, 1), sigma: only rows with |label - p| > sigma are written.
            The default, None, writes all.
        key_normalization: "none", "center" or "whiten"; fitted by `adapt`.
        sampling_rate: float in (0, 1]: each row is written with this probability.
        decay: float in (0, 1]: before each write everything remembered is weighted by it.
            1.0 (default) never forgets.
        seed: int >= 0, of projections and sampling.
        **kwargs: passed to `keras.layers.Layer`.

    Memory: num_arrays * 2^num_bits * 24 bytes on the host, and half of that again for the weights
    that traced steps read.

    Example:
        >>> memory = SketchErrorMemory(num_arrays=8, num_bits=4, key_normalization="none")
        >>> memory.write([[1.0, 0.0]], labels=[1], probabilities=[0.25])
        1
        >>> memory.read(np.array([[2.0, 0.0]]))  # same direction, same buckets
        {'mean_label': [1.0], 'mean_probability': [0.25], 'found': [1.0]}
    """

    SHOWN = ("projections", "sums", "total")
    LEGACY = ("num_writes", "projections", "sums", "total")

    def __init__(
        self,
        num_arrays: int = 70,
        num_bits: int = 12,
        temperature: float = 0.1,
        error_threshold: float | None = None,
        key_normalization: str = "center",
        sampling_rate: float = 1.0,
        decay: float = 1.0,
        seed: int = 1001,
        **kwargs: Any,
    ) -> None:
        core = SketchMemory(
            num_arrays,
            num_bits,
            temperature=temperature,
            error_threshold=error_threshold,
            key_normalization=key_normalization,
            sampling_rate=sampling_rate,
            decay=decay,
            seed=seed,
        )
        super().__init__(core, **kwargs)

    def places(self, keys: Tensor) -> Tensor:
        """Return the bucket of each key in each array: int32 (batch, num_arrays).

        Buckets of array k lie in [k * 2^L, (k + 1) * 2^L); bit l is the sign of projection l.
        """
        projected = full_product(self.normalize.call(keys), self.shown_projections)
        return pack_signs(projected, self.num_arrays, self.num_bits)

    def traced_read(self, keys: Tensor) -> dict[str, Tensor]:
        return by_chunks(self._read, ops.convert_to_tensor(keys, "float32"))

    def _read(self, keys):
        # (batch, arrays, 3)
        sums = take_sums(self.shown_sums, self.places(keys))
        # (batch, 2): attention over bucket means, not pooled sums (they did better everywhere)
        total = ops.convert_to_tensor(self.shown_total)
        means, found = bucket_means(sums, total, self.temperature)
        return {"mean_label": means[:, 0], "mean_probability": means[:, 1], "found": found}

"""The paper's constant-size memory: K arrays of SimHash buckets."""

from typing import Any, Self

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer
from reloop2_keras.core.kernels import pack_signs, zeros
from reloop2_keras.core.memories.deltas import AdditiveSums
from reloop2_keras.core.memories.feature import checked_buckets
from reloop2_keras.core.memories.memory import Reading, Update
from reloop2_keras.core.memories.similarity import SimilarityMemory
from reloop2_keras.core.neighbors import read_means

_GONE = 1e-9  # rows in a bucket
_BLOCK = 512  # rows whose projections stay in the cache


class SketchMemory(AdditiveSums, SimilarityMemory):
    """K arrays of 2^L buckets of (count, sum of labels, sum of predictions).

    Array k hashes a key by the signs of its own L random projections (SimHash). The K arrays play
    the part of K neighbors: y_k = sum_y / sum_x, p_k = sum_p / sum_x, similarity
    s_k = sum_x / (all rows in the array), attention softmax(s / tau); empty buckets are masked.
    Read and write cost O(1), whatever was written before (docs/method.md, section 2). Sums are
    float64 and stay exact for 2^53 rows.

    Args:
        num_arrays: int, K.
        num_bits: int, L in [1, 20].
        **kwargs: see `SimilarityMemory` and `Memory`.

    Attributes:
        sums: float64 (num_arrays * 2^num_bits, 3).
        total: float, rows in each array.
        projections: float32 (width, num_arrays * num_bits), drawn from the seed.

    Memory: num_arrays * 2^num_bits * 24 bytes.

    Example:
        >>> memory = SketchMemory(num_arrays=8, num_bits=4, key_normalization="none")
        >>> memory.write([[1.0, 0.0]], labels=[1], probabilities=[0.25])
        1
        >>> reading = memory.read([[2.0, 0.0]])  # same direction, same buckets
        >>> [float(reading[name][0]) for name in ("mean_label", "mean_probability", "found")]
        [1.0, 0.25, 1.0]
    """

    ARRAYS = ("sums",)
    CONSTANTS = ("projections",)
    DENSE = ("total",)
    COUNTERS = ("num_writes", "total")

    def __init__(self, num_arrays: int = 70, num_bits: int = 12, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_arrays = integer("num_arrays", num_arrays, 1, MOST_ROWS)
        self.num_bits = integer("num_bits", num_bits, 1, 20)
        if self.num_arrays << self.num_bits > MOST_ROWS:
            raise ValueError(
                "`num_arrays` * 2^`num_bits` must stay below 2^31 (int32 bucket indices). "
                f"Received: {num_arrays} and {num_bits}"
            )
        self.total = 0.0

    def _allocate(self, width: int) -> None:
        super()._allocate(width)
        shape = (width, self.num_arrays * self.num_bits)
        self.projections = np.random.default_rng(self.seed).standard_normal(shape).astype("float32")
        self.sums = zeros((self.num_arrays << self.num_bits, 3))

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Return each key's bucket in each array: int32 (rows, num_arrays).

        Buckets of array k lie in [k * 2^L, (k + 1) * 2^L); bit l is the sign of projection l.
        """
        out = np.empty((len(keys), self.num_arrays), "int32")
        # one for all blocks: fresh memory costs more than what is done in it
        projected = np.empty((min(_BLOCK, len(keys)), self.projections.shape[1]), "float32")
        for start in range(0, len(keys), _BLOCK):
            block = self.normalization(keys[start : start + _BLOCK])
            part = np.matmul(block, self.projections, out=projected[: len(block)])
            pack_signs(part, self.num_bits, out[start : start + _BLOCK])
        return out

    def checked_places(self, places: np.ndarray) -> np.ndarray:
        """Return buckets as they are; ValueError unless column k lies in array k."""
        return checked_buckets(places, self.num_arrays, self.num_bits)

    def _read_at(self, places: np.ndarray) -> Reading:
        """Return the reading at buckets; attention over bucket means, not pooled sums."""
        with self.lock:
            scale = 1.0 / (max(self.total, 1e-30) * self.temperature)
            means, found = read_means(self.sums, places, scale)
        return {"mean_label": means[:, 0], "mean_probability": means[:, 1], "found": found}

    def _add(self, update: Update) -> None:
        self.add_noted(update.places, self._addends(update))
        self.total += float(len(update.labels))

    def _subtract(self, update: Update, fade: np.ndarray, numbers: np.ndarray) -> None:
        self.add_noted(update.places, -fade[:, None, None] * self._addends(update))
        self.total = max(self.total - float(fade.sum()), 0.0)
        # a bucket whose rows are all gone is empty: what rounding leaves must not be read
        touched = np.unique(update.places)
        self.sums[touched[self.sums[touched, 0] < _GONE]] = 0.0

    def _addends(self, update: Update) -> np.ndarray:
        """What each row adds to its bucket in each array: (rows, 1, 3)."""
        columns = np.ones_like(update.labels), update.labels, update.probabilities
        return np.stack(columns, axis=1)[:, None]

    def _fade(self, factor: float) -> None:
        self.fade_noted(factor)
        self.total *= factor

    def reset(self) -> None:
        super().reset()
        self.total = 0.0

    def _take_in(self, other: Self) -> None:
        self._journal = None
        self.sums += other.sums
        self.total += other.total

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {
            **super().get_config(),
            "num_arrays": self.num_arrays,
            "num_bits": self.num_bits,
        }

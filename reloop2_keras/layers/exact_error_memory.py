"""Exact nearest neighbors over a ring buffer: small scale, and the sketch's oracle."""

from typing import Any

import keras
from keras import ops

from reloop2_keras.backend import Tensor, full_product, is_tracing
from reloop2_keras.core.memories import ExactMemory
from reloop2_keras.core.shown import shows
from reloop2_keras.layers.similarity_error_memory import SimilarityErrorMemory, masked_attention


@shows("capacity", "num_neighbors", "keys", "rows", "cursor")
@keras.saving.register_keras_serializable(package="reloop2")
class ExactErrorMemory(SimilarityErrorMemory):
    """The last `capacity` rows, read by top-k cosine similarity (docs/method.md, section 2).

    a = softmax(cosine / tau) over the `num_neighbors` nearest; the reading is the a-weighted mean
    label and mean base prediction. Time of a read grows with the rows held: use it up to some
    1e5 rows, and `SketchErrorMemory` beyond.

    Args:
        capacity: int, N: rows of the ring buffer; when it is full the oldest row gives way.
        num_neighbors: int, k.
        temperature: float > 0, tau of the softmax over neighbors.
        error_threshold: float in [0, 1), sigma: only rows with |label - p| > sigma are written.
            The default, None, writes all.
        key_normalization: "none", "center" or "whiten"; fitted by `adapt`.
        sampling_rate: float in (0, 1]: each row is written with this probability.
        decay: float in (0, 1]: before each write everything remembered is weighted by it.
            1.0 (default) never forgets.
        seed: int >= 0, of sampling.
        **kwargs: passed to `keras.layers.Layer`.

    Example:
        >>> memory = ExactErrorMemory(capacity=1000, num_neighbors=2, key_normalization="none")
        >>> memory.write([[1.0, 0.0], [0.0, 1.0]], labels=[1, 0], probabilities=[0.4, 0.6])
        2
        >>> memory.read(np.array([[1.0, 0.0]]))["mean_label"]  # softmax([1, 0] / .1)[0]
        [0.99995]
    """

    SHOWN = ("keys", "rows")
    LEGACY = ("num_writes", "keys", "rows", "cursor")
    reads_whole = True

    def __init__(
        self,
        capacity: int = 100_000,
        num_neighbors: int = 50,
        temperature: float = 0.1,
        error_threshold: float | None = None,
        key_normalization: str = "center",
        sampling_rate: float = 1.0,
        decay: float = 1.0,
        seed: int = 1001,
        **kwargs: Any,
    ) -> None:
        core = ExactMemory(
            capacity,
            num_neighbors,
            temperature=temperature,
            error_threshold=error_threshold,
            key_normalization=key_normalization,
            sampling_rate=sampling_rate,
            decay=decay,
            seed=seed,
        )
        super().__init__(core, **kwargs)

    def _unit(self, keys):
        return ops.normalize(self.normalize.call(keys), axis=-1, order=2, epsilon=1e-12)

    def traced_read(self, keys: Tensor) -> dict[str, Tensor]:
        held_keys = ops.convert_to_tensor(self.shown_keys)
        rows = ops.convert_to_tensor(self.shown_rows)
        if not is_tracing():
            # eager: leave out the empty part; powers of two keep the number of shapes small
            held = 1 << max(self.core.held - 1, 1).bit_length()
            held = min(self.capacity, max(self.num_neighbors, held))
            held_keys, rows = held_keys[:held], rows[:held]
        # (batch, held)
        similarity = full_product(self._unit(keys), ops.transpose(held_keys))
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

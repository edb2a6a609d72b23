"""Exact nearest neighbors over a ring buffer: small scale, and the sketch's oracle."""

from typing import Any

from mindspore import Tensor, ops

from mindspore_port.layers.similarity_error_memory import SimilarityErrorMemory, masked_attention
from reloop2_keras.core.memories import ExactMemory
from reloop2_keras.core.shown import shows


@shows("capacity", "num_neighbors", "keys", "rows", "cursor")
class ExactErrorMemory(SimilarityErrorMemory):
    """The last `capacity` rows, read by top-k cosine similarity (docs/method.md, section 2).

    a = softmax(cosine / tau) over the `num_neighbors` nearest; the reading is the a-weighted mean
    label and mean base prediction. Time of a read grows with the rows held: use it up to some
    1e5 rows, and `SketchErrorMemory` beyond. Calling it searches all `capacity` rows (one shape,
    so that it compiles); `read` and `look_up` leave out the part that is still empty.

    Args:
        capacity: int, N: rows of the ring buffer; when it is full the oldest row gives way.
        num_neighbors: int, k.
        **kwargs: see `core.memories.SimilarityMemory` and `Memory`: temperature, error_threshold,
            key_normalization, sampling_rate, decay, seed.

    Example:
        >>> memory = ExactErrorMemory(capacity=1000, num_neighbors=2, key_normalization="none")
        >>> memory.write([[1.0, 0.0], [0.0, 1.0]], labels=[1, 0], probabilities=[0.4, 0.6])
        2
        >>> memory.read([[1.0, 0.0]])["mean_label"]  # softmax([1, 0] / .1)[0]
        [0.99995]
    """

    SHOWN = ("keys", "rows")

    def __init__(self, capacity: int = 100_000, num_neighbors: int = 50, **kwargs: Any) -> None:
        super().__init__(ExactMemory(capacity, num_neighbors, **kwargs))

    def _unit(self, keys: Tensor) -> Tensor:
        keys = self.normalize(keys)
        norm = ops.sqrt((keys * keys).sum(axis=-1, keepdims=True))
        return keys / ops.clamp(norm, 1e-12, None)

    def construct(self, keys: Tensor) -> dict[str, Tensor]:
        rows = self.shown_rows
        # (batch, capacity)
        similarity = ops.matmul(self._unit(keys), self.shown_keys.T)
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

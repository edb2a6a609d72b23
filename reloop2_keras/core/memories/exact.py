"""Exact nearest neighbors over a ring buffer: small scale, and the sketch's oracle."""

from typing import Any, Self

import numpy as np

from reloop2_keras.core.arguments import MOST_ROWS, integer
from reloop2_keras.core.memories.memory import Reading, Update
from reloop2_keras.core.memories.similarity import SimilarityMemory
from reloop2_keras.core.neighbors import nearest_rows


class ExactMemory(SimilarityMemory):
    """The last `capacity` rows, read by top-k cosine similarity (docs/method.md, section 2).

    a = softmax(cosine / tau) over the `num_neighbors` nearest; the reading is the a-weighted mean
    label and mean base prediction. Time of a read grows with the rows held: use it up to some
    1e5 rows, and `SketchMemory` beyond.

    Args:
        capacity: int, N: rows of the ring buffer; when it is full the oldest row gives way.
        num_neighbors: int, k.
        **kwargs: see `SimilarityMemory` and `Memory`.

    Attributes:
        keys: float32 (capacity, width), of length 1.
        rows: float32 (capacity, 3): label, base prediction, weight; weight 0 marks an empty row.
        cursor: int, rows ever stored.

    Memory: capacity * (width + 3) * 4 bytes.

    Example:
        >>> memory = ExactMemory(capacity=1000, num_neighbors=2, key_normalization="none")
        >>> memory.write([[1.0, 0.0], [0.0, 1.0]], labels=[1, 0], probabilities=[0.4, 0.6])
        2
        >>> round(float(memory.read([[1.0, 0.0]])["mean_label"][0]), 5)  # softmax([1, 0] / .1)[0]
        0.99995
    """

    ARRAYS = ("keys", "rows")
    COUNTERS = ("num_writes", "cursor")
    read_batch_size = 512  # a (batch, capacity) matrix of similarities is made

    def __init__(self, capacity: int = 100_000, num_neighbors: int = 50, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.capacity = integer("capacity", capacity, 1, MOST_ROWS)
        self.num_neighbors = integer("num_neighbors", num_neighbors, 1, MOST_ROWS)
        if num_neighbors > capacity:
            raise ValueError(
                f"`num_neighbors` must be <= capacity {capacity}. Received: {num_neighbors}"
            )
        self.cursor = 0

    def _allocate(self, width: int) -> None:
        super()._allocate(width)
        self.keys = np.zeros((self.capacity, width), "float32")
        self.rows = np.zeros((self.capacity, 3), "float32")

    @property
    def held(self) -> int:
        """How many rows of the buffer are in use."""
        return min(self.cursor, self.capacity)

    def places(self, keys: np.ndarray) -> np.ndarray:
        """Return normalized keys of length 1, float32 (rows, width): there are no buckets."""
        keys = self.normalization(keys)
        norm = np.sqrt(np.einsum("nd,nd->n", keys, keys))[:, None]
        return keys / np.maximum(norm, np.float32(1e-12))

    def checked_places(self, places: np.ndarray) -> np.ndarray:
        """Return keys of length 1 (or 0) as they are; ValueError if they are not."""
        units = np.asarray(places)
        right = units.ndim == 2 and units.shape[1] == self.width and units.dtype.kind == "f"
        if not right or not (np.einsum("nd,nd->n", units, units) < 1.01).all():
            raise ValueError(
                "`places` must be what `look_up(keys)` returned, keys of length 1 of width "
                f"{self.width}. Received: shape {units.shape}, dtype {units.dtype}"
            )
        return units.astype("float32", copy=False)

    def _read_at(self, places: np.ndarray) -> Reading:
        """Return the reading at keys of length 1."""
        out = np.zeros((len(places), 3), "float32")
        with self.lock:
            if self.held:
                out[...] = self._read(places, self.keys[: self.held], self.rows[: self.held])
        return {"mean_label": out[:, 0], "mean_probability": out[:, 1], "found": out[:, 2]}

    def _read(self, places: np.ndarray, keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
        # (batch, k)
        weights = np.ascontiguousarray(rows[:, 2])
        cosine, index = nearest_rows(places, keys, weights, min(self.num_neighbors, len(rows)))
        mask = index >= 0
        near = np.take(rows, np.maximum(index, 0), axis=0).astype("float64")
        # a decayed row counts by its weight: exp(s / tau + log w) = w * exp(s / tau)
        logits = cosine / self.temperature + np.log(np.maximum(near[..., 2], 1e-30))
        logits = np.where(mask, logits, -np.inf)
        found = mask.any(axis=1)
        top = np.where(found, logits.max(axis=1), 0.0)
        attention = np.exp(logits - top[:, None])
        attention /= np.maximum(attention.sum(axis=1, keepdims=True), 1e-30)
        means = np.einsum("nk,nkc->nc", attention, near[..., :2])
        return np.concatenate([means, found[:, None]], axis=1)

    def _add(self, update: Update) -> None:
        ones = np.ones_like(update.labels)
        rows = np.stack([update.labels, update.probabilities, ones], axis=1)
        self._append(update.places, rows)

    def _append(self, units: np.ndarray, rows: np.ndarray) -> None:
        at = np.arange(self.cursor, self.cursor + len(units)) % self.capacity
        self.cursor += len(units)
        # of rows that would land on one another only the last ones count
        at, units, rows = (a[-self.capacity :] for a in (at, units, rows))
        self.keys[at] = units
        self.rows[at] = rows

    def _next_number(self) -> int:
        return self.cursor

    def _subtract(self, update: Update, fade: np.ndarray, numbers: np.ndarray) -> None:
        """Empty the rows' places, where no later row has taken them."""
        there = numbers >= self.cursor - self.capacity
        self.rows[numbers[there] % self.capacity] = 0.0

    def _fade(self, factor: float) -> None:
        self.rows[:, 2] *= np.float32(factor)

    def _take_in(self, other: Self) -> None:
        """Append the other memory's rows, oldest first, as if they were written now."""
        order = np.roll(np.arange(other.capacity), -(other.cursor % other.capacity))
        order = order[other.rows[order, 2] > 0]
        self._append(other.keys[order], other.rows[order])

    def mark(self) -> Any:
        """Refuse: rows of a ring buffer do not add up."""
        raise ValueError("An ExactMemory keeps rows, which do not add up: `merge` appends them")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {
            **super().get_config(),
            "capacity": self.capacity,
            "num_neighbors": self.num_neighbors,
        }

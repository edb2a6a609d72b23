"""What the paper's two memories share: vector keys, filters, and what a gate sees of them."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from reloop2_keras.core.arguments import number, optional
from reloop2_keras.core.memories.memory import Memory, Reading, Update
from reloop2_keras.core.normalization import Normalization
from reloop2_keras.core.rows import check_finite

# mean labels are this far from 0 and 1 when a gate takes their logit: a few neighbors of one
# class are no proof of certainty
CLIP = 0.02
LARGEST = 1e15  # of a key's numbers: products of two such still fit float32


class SimilarityMemory(Memory):
    """Base class of memories read by the similarity of vector keys (docs/method.md, section 2).

    A reading is a dict of float32 (rows,): `mean_label`, `mean_probability` and `found`, which is 0
    where the memory held nothing to read (then the means are 0) and else 1.

    Args:
        temperature: float > 0, tau of the softmax over neighbors.
        error_threshold: float in [0, 1), sigma: only rows with |label - p| > sigma are written.
            The default, None, writes all.
        key_normalization: "none", "center" or "whiten"; fitted by `adapt`. The first write to a
            memory that was never adapted warns: its keys are then taken as they are.
        **kwargs: see `Memory`.
    """

    READING = ("mean_label", "mean_probability", "found")

    def __init__(
        self,
        temperature: float = 0.1,
        error_threshold: float | None = None,
        key_normalization: str = "center",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.temperature = number("temperature", temperature, "(0, inf)")
        self.error_threshold = optional(number, "error_threshold", error_threshold, "[0, 1)")
        self.key_normalization = key_normalization
        self.normalization = Normalization(key_normalization)

    def _allocate(self, width: int) -> None:
        if not self.normalization.fitted:  # where `adapt` has fitted it, keep that
            self.normalization.build(width)

    def adapt(self, keys: np.ndarray | Iterable[np.ndarray]) -> None:
        """Fit the key normalization to training keys: (rows, width), or an iterable of such arrays.

        Raises:
            ValueError: if the memory is not empty (what it holds was stored under other keys), or
                the keys are of another width, not finite, or none.
        """
        with self.lock:
            if self.num_writes:
                raise ValueError(
                    "`adapt` must come before the first `write`; `reset` the memory first"
                )
            fresh = Normalization(self.key_normalization)
            width = fresh.fit(keys)
            self.check_width(width)
            self.normalization.take(fresh)
            if not self.built:
                self.build(width)
            self.version += 1

    def checked_keys(self, keys: np.ndarray) -> np.ndarray:
        """Return keys as float32 (rows, width); ValueError if they are misshapen or not finite."""
        keys = np.asarray(keys, "float32")
        if keys.ndim != 2:
            raise ValueError(f"`keys` must have shape (rows, columns). Received: {keys.shape}")
        self.check_width(keys.shape[1])
        # False for NaN, too: only then it matters which of the two it is
        if keys.size and not (keys.min() >= -LARGEST and keys.max() <= LARGEST):
            check_finite("keys", keys)
            raise ValueError(
                f"`keys` must be within +-{LARGEST:g}. Received: {np.abs(keys).max():g}"
            )
        return keys

    def _kept(self, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray | None:
        keep = super()._kept(labels, probabilities)
        if self.error_threshold is None:
            return keep
        large = np.abs(labels - probabilities) > self.error_threshold
        return large if keep is None else keep & large

    def checked(
        self,
        places: np.ndarray,
        labels: np.ndarray,
        probabilities: np.ndarray,
        offsets: np.ndarray | None = None,
    ) -> Update:
        update = super().checked(places, labels, probabilities, offsets)
        if not self.num_writes and not self.normalization.fitted:
            # here and not in `store`: where warnings are errors nothing must have changed
            warnings.warn(
                f"key_normalization={self.key_normalization!r} does nothing before "
                "`adapt(training keys)`, which must come before the first write. Without it most "
                'keys hash alike; say key_normalization="none" if yours need no centering.',
                stacklevel=4,
            )
        return update

    @property
    def num_offsets(self) -> int:
        return 2

    def offsets(self, reading: Reading, probabilities: np.ndarray) -> np.ndarray:
        """Return how far the logit of the mean label lies from that of p and of the mean p (ours).

        float32 (rows, 2); 0 where the memory found nothing. A gate weighs the two, as gamma does in
        the paper's form.
        """
        label = _logit(reading["mean_label"], CLIP)
        both = [
            label - _logit(probabilities, 1e-6),
            label - _logit(reading["mean_probability"], CLIP),
        ]
        return (reading["found"][:, None] * np.stack(both, axis=1)).astype("float32")

    def check_mergeable(self, other: Self) -> None:
        super().check_mergeable(other)
        if not self.normalization.same_as(other.normalization):
            raise ValueError(
                "`other` must have been adapted to the same keys: its key normalization differs"
            )

    def state(self) -> dict[str, np.ndarray]:
        """See `ArrayState.state`; with the key normalization's arrays under `normalize/…`."""
        with self.lock:
            normalization = self.normalization.state()
            return {**super().state(), **{f"normalize/{k}": v for k, v in normalization.items()}}

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`."""
        with self.lock:
            start = "normalize/"
            fresh = self.normalization.copy()
            fresh.load_state(
                {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
            )
            super().load_state(arrays)
            self.normalization.take(fresh)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "error_threshold": self.error_threshold,
            "key_normalization": self.key_normalization,
        }


def _logit(probability: np.ndarray, clip: float) -> np.ndarray:
    p = np.clip(probability.astype("float64"), clip, 1.0 - clip)
    return np.log(p / (1.0 - p))

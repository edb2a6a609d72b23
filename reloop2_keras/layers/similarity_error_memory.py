"""What the paper's two memories share as layers: vector keys, attention over neighbors."""

from collections.abc import Iterable, Mapping
from typing import Any

from keras import ops

from reloop2_keras.backend import Shape, Tensor
from reloop2_keras.core.memories import SimilarityMemory
from reloop2_keras.core.memories.similarity import CLIP
from reloop2_keras.core.shown import shows
from reloop2_keras.layers.error_memory import ErrorMemory
from reloop2_keras.layers.key_normalization import KeyNormalization
from reloop2_keras.layers.log_odds import logit


@shows("temperature", "error_threshold", "key_normalization")
class SimilarityErrorMemory(ErrorMemory):
    """Base class of memories read by the similarity of vector keys (docs/method.md, section 2).

    Args:
        core: a `reloop2_keras.core.memories.SimilarityMemory`.
        **kwargs: see `ErrorMemory`.

    Call arguments:
        keys: float (batch, dim).

    Returns:
        A reading: dict of float32 (batch,): `mean_label`, `mean_probability` and `found`, which
        is 0 where the memory held nothing to read (then the means are 0) and else 1.
    """

    def __init__(self, core: SimilarityMemory, **kwargs: Any) -> None:
        super().__init__(core, **kwargs)
        self.normalize = KeyNormalization(core.key_normalization, name="normalize")
        self.normalize.core = core.normalization  # one object, shown by the layer

    def build(self, keys_shape: Shape) -> None:
        super().build(keys_shape)
        self.normalize.build(keys_shape)

    def sync(self) -> None:
        super().sync()
        self.normalize.sync()

    def adapt(self, keys: Tensor | Iterable[Tensor]) -> None:
        """Fit the key normalization to training keys: an array (rows, dim) or an iterable of them.

        Raises:
            ValueError: if the memory is not empty (what it holds was stored under other keys), or
                the keys are of another width, not finite, or none.
        """
        chunks = [keys] if hasattr(keys, "shape") else keys
        self.core.adapt(ops.convert_to_numpy(chunk) for chunk in chunks)
        if not self.built:
            self.build((None, self.core.width))
        self._changed()

    def _take_core(self, core):
        super()._take_core(core)
        self.normalize.core = core.normalization

    def offsets(self, reading: Mapping[str, Tensor], probabilities: Tensor) -> Tensor:
        """Return how far the logit of the mean label lies from that of p and of the mean p (ours).

        float32 (batch, 2); 0 where the memory found nothing. The gate weighs the two, as gamma
        does in the paper's form.
        """
        label = logit(reading["mean_label"], CLIP)
        base = logit(probabilities)
        expected = logit(reading["mean_probability"], CLIP)
        both = ops.stack([label - base, label - expected], axis=1)
        return reading["found"][:, None] * both

    def compute_output_shape(self, keys_shape: Shape) -> dict[str, Shape]:
        shape = (keys_shape[0],)
        return {"mean_label": shape, "mean_probability": shape, "found": shape}


def masked_attention(similarity: Tensor, mask: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Softmax of similarity / temperature over the last axis where mask is true, else 0.

    Args:
        similarity: float32 (batch, neighbors).
        mask: bool (batch, neighbors).
        temperature: float.

    Returns:
        (weights (batch, neighbors) that sum to 1, or to 0 where nothing is unmasked;
        found (batch,), 1.0 where anything is).
    """
    logits = ops.where(mask, similarity / temperature, -1e30)
    weights = ops.exp(logits - ops.max(logits, axis=-1, keepdims=True))
    weights = ops.where(mask, weights, 0.0)
    total = ops.sum(weights, axis=-1, keepdims=True)
    found = ops.cast(ops.squeeze(total, -1) > 0, "float32")
    return weights / ops.maximum(total, 1e-30), found

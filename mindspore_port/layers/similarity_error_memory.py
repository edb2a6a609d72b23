"""What the paper's two memories share as cells: vector keys, attention over neighbors."""

from collections.abc import Iterable, Mapping

from mindspore import Tensor, ops

from mindspore_port.layers.error_memory import ErrorMemory
from mindspore_port.layers.key_normalization import KeyNormalization
from mindspore_port.layers.log_odds import logit
from mindspore_port.tensors import EXECUTOR, TensorLike, to_numpy
from reloop2_keras.core.memories import SimilarityMemory
from reloop2_keras.core.memories.similarity import CLIP
from reloop2_keras.core.shown import shows


@shows("temperature", "error_threshold", "key_normalization")
class SimilarityErrorMemory(ErrorMemory):
    """Base class of memories read by the similarity of vector keys (docs/method.md, section 2).

    Args:
        core: a `reloop2_keras.core.memories.SimilarityMemory`.

    Call arguments:
        keys: float32 Tensor (batch, dim).

    Returns:
        A reading: dict of float32 Tensors (batch,): `mean_label`, `mean_probability` and `found`,
        which is 0 where the memory held nothing to read (then the means are 0) and else 1.
    """

    core: SimilarityMemory

    def __init__(self, core: SimilarityMemory) -> None:
        super().__init__(core)
        self.normalize = KeyNormalization(core.key_normalization)
        self.normalize.core = core.normalization  # one object, shown by the cell

    def sync(self) -> None:
        """See `ShownState.sync`."""
        super().sync()
        if self.normalize.core is not self.core.normalization:
            self.normalize.take_core(self.core.normalization)
        self.normalize.sync()

    def adapt(self, keys: TensorLike | Iterable[TensorLike]) -> None:
        """Fit the key normalization to training keys: an array (rows, dim) or an iterable of them.

        Raises:
            ValueError: if the memory is not empty (what it holds was stored under other keys), or
                the keys are of another width, not finite, or none.
        """
        chunks = [keys] if hasattr(keys, "shape") else keys
        with EXECUTOR:  # an iterable may run a model
            self.core.adapt(to_numpy(chunk) for chunk in chunks)
            self.sync()

    def offsets(self, reading: Mapping[str, Tensor], probabilities: Tensor) -> Tensor:
        """Return how far the logit of the mean label lies from that of p and of the mean p (ours).

        float32 (batch, 2); 0 where the memory found nothing. The gate weighs the two, as gamma
        does in the paper's form.
        """
        label = logit(reading["mean_label"], CLIP)
        expected = logit(reading["mean_probability"], CLIP)
        both = ops.stack([label - logit(probabilities), label - expected], axis=1)
        return ops.expand_dims(reading["found"], -1) * both


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
    kept = mask.astype(similarity.dtype)
    # a masked entry stands far below every other and then weighs nothing
    logits = kept * (similarity / temperature) + (kept - 1.0) * 1e30
    weights = kept * ops.exp(logits - logits.max(axis=-1, keepdims=True))
    total = weights.sum(axis=-1, keepdims=True)
    found = (total > 0).astype(similarity.dtype).squeeze(-1)
    return weights / ops.clamp(total, 1e-30, None), found

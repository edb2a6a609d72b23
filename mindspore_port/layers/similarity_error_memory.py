"""What the paper's two memories share: vector keys, attention over neighbours."""

import numpy as np
from mindspore import ops

from mindspore_port.layers.error_memory import ErrorMemory
from mindspore_port.layers.key_normalization import KeyNormalization
from mindspore_port.layers.logit import logit
from mindspore_port.layers.state import to_numpy, to_tensor

# mean labels are this far from 0 and 1 when a gate takes their logit: a few neighbours of one
# class are no proof of certainty
CLIP = 0.02


class SimilarityErrorMemory(ErrorMemory):
    """Base class of memories read by the similarity of vector keys (method.md, section 2).

    Args:
        temperature: float > 0, tau of the softmax over neighbours.
        error_threshold: float in [0, 1), sigma: only rows with |label - p| > sigma are written.
            The default, None, writes all.
        key_normalization: "none", "center" or "whiten"; fitted by `adapt`.
        **kwargs: see `ErrorMemory`.

    Call arguments:
        keys: float32 (batch, dim).

    Returns:
        A reading: dict of float32 (batch,): `mean_label`, `mean_probability` and `found`, which
        is 0 where the memory held nothing to read (then the means are 0) and else 1.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, temperature=0.1, error_threshold=None, key_normalization="center", **kwargs):
        super().__init__(**kwargs)
        if not temperature > 0:
            raise ValueError(f"`temperature` must be > 0. Received: {temperature}")
        if error_threshold is not None and not 0 <= error_threshold < 1:
            raise ValueError(f"`error_threshold` must be in [0, 1). Received: {error_threshold}")
        self.temperature = temperature
        self.error_threshold = error_threshold
        self.key_normalization = key_normalization
        self.normalize = KeyNormalization(key_normalization)

    def build(self, dim):
        """Allocate the state for keys of width `dim`."""
        if not self.normalize.built:  # `adapt` came first
            self.normalize.build(dim)
        super().build(dim)

    def adapt(self, keys):
        """Fit the key normalisation to training keys: an array (rows, dim) or an iterable of them.

        Raises:
            ValueError: if the memory is not empty (what it holds was stored under other keys).
        """
        if self.built and int(self.num_writes.asnumpy()):
            raise ValueError("`adapt` must come before the first `write`; `reset` the memory first")
        dim = self.normalize.adapt(keys)
        if not self.built:
            self.build(dim)

    def read(self, keys):
        """Return the reading for query keys (batch, dim), array or Tensor; see the class."""
        return self(to_tensor(keys, "float32"))

    def _host_keys(self, keys):
        keys = to_numpy(keys, "float32")
        if not np.isfinite(keys).all():
            raise ValueError("`keys` must be finite. Received: NaN or infinity")
        return keys

    def _check_mergeable(self, other):
        super()._check_mergeable(other)
        mine, theirs = self.normalize.get_parameters(), other.normalize.get_parameters()
        for a, b in zip(mine, theirs, strict=True):
            if not np.allclose(a.asnumpy(), b.asnumpy(), atol=1e-6):
                raise ValueError(
                    "`other` must have been adapted to the same keys: its key normalisation differs"
                )

    def _keep(self, labels, probabilities):
        keep = super()._keep(labels, probabilities)
        if self.error_threshold is not None:
            keep = keep & (np.abs(labels - probabilities) > self.error_threshold)
        return keep

    @property
    def num_gate_inputs(self):
        return 2

    def gate_inputs(self, reading, probabilities):
        """Return how far the logit of the mean label lies from that of p and of the mean p (ours).

        float32 (batch, 2); 0 where the memory found nothing. The gate weighs the two, as gamma
        does in the paper's form.
        """
        label = logit(reading["mean_label"], CLIP)
        expected = logit(reading["mean_probability"], CLIP)
        both = ops.stack([label - logit(probabilities), label - expected], axis=1)
        return ops.expand_dims(reading["found"], -1) * both

    def get_config(self):
        """Return the arguments by name."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "error_threshold": self.error_threshold,
            "key_normalization": self.key_normalization,
        }


def masked_attention(similarity, mask, temperature):
    """Softmax of similarity / temperature over the last axis where mask is true, else 0.

    Args:
        similarity: float32 (batch, neighbours).
        mask: bool (batch, neighbours).
        temperature: float.

    Returns:
        (weights (batch, neighbours) that sum to 1, or to 0 where nothing is unmasked;
        found (batch,), 1.0 where anything is).
    """
    kept = mask.astype(similarity.dtype)
    # a masked entry stands far below every other and then weighs nothing
    logits = kept * (similarity / temperature) + (kept - 1.0) * 1e30
    weights = kept * ops.exp(logits - logits.max(axis=-1, keepdims=True))
    total = weights.sum(axis=-1, keepdims=True)
    found = (total > 0).astype(similarity.dtype).squeeze(-1)
    return weights / ops.clamp(total, 1e-30, None), found

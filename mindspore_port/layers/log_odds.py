"""Probabilities as log odds."""

from mindspore import Tensor, ops

PROBABILITY_CLIP = 1e-6


def logit(probabilities: Tensor, clip: float = PROBABILITY_CLIP) -> Tensor:
    """Return log(p / (1 - p)) with p clipped to [clip, 1 - clip], float32, same shape.

    Args:
        probabilities: float32 Tensor.
        clip: float in (0, .5).

    Example:
        >>> logit(Tensor([0.5]))
        [0.0]
    """
    p = ops.clamp(probabilities, clip, 1.0 - clip)
    return ops.log(p / (1.0 - p))

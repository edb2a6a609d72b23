"""Probabilities as log odds."""

from keras import ops

from reloop2_keras.backend import Tensor

PROBABILITY_CLIP = 1e-6


def logit(probabilities: Tensor, clip: float = PROBABILITY_CLIP) -> Tensor:
    """Return log(p / (1 - p)) with p clipped to [clip, 1 - clip], float32, same shape.

    Args:
        probabilities: float tensor.
        clip: float in (0, .5).
    """
    p = ops.clip(ops.cast(probabilities, "float32"), clip, 1.0 - clip)
    return ops.log(p / (1.0 - p))

"""The paper's correction of a prediction by what the memory read, for tensors."""

from collections.abc import Mapping

from keras import ops

from reloop2_keras.backend import Tensor
from reloop2_keras.core.compensation import compensated


def nan_outside(probabilities: Tensor, corrected: Tensor) -> Tensor:
    """Return what was corrected, and NaN where the base's output is no probability.

    A base that ends in logits, or has NaN weights, would be clipped to a sure prediction.

    Args:
        probabilities: float (batch,), of the base.
        corrected: float (batch,).
    """
    right = ops.logical_and(probabilities >= 0.0, probabilities <= 1.0)  # False for NaN, too
    return ops.where(right, corrected, float("nan"))


def compensate(
    probabilities: Tensor,
    reading: Mapping[str, Tensor],
    compensation: float = 0.5,
    label_weight: float = 1.0,
) -> Tensor:
    """Correct base predictions by the error the memory saw for similar rows.

    y_err = gamma * (mean_label - p) + (1 - gamma) * (mean_label - mean_probability)
    y_pred = clip(p + lambda * y_err, 0, 1); where the memory found nothing, y_pred = p.
    (ReLoop2, KDD 2023; docs/method.md, section 2. Every published number uses gamma = 1.)

    Args:
        probabilities: float32 (batch,), base predictions p.
        reading: dict of float32 (batch,): `mean_label`, `mean_probability`, `found` (0 or 1).
        compensation: float, lambda in [0, 1]. 0 leaves p as it is.
        label_weight: float, gamma in [0, 1].

    Returns:
        float32 (batch,) in [0, 1].
    """
    return ops.clip(compensated(probabilities, reading, compensation, label_weight), 0.0, 1.0)

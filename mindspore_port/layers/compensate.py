"""The paper's correction of a prediction by what the memory read."""

from mindspore import ops


def compensate(probabilities, reading, compensation=0.5, label_weight=1.0):
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

    Example:
        >>> one = {name: Tensor([v]) for name, v in zip(
        ...     ("mean_label", "mean_probability", "found"), (0.8, 0.5, 1.0))}
        >>> compensate(Tensor([0.2]), one, compensation=0.5)  # (1 - .5) * .2 + .5 * .8
        [0.5]
    """
    mean_label = reading["mean_label"]
    error = label_weight * (mean_label - probabilities)
    error = error + (1.0 - label_weight) * (mean_label - reading["mean_probability"])
    return ops.clamp(probabilities + compensation * reading["found"] * error, 0.0, 1.0)

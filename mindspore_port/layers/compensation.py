"""The paper's correction of a prediction by what the memory read."""

from mindspore import Tensor, ops

from reloop2_keras.core.compensation import compensated


def compensate(
    probabilities: Tensor,
    reading: dict[str, Tensor],
    compensation: float = 0.5,
    label_weight: float = 1.0,
) -> Tensor:
    """Return `core.compensation.compensated`, clipped to [0, 1]: float32 (batch,).

    Args:
        probabilities: float32 (batch,), base predictions p.
        reading: dict of float32 (batch,): `mean_label`, `mean_probability`, `found` (0 or 1).
        compensation: float, lambda in [0, 1]. 0 leaves p as it is.
        label_weight: float, gamma in [0, 1].

    Example:
        >>> one = {name: Tensor([v]) for name, v in zip(
        ...     ("mean_label", "mean_probability", "found"), (0.8, 0.5, 1.0))}
        >>> compensate(Tensor([0.2]), one, compensation=0.5)  # (1 - .5) * .2 + .5 * .8
        [0.5]
    """
    corrected = compensated(probabilities, reading, compensation, label_weight)
    return ops.clamp(corrected, 0.0, 1.0)

"""The paper's correction of a prediction by what the memory read."""

from collections.abc import Mapping
from typing import Any


def compensated(
    probabilities: Any, reading: Mapping[str, Any], compensation: Any = 0.5, label_weight: Any = 1.0
) -> Any:
    """Correct base predictions by the error the memory saw for similar rows, not yet clipped.

    y_err = gamma * (mean_label - p) + (1 - gamma) * (mean_label - mean_probability)
    y_pred = p + lambda * y_err; where the memory found nothing, y_pred = p. The caller clips to
    [0, 1]. (ReLoop2, KDD 2023; docs/method.md, section 2. Every published number uses gamma = 1.)

    Operators alone, so that one text serves NumPy and the tensors of every framework.

    Args:
        probabilities: float32 (rows,), base predictions p.
        reading: dict of float32 (rows,): `mean_label`, `mean_probability`, `found` (0 or 1).
        compensation: float, lambda in [0, 1]. 0 leaves p as it is.
        label_weight: float, gamma in [0, 1].

    Returns:
        (rows,), of the kind that was given.

    Example:
        >>> reading = {"mean_label": 0.8, "mean_probability": 0.5, "found": 1.0}
        >>> compensated(0.2, reading, 0.5)
        0.5
    """
    mean_label = reading["mean_label"]
    error = mean_label - probabilities
    if label_weight != 1:
        other = mean_label - reading["mean_probability"]
        error = label_weight * error + (1.0 - label_weight) * other
    return probabilities + compensation * reading["found"] * error

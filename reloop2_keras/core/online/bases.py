"""What the base models say, as logits."""

from collections.abc import Mapping, Sequence

import numpy as np

from reloop2_keras.core.gate import PROBABILITY_CLIP
from reloop2_keras.core.rows import check_probabilities


def base_logits(
    probabilities: Mapping[str, np.ndarray] | np.ndarray | None, names: Sequence[str], rows: int
) -> np.ndarray:
    """Return the bases' logits, float64 (rows, bases).

    Args:
        probabilities: by name, each (rows,), or an array (rows, bases), or (rows,) of one base;
            None where there are no bases.
        names: of the bases.
        rows: int.

    Raises:
        ValueError: if they are not those of these bases, or one is NaN or out of [0, 1].

    Example:
        >>> base_logits({"deep": [0.5]}, ["deep"], 1)
        array([[0.]])
    """
    if type(probabilities) is dict or isinstance(probabilities, Mapping):
        if set(probabilities) != set(names):
            raise ValueError(
                f"`probabilities` must have the bases {list(names)}. "
                f"Received: {sorted(map(str, probabilities))}"
            )
        columns = [probabilities[name] for name in names]
    elif probabilities is None:
        columns = []
    else:
        array = np.asarray(probabilities)
        columns = [array] if array.ndim < 2 else list(array.T)
    if len(columns) != len(names):
        raise ValueError(
            f"`probabilities` must be those of {len(names)} bases, {list(names)}. "
            f"Received: {len(columns)}"
        )
    out = np.empty((rows, len(columns)))
    for column, values in enumerate(columns):
        out[:, column] = check_probabilities(values, rows)
    # `np.clip` takes as long as all else for one row
    p = np.minimum(np.maximum(out, PROBABILITY_CLIP), 1.0 - PROBABILITY_CLIP)
    return np.log(p / (1.0 - p))

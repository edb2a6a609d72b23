"""What a prepared dataset holds of a number: scaled by the training maximum, and a hash's text."""

from collections.abc import Sequence

import numpy as np

# A scaled value (value / training maximum) is cut to this, because its fourth power is then finite
# in float32: a factorization machine squares it, and Adam squares the gradient of that.
LARGEST = 1e9


def scaled(numbers: np.ndarray, maximum: float | np.ndarray) -> tuple[np.ndarray, int]:
    """Divide numbers by the training period's maximum; what is beyond `LARGEST` is cut to it.

    Args:
        numbers: NumPy float64 (rows,) or (rows, F); NaN is missing, and becomes 0.
        maximum: float > 0, or float64 (F,).

    Returns:
        float32 of the shape of `numbers`, and how many were cut.

    Example:
        >>> scaled(np.array([19.0, np.nan, -1e38]), 19.0)
        (array([ 1.e+00,  0.e+00, -1.e+09], dtype=float32), 1)
    """
    with np.errstate(over="ignore"):  # infinity is cut like what is large
        ratio = np.where(np.isnan(numbers), 0.0, numbers) / maximum
    ratio = ratio + 0.0  # -0 becomes 0: some readers drop its sign, others do not
    beyond = int(np.count_nonzero(np.abs(ratio) > LARGEST))
    return np.clip(ratio, -LARGEST, LARGEST).astype("float32"), beyond


def bin_numbers(numbers: np.ndarray, edges: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return each number's bin: how many edges are not above it; NaN has none, and gets the last.

    Args:
        numbers: NumPy float64 (rows,).
        edges: ascending, as `edges` in dataset.json.

    Returns:
        NumPy int64 (rows,), in [0, len(edges)].

    Example:
        >>> bin_numbers(np.array([-1.0, 2.0, 9.0]), [0.0, 2.0, 5.0]).tolist()
        [0, 2, 3]
    """
    return np.searchsorted(np.asarray(edges, "float64"), numbers, side="right")


def bin_text(number: int) -> str:
    """Return the text that stands for a bin in hashes.

    Example:
        >>> bin_text(2)
        'q2'
    """
    return f"q{number}"

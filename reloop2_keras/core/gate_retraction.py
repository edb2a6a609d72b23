"""Take rows back from a logistic regression that learns block by block (ours)."""

import numpy as np

from reloop2_keras.core.newton import by_eigenvectors, hessian, logits, sigmoid


def without(
    coefficients: np.ndarray,
    precision: np.ndarray,
    design: np.ndarray,
    labels: np.ndarray,
    at: np.ndarray,
    least: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and precision as if some rows had not been learnt.

    A full Newton step from `at` adds to the precision A the rows' sum of v x x', and to A c their
    sum of x (v x'at + y - q), with q = sigmoid(x'at) and v = q (1 - q). Both are subtracted: this
    is exact where the rows were learnt by one such step from `at` and nothing was learnt since,
    and of first order elsewhere.

    Args:
        coefficients: float64 (D,), c.
        precision: float64 (D, D), A.
        design: float64 (rows, D), x of the rows.
        labels: float64 (rows,), y with which they were learnt.
        at: float64 (D,), where the step began.
        least: float > 0, no eigenvalue of the precision falls below it.

    Example:
        >>> x, y, start = np.ones((3, 1)), np.array([1.0, 0.0, 0.0]), np.zeros(1)
        >>> learnt = np.array([-0.5 / 1.75]), np.array([[1.75]])  # one step from (0, 1)
        >>> c, A = without(*learnt, x, y, start, 1.0)
        >>> float(c[0].round(12)), A.tolist()
        (0.0, [[1.0]])
    """
    eta = logits(design, at)
    q = sigmoid(eta)
    v = q * (1.0 - q)
    taught = np.einsum("nd,n->d", design, v * eta + labels - q)
    left = precision - hessian(design, v)
    values, vectors = np.linalg.eigh((left + left.T) / 2.0)
    if values.min() < least:
        left = (vectors * np.maximum(values, least)) @ vectors.T
    return by_eigenvectors(left, precision @ coefficients - taught), left

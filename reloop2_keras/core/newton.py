"""Newton's method for small logistic regressions: one guarded step, on one core."""

import numpy as np

from reloop2_keras.core.compiled import COMPILED, jit

HALVINGS = 30
# multiplications that NumPy's BLAS does on one core: its threads and a backend's, on the same
# cores, wait for each other several times as long as the product takes
ONE_CORE = 1 << 18


def by_eigenvectors(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the solution of `matrix @ x = vector` for a symmetric matrix.

    By eigenvectors, since LAPACK's solve has threads, see ONE_CORE.
    """
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ ((vector @ vectors) / values)


@jit
def _solve(lower, x):
    size = len(x)
    for j in range(size):
        for i in range(j, size):
            total = lower[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            lower[i, j] = np.sqrt(total) if i == j else total / lower[j, j]
    for i in range(size):
        for k in range(i):
            x[i] -= lower[i, k] * x[k]
        x[i] /= lower[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            x[i] -= lower[k, i] * x[k]
        x[i] /= lower[i, i]


def by_cholesky(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Return the solution of `matrix @ x = vector` for a positive definite matrix.

    Compiled: at 45 rows a tenth of the time of `by_eigenvectors`, which stands in where Numba is
    not installed.

    Example:
        >>> by_cholesky(np.array([[4.0, 2.0], [2.0, 3.0]]), np.array([2.0, 5.0])).round(9).tolist()
        [-0.5, 2.0]
    """
    if not COMPILED:
        return by_eigenvectors(matrix, vector)
    solution = np.array(vector, "float64")
    _solve(np.array(matrix, "float64", order="C"), solution)
    return solution


@jit
def _pointwise(values, labels, error, variance):
    loss = 0.0
    for i in range(len(values)):
        z, y = values[i], labels[i]
        small = np.exp(-abs(z))
        q = 1.0 / (1.0 + small)
        loss += max(z, 0.0) + np.log1p(small) - y * z
        error[i] = y - (q if z >= 0.0 else 1.0 - q)
        variance[i] = q * (1.0 - q)
    return loss


def pointwise(
    values: np.ndarray, labels: np.ndarray, fast: bool = False
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (log loss, summed; label - p (rows,); p (1 - p) (rows,)) of logits (rows,).

    Args:
        values, labels: float64 (rows,).
        fast: bool, True takes the compiled loop, a third of the time, whose last digits differ.
    """
    if fast and COMPILED:
        error, variance = np.empty(len(values)), np.empty(len(values))
        return _pointwise(values, labels, error, variance), error, variance
    p = sigmoid(values)
    return log_loss(values, labels), labels - p, p * (1.0 - p)


def newton_step(
    design: np.ndarray,
    labels: np.ndarray,
    coefficients: np.ndarray,
    start: np.ndarray,
    prior: np.ndarray,
    fast: bool = False,
    curvature: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Make one Newton step of a logistic regression with a Gaussian prior around `start`.

    The step is halved while it would raise the penalized log loss (all labels alike, say).

    Args:
        design: float64 (rows, D).
        labels: float64 (rows,) of 0 and 1.
        coefficients: float64 (D,), where the step begins.
        start: float64 (D,), the prior's mean.
        prior: float64 (D, D), the prior's precision, positive definite.
        fast: bool, True takes compiled loops, whose last digits differ.
        curvature: float64 (D, D), the Hessian to take, of a step before; None: made anew.

    Returns:
        (coefficients after the step (D,), the loss's Hessian before the step (D, D) without the
        prior, the gain in nats that a quadratic loss would have had)
    """
    moved = coefficients - start
    before, error, variance = pointwise(logits(design, coefficients), labels, fast)
    before += 0.5 * moved @ prior @ moved
    if curvature is None:
        curvature = hessian(design, variance)
    gradient = np.einsum("nd,n->d", design, error) - prior @ moved
    step = (by_cholesky if fast else by_eigenvectors)(prior + curvature, gradient)
    gain = 0.5 * float(gradient @ step)
    for _ in range(HALVINGS):
        there = moved + step
        after = pointwise(logits(design, coefficients + step), labels, fast)[0]
        after += 0.5 * there @ prior @ there
        if after <= before + 1e-6 * (1.0 + abs(before)):
            break
        step = step / 2.0
    return coefficients + step, curvature, gain


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-values)) without overflow."""
    return np.exp(-np.logaddexp(0.0, -values))


def log_loss(values: np.ndarray, labels: np.ndarray) -> float:
    """Return the log loss of logits, summed, in nats."""
    return float((np.logaddexp(0.0, values) - labels * values).sum())


def logits(design: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return `design @ coefficients`, on one core, see ONE_CORE."""
    return np.einsum("nd,d->n", design, coefficients)


def hessian(design: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return sum over rows of variance * outer(row, row), (D, D), in blocks, see ONE_CORE."""
    size = design.shape[1]
    total, block = np.zeros((size, size)), max(16, ONE_CORE // size**2)
    for first in range(0, len(design), block):
        rows = design[first : first + block]
        total += rows.T @ (rows * variance[first : first + block, None])
    return total

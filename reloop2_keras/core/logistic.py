"""Logistic regression over the rows of an embedding table: what a DeepFM's linear part can be.

The optimum of mean log loss + l2 / 2 * |w|^2 by Newton's method, whose steps are solved by
conjugate gradients (C.-J. Lin, R. C. Weng, S. S. Keerthi, "Trust region Newton method for
large-scale logistic regression", 2008; here with halved steps instead of a trust region).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from reloop2_keras.core.arguments import number
from reloop2_keras.core.compiled import COMPILED, jit

_MOST_STEPS, _MOST_INNER = 30, 200
_ENOUGH = 1e-4  # of the first gradient's norm


@jit
def _curvature(rows, values, curves, vector, constant, out):
    total = 0.0
    for i in range(rows.shape[0]):
        move = constant
        for k in range(rows.shape[1]):
            move += vector[rows[i, k]] * values[i, k]
        move *= curves[i]
        total += move
        for k in range(rows.shape[1]):
            out[rows[i, k]] += move * values[i, k]
    return total


@jit
def _logits(rows, values, weights, constant, out):
    for i in range(rows.shape[0]):
        logit = constant
        for k in range(rows.shape[1]):
            logit += weights[rows[i, k]] * values[i, k]
        out[i] = logit


def logits(
    rows: np.ndarray, values: np.ndarray, weights: np.ndarray, constant: float
) -> np.ndarray:
    """Return float64 (n,): constant + sum over columns of weights[rows] * values.

    Args:
        rows: int32 (n, F), each in [0, len(weights)).
        values: float32 (n, F).
        weights: float64 (rows of the table,).
        constant: float.
    """
    if not COMPILED:
        return constant + (weights[rows] * values).sum(1)
    out = np.empty(len(rows))
    _logits(rows, values, weights, constant, out)
    return out


def curvature(
    rows: np.ndarray, values: np.ndarray, curves: np.ndarray, vector: np.ndarray, constant: float
) -> tuple[np.ndarray, float]:
    """Return X' D X times a vector and a constant: float64 (rows of the table,), float.

    X is the sparse design of `rows` and `values` with a column of ones, D the diagonal `curves`.
    """
    if not COMPILED:
        move = curves * logits(rows, values, vector, constant)
        return _scattered(rows, values, move, len(vector)), float(move.sum())
    out = np.zeros(len(vector))
    return out, _curvature(rows, values, curves, vector, constant, out)


def _scattered(rows, values, each, size):
    """X' times one number a row."""
    return np.bincount(rows.reshape(-1), (values * each[:, None]).reshape(-1), size)


def logistic_path(
    rows: np.ndarray,
    values: np.ndarray,
    labels: np.ndarray,
    num_rows: int,
    penalties: Sequence[float],
) -> Iterator[tuple[np.ndarray, float]]:
    """Fit for several penalties, each from where the one before ended.

    Args:
        rows: int32 (n, F), each in [0, num_rows).
        values: float32 (n, F).
        labels: (n,), 0 or 1.
        num_rows: int, of the table.
        penalties: l2 of each fit, > 0; scikit-learn's C is 1 / (l2 * n). From strong to weak is
            fastest.

    Yields:
        (weights float64 (num_rows,), constant float): a table's row that no row of the log names
        has weight 0. The constant is not penalized.

    Raises:
        ValueError: if a penalty is not > 0 and finite, or shapes do not fit.

    Example:
        >>> rows, values = np.int32([[0], [0], [1], [1]]), np.ones((4, 1), "float32")
        >>> [(weights, constant)] = logistic_path(rows, values, np.r_[1, 1, 0, 0], 3, [0.25])
        >>> weights.round(1).tolist()
        [0.7, -0.7, 0.0]
    """
    rows, values = np.ascontiguousarray(rows, "int32"), np.ascontiguousarray(values, "float32")
    labels = np.asarray(labels, "float64")
    if rows.ndim != 2 or rows.shape != values.shape or labels.shape != rows.shape[:1]:
        raise ValueError(
            "`rows` and `values` must be (n, F), `labels` (n,). Received: "
            f"{rows.shape}, {values.shape}, {labels.shape}"
        )
    share = (labels.sum() + 0.5) / (len(labels) + 1)
    weights, constant = np.zeros(num_rows), float(np.log(share / (1 - share)))
    for penalty in penalties:
        penalty = number("penalties", penalty, "(0, inf)")
        weights, constant = _newton(rows, values, labels, weights, constant, penalty)
        yield weights.copy(), constant


def _newton(rows, values, labels, weights, constant, penalty):
    def loss(w, c):
        z = logits(rows, values, w, c)
        return np.mean(np.logaddexp(0.0, z) - labels * z) + 0.5 * penalty * (w @ w), z

    squares = values.astype("float64") ** 2
    value, z = loss(weights, constant)
    first = None
    for _ in range(_MOST_STEPS):
        p = 1 / (1 + np.exp(-z))
        each, curves = (p - labels) / len(labels), p * (1 - p) / len(labels)
        slope = np.r_[_scattered(rows, values, each, len(weights)) + penalty * weights, each.sum()]
        size = float(np.linalg.norm(slope))
        first = size if first is None else first
        if size <= max(_ENOUGH * first, 1e-9):
            break
        diagonal = np.r_[_scattered(rows, squares, curves, len(weights)) + penalty, curves.sum()]

        def times(vector, curves=curves):
            moved, total = curvature(rows, values, curves, vector[:-1], vector[-1])
            return np.r_[moved + penalty * vector[:-1], total]

        step = _solved(times, -slope, diagonal, min(0.1, np.sqrt(size / first)))
        part = 1.0
        while True:
            tried = weights + part * step[:-1], constant + part * float(step[-1])
            new, z = loss(*tried)
            if new <= value + 1e-4 * part * (slope @ step) or part < 1e-6:
                break
            part /= 2
        (weights, constant), value = tried, new
    return weights, constant


def _solved(times, right, diagonal, tolerance):
    """Conjugate gradients, preconditioned by the diagonal."""
    x, rest = np.zeros_like(right), right.copy()
    scaled = rest / diagonal
    way, power = scaled.copy(), rest @ scaled
    enough = tolerance * np.linalg.norm(right)
    for _ in range(_MOST_INNER):
        moved = times(way)
        length = power / (way @ moved)
        x += length * way
        rest -= length * moved
        if np.linalg.norm(rest) <= enough:
            break
        scaled = rest / diagonal
        power, before = rest @ scaled, power
        way = scaled + power / before * way
    return x

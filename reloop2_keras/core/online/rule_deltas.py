"""What gates and Hedge have learnt, as sums that add up (ours; docs/method.md, section 4d)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from reloop2_keras.core.gate import Gate
from reloop2_keras.core.newton import (
    HALVINGS,
    by_eigenvectors,
    hessian,
    logits,
    pointwise,
)
from reloop2_keras.core.online.hedge import Hedge
from reloop2_keras.core.online.logistic_gate import (
    ROWS_OF_FORGETTING,
    SETTLED,
    LogisticGate,
)


class BlockSums(NamedTuple):
    """Sums over some rows of a logistic regression at one place; those of parts of a block add.

    Attributes:
        rows: int.
        loss: float, the summed log loss.
        gradient: float64 (D,), of minus the loss.
        hessian: float64 (D, D), of the loss.
    """

    rows: int
    loss: float
    gradient: np.ndarray
    hessian: np.ndarray


def block_sums(design: np.ndarray, labels: np.ndarray, coefficients: np.ndarray) -> BlockSums:
    """Return what some rows say at these coefficients.

    Args:
        design: float64 (rows, D).
        labels: float64 (rows,).
        coefficients: float64 (D,).
    """
    loss, error, variance = pointwise(logits(design, coefficients), labels, fast=True)
    gradient = np.einsum("nd,n->d", design, error)
    return BlockSums(len(labels), loss, gradient, hessian(design, variance))


def added(parts: list[BlockSums]) -> BlockSums:
    """Return the sums over all rows of several parts, one or more."""
    rows, loss, gradient, curvature = zip(*parts, strict=True)
    return BlockSums(sum(rows), sum(loss), np.sum(gradient, 0), np.sum(curvature, 0))


def solved_together(
    gate: LogisticGate, ask: Callable[[np.ndarray], BlockSums]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `gate.solved` makes of a block whose rows lie on several workers; to rounding.

    Each Newton step is made on the merged gradient and Hessian at the same coefficients, and is
    halved while it would raise the merged loss: one question to all workers a step, and one more
    for each try.

    Args:
        gate: `LogisticGate`; it is not changed, see `LogisticGate.store`.
        ask: returns the sum of all workers' `block_sums` at coefficients.

    Example:
        >>> gate, x = LogisticGate(start=[0.0], precision=1.0), np.ones((100, 1))
        >>> y = np.repeat([1.0, 0.0], [75, 25])
        >>> parts = [(x[n::3], y[n::3]) for n in range(3)]  # of three workers
        >>> ask = lambda at: added([block_sums(*part, at) for part in parts])
        >>> together, alone = solved_together(gate, ask), gate.solved(x, y)
        >>> bool(np.allclose(together[0], alone[0], rtol=1e-12))
        True
    """
    start = there = gate.coefficients
    here = ask(there)
    precision, curvature = faded(gate, gate.precision, here.rows), here.hessian
    for _ in range(gate.iterations):
        curvature = curvature if gate.once else here.hessian
        there, here, gain = step_together(ask, there, here, start, precision, curvature)
        if gain < SETTLED:
            return there, precision + curvature
    return there, precision + (curvature if gate.once else here.hessian)


def gate_solved_together(
    gate: Gate, ask: Callable[[np.ndarray], BlockSums]
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `Gate.solved` makes of a slot whose rows lie on several workers; to rounding.

    Args:
        gate: it is not changed, see `Gate.store`.
        ask: see `solved_together`; its rows are those of `Gate`'s design: logit(p), 1, offsets.
    """
    start, here = gate.coefficients, ask(gate.coefficients)
    after, _, _ = step_together(ask, start, here, start, gate.precision, here.hessian)
    keep = 1.0 - gate.forgetting
    return after, keep * (gate.precision + here.hessian) + gate.forgetting * np.eye(len(start))


def step_together(
    ask: Callable[[np.ndarray], BlockSums],
    there: np.ndarray,
    here: BlockSums,
    start: np.ndarray,
    prior: np.ndarray,
    curvature: np.ndarray,
) -> tuple[np.ndarray, BlockSums, float]:
    """Make the step of `newton_step` on merged sums.

    Args:
        ask: see `solved_together`.
        there: float64 (D,), where the step begins.
        here: what `ask` returned there.
        start, prior: the prior's mean (D,) and precision (D, D).
        curvature: float64 (D, D), the Hessian to take.

    Returns:
        (coefficients after the step, what `ask` returned there, the gain in nats that a quadratic
        loss would have had)
    """
    moved = there - start
    before = here.loss + 0.5 * moved @ prior @ moved
    gradient = here.gradient - prior @ moved
    step = by_eigenvectors(prior + curvature, gradient)
    gain = 0.5 * float(gradient @ step)
    for _ in range(HALVINGS):
        here, further = ask(there + step), moved + step
        if here.loss + 0.5 * further @ prior @ further <= before + 1e-6 * (1.0 + abs(before)):
            break
        step = step / 2.0
    return there + step, here, gain


def faded(gate: LogisticGate, precision: np.ndarray, rows: float) -> np.ndarray:
    """Return what is left of a precision after some rows of forgetting, float64 (D, D)."""
    left = gate.forget ** (rows / ROWS_OF_FORGETTING)
    return left * precision + (1.0 - left) * np.diag(gate._first)


def gate_growth(
    gate: LogisticGate, coefficients: np.ndarray, precision: np.ndarray, rows: float
) -> np.ndarray:
    """Return by how much a gate's precision A, and A c, grew: float64 (D D + D,).

    A gate is a Gaussian of mean c and precision A. A full Newton step from c adds the rows' sums of
    v x x' to A, and of x (v x'c + y - q) to A c: sums over rows, so that those of workers with one
    c add up to the step on all their rows.

    Args:
        gate: as it is now.
        coefficients, precision: as they were.
        rows: learnt since: the precision before has faded by them.
    """
    base = faded(gate, precision, rows)
    weighed = gate.precision @ gate.coefficients - base @ coefficients
    return np.concatenate([(gate.precision - base).reshape(-1), weighed])


def grown_gate(gate: LogisticGate, growth: np.ndarray, rows: float) -> None:
    """Add a growth, or a sum of growths, to a gate that stands where they began.

    Args:
        gate: changed in place.
        growth: float64 (D D + D,), see `gate_growth`.
        rows: learnt by all together.
    """
    size = len(gate.coefficients)
    base = faded(gate, gate.precision, rows)
    precision = base + growth[: size * size].reshape(size, size)
    weighed = base @ gate.coefficients + growth[size * size :]
    values, vectors = np.linalg.eigh((precision + precision.T) / 2.0)
    if values.min() < gate._first.min() * (1.0 - 1e-9):  # no delta of rows takes that away
        precision = (vectors * np.maximum(values, gate._first.min())) @ vectors.T
    gate.store((by_eigenvectors(precision, weighed), precision))


def hedge_growth(hedge: Hedge, then: np.ndarray) -> np.ndarray:
    """Return the losses of blocks since, and how many blocks, float64 (n + 1,).

    Args:
        hedge: as it is now.
        then: float64 (n + 1,), `losses_of` it as it was.
    """
    return losses_of(hedge) - then


def losses_of(hedge: Hedge) -> np.ndarray:
    """Return an Hedge's summed losses and its blocks, float64 (n + 1,)."""
    return np.append(hedge.summed, float(hedge.blocks))


def grown_hedge(hedge: Hedge, growth: np.ndarray) -> None:
    """Learn blocks by the sum of their losses: as many blocks, of as much loss each.

    Of one block that is what `update` does. Where a block lies on several workers, each takes the
    best shift of its own rows, so that losses are a little less than those of the whole block.

    Args:
        hedge: changed in place.
        growth: float64 (n + 1,), see `hedge_growth`, or a sum of such.
    """
    blocks, weights = round(float(growth[-1])), hedge.weights
    for _ in range(blocks):
        weights = hedge.weighed(weights, growth[:-1] / blocks)
    with hedge.lock:
        hedge.weights, hedge.blocks = weights, hedge.blocks + blocks
        hedge.summed = hedge.summed + growth[:-1]
        hedge.version += 1

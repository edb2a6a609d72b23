"""Weights of several predictions by their losses, that can change their mind (ours)."""

from collections.abc import Mapping, Sequence

import numpy as np

from reloop2_keras.core.arguments import MOST_COLUMNS, integer, number, shown
from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.compiled import COMPILED, jit
from reloop2_keras.core.newton import log_loss, sigmoid
from reloop2_keras.core.rows import check_finite, check_labels

SHIFTS = 5  # Newton steps to the best constant shift
SETTLED = 1e-4  # of a logit: a step that is smaller is the last one


class Hedge(ArrayState):
    """Fixed-share Hedge (Herbster and Warmuth 1998) over arms that predict one click each.

    The prediction is the weighted mean of the arms' probabilities. After a block of rows
    w_j *= exp(-rate * l_j), then w = (1 - share) w + share * prior, so that an arm that was bad can
    come back. l_j is arm j's log loss on the block after the best constant shift of its logits:
    a block on which everything is late together must not decide (docs/method.md, section 4b). With
    a `penalty` the shift b costs penalty b^2 / 2, as if each block had a level of its own, drawn
    around the arm's with variance 1 / penalty: an arm whose levels are far off still pays for it.

    Args:
        arms: int >= 1, n.
        rate: float > 0, for each nat of loss.
        share: float in [0, 1), the part of all weight that is dealt out anew each block.
        prior: floats > 0 (n,), how the weights begin and are dealt out; None: all alike.
        penalty: float >= 0.

    Attributes:
        weights: float64 (n,), >= 0, of sum 1.
        summed: float64 (n,), the arms' losses on all blocks of this process; not saved.
        blocks: int, how many.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> hedge = Hedge(arms=2)
        >>> good = np.array([3.0, -3.0] * 200)
        >>> hedge.update(np.stack([good, 0 * good], axis=1), good > 0)
        >>> hedge.weights.round(2).tolist()
        [0.99, 0.01]
    """

    ARRAYS = ("weights",)

    def __init__(
        self,
        arms: int,
        rate: float = 0.02,
        share: float = 0.01,
        prior: Sequence[float] | None = None,
        penalty: float = 0.0,
    ) -> None:
        super().__init__()
        self.arms = integer("arms", arms, 1, MOST_COLUMNS)
        self.rate, self.share = number("rate", rate, "(0, inf)"), number("share", share, "[0, 1)")
        self.penalty = number("penalty", penalty, "[0, inf)")
        start = np.ones(self.arms) if prior is None else np.array(prior, "float64")
        if start.shape != (self.arms,) or not ((start > 0) & (start < 1e300)).all():
            raise ValueError(f"`prior` must be {arms} finite numbers > 0. Received: {prior}")
        self._prior = start / start.sum()
        self.reset()

    def reset(self) -> None:
        """Weigh arms by the prior."""
        with self.lock:
            self.weights = self._prior.copy()
            self.summed, self.blocks = np.zeros(self.arms), 0
            self.version += 1

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`; weights must be >= 0 and not all 0."""
        weights = np.asarray(arrays.get("weights", 1.0), "float64")
        if (weights < 0).any() or weights.sum() == 0:
            raise ValueError(
                f"weights: expected numbers >= 0, not all 0, found {shown(weights.tolist())}"
            )
        with self.lock:
            super().load_state(arrays)
            total = self.weights.sum()
            if abs(total - 1.0) > 1e-9:  # else its last bits stay, and a stream goes on alike
                self.weights /= total

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Return probabilities, float64 (rows,), from the arms' logits (rows, n)."""
        logits = self._checked(logits)
        with self.lock:
            return np.einsum("nd,d->n", sigmoid(logits), self.weights)

    def update(self, logits: np.ndarray, labels: np.ndarray) -> None:
        """Learn a block of rows.

        Args:
            logits: float (rows, n), as they were served.
            labels: (rows,) of 0 and 1.

        Raises:
            ValueError: if something does not fit. Nothing is changed then.
        """
        logits = self._checked(logits)
        labels = check_labels(labels, len(logits))
        with self.lock:
            self.store(self.solved(logits, labels))

    def solved(self, logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what `update` would make of the weights, and losses; changes nothing."""
        losses = shifted_losses(logits, labels, self.penalty)
        return self.weighed(self.weights, losses), losses

    def weighed(self, weights: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """Return what weights become by a block's losses, float64 (n,)."""
        # an arm whose weight was rounded to 0 can still come back by its share
        log = np.log(np.maximum(weights, 1e-300)) - self.rate * losses
        weights = np.exp(log - log.max())
        return (1.0 - self.share) * weights / weights.sum() + self.share * self._prior

    def store(self, solution: tuple[np.ndarray, np.ndarray]) -> None:
        """Take what `solved` returned."""
        with self.lock:
            self.weights = solution[0]
            self.summed, self.blocks = self.summed + solution[1], self.blocks + 1
            self.version += 1

    def _checked(self, logits: np.ndarray) -> np.ndarray:
        logits = np.asarray(logits, "float64")
        if logits.ndim != 2 or logits.shape[1] != self.arms:
            raise ValueError(
                f"`logits` must have shape (rows, {self.arms}). Received: {logits.shape}"
            )
        return check_finite("logits", logits)

    def get_config(self) -> dict:
        """Return the arguments by name."""
        return {
            "arms": self.arms,
            "rate": self.rate,
            "share": self.share,
            "prior": self._prior.tolist(),
            "penalty": self.penalty,
        }


@jit
def _shifted_losses(columns, labels, penalty, losses):
    for arm in range(len(columns)):
        shift = 0.0
        for _ in range(SHIFTS):
            error, variance = -penalty * shift, 1.0 + penalty
            for i in range(len(labels)):
                q = 1.0 / (1.0 + np.exp(-columns[arm, i] - shift))
                error += labels[i] - q
                variance += q * (1.0 - q)
            step = min(1.0, max(-1.0, error / variance))
            shift += step
            if abs(step) < SETTLED:
                break
        losses[arm] = 0.5 * penalty * shift * shift
        for i in range(len(labels)):
            z = columns[arm, i] + shift
            losses[arm] += max(z, 0.0) + np.log1p(np.exp(-abs(z))) - labels[i] * z


def shifted_losses_numpy(
    logits: np.ndarray, labels: np.ndarray, penalty: float = 0.0
) -> np.ndarray:
    """See `shifted_losses`."""
    losses = []
    for column in logits.T:
        shift = 0.0
        for _ in range(SHIFTS):
            q = sigmoid(column + shift)
            error = (labels - q).sum() - penalty * shift
            step = np.clip(error / ((q * (1.0 - q)).sum() + 1.0 + penalty), -1.0, 1.0)
            shift += step
            if abs(step) < SETTLED:
                break
        losses.append(log_loss(column + shift, labels) + 0.5 * penalty * shift**2)
    return np.array(losses)


def shifted_losses(logits: np.ndarray, labels: np.ndarray, penalty: float = 0.0) -> np.ndarray:
    """Return each column's summed log loss after its best constant shift, (n,).

    Args:
        logits: float64 (rows, n).
        labels: float64 (rows,).
        penalty: float >= 0, see `Hedge`.

    Example:
        >>> z, labels = np.zeros((100, 1)), np.repeat([1.0, 0.0], 50)
        >>> bool(np.ptp(shifted_losses(np.hstack([z, z + 2]), labels)) < 0.01)
        True
    """
    if not COMPILED:
        return shifted_losses_numpy(logits, labels, penalty)
    losses = np.empty(logits.shape[1])
    _shifted_losses(np.ascontiguousarray(logits.T), labels, float(penalty), losses)
    return losses

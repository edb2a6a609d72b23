"""Second stage: one prediction from complete arms, so that adding an arm loses nothing (ours)."""

import numpy as np

from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.compiled import COMPILED, jit
from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online.hedge import Hedge
from reloop2_keras.core.online.logistic_gate import LogisticGate
from reloop2_keras.core.online.parts import Composite
from reloop2_keras.core.online.table_arms import LARGEST_LOGIT
from reloop2_keras.core.rows import check_finite

STRENGTHS = {"gate, weak prior": 3.0, "gate, strong prior": 100.0}


class SecondStage(Composite):
    """Two gates over the arms' logits, and a `Hedge` over arms and gates together.

    The gates mix arms that know different things; the Hedge follows whatever was best of late, a
    single arm or a gate (docs/method.md, section 4b).

    Args:
        arms: int >= 1, M.
        rate, share: see `Hedge`.

    Attributes:
        gates: list of `LogisticGate` over M logits and a constant; they start as the arms' mean.
        hedge: `Hedge` over M + 2 predictions.

    Example:
        >>> stage = SecondStage(arms=2)
        >>> probabilities, logits = stage(np.array([[1.0, -1.0]]))
        >>> logits.round(3).tolist()
        [[1.0, -1.0, 0.0, 0.0]]
        >>> float(probabilities[0].round(3))
        0.5
    """

    def __init__(self, arms: int, rate: float = 0.02, share: float = 0.01) -> None:
        super().__init__()
        self.hedge = Hedge(arms + len(STRENGTHS), rate, share)
        self.arms = int(arms)
        start = [1.0 / arms] * self.arms + [0.0]
        self.gates = [LogisticGate(start, strength) for strength in STRENGTHS.values()]

    def __call__(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (probabilities (rows,), logits of arms and gates (rows, M + 2)), float64."""
        logits = check_finite("logits", np.asarray(logits, "float64"))
        with self.lock:
            gates = np.stack([gate.coefficients for gate in self.gates])
            return mixed(logits, gates, self.hedge.weights)

    def _design(self, logits: np.ndarray) -> np.ndarray:
        """The gates' inputs: the arms' logits and 1."""
        return np.concatenate([logits, np.ones((len(logits), 1))], axis=1)

    def solved(self, logits: np.ndarray, labels: np.ndarray) -> list:
        """Return what a block would make of gates and hedge; changes nothing.

        Args:
            logits: float64 (rows, M + 2), as they were served.
            labels: float64 (rows,).
        """
        design = self._design(logits[:, : self.arms])
        new = [gate.solved(design, labels) for gate in self.gates]
        return [*new, self.hedge.solved(logits, labels)]

    def store(self, solutions: list) -> None:
        """Take what `solved` returned."""
        with self.lock:
            for gate, solution in zip(self.gates, solutions[:-1], strict=True):
                gate.store(solution)
            self.hedge.store(solutions[-1])
            self.version += 1

    def retract(self, logits: np.ndarray, labels: np.ndarray) -> None:
        """Take rows of blocks back from the gates, to first order; the hedge forgets by itself."""
        with self.lock:
            for gate in self.gates:
                gate.retract(self._design(logits[:, : self.arms]), labels)
            self.version += 1

    def carried(self) -> np.ndarray:
        """Return by how much each arm's logit moves the prediction's, about; float64 (M,).

        The hedge's weight of the arm, and its coefficient in each gate times the gate's weight.
        """
        with self.lock:
            weights = self.hedge.weights
            out = weights[: self.arms].copy()
            for gate, weight in zip(self.gates, weights[self.arms :], strict=True):
                out += weight * gate.coefficients[: self.arms]
            return out

    def _parts(self) -> dict[str, ArrayState]:
        return {"hedge": self.hedge, **{f"gate_{n}": g for n, g in enumerate(self.gates)}}


@jit
def _mixed(logits, gates, weights, bound, probabilities, everything):
    arms = logits.shape[1]
    for i in range(len(logits)):
        for a in range(arms):
            everything[i, a] = logits[i, a]
        for g in range(len(gates)):
            z = gates[g, arms]
            for a in range(arms):
                z += logits[i, a] * gates[g, a]
            everything[i, arms + g] = min(bound, max(-bound, z))
        p = 0.0
        for a in range(len(weights)):
            p += weights[a] / (1.0 + np.exp(-everything[i, a]))
        probabilities[i] = p


def mixed_numpy(
    logits: np.ndarray, gates: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """See `mixed`."""
    z = np.einsum("na,ga->ng", logits, gates[:, :-1]) + gates[:, -1]
    everything = np.concatenate([logits, np.clip(z, -LARGEST_LOGIT, LARGEST_LOGIT)], axis=1)
    return np.einsum("na,a->n", sigmoid(everything), weights), everything


def mixed(
    logits: np.ndarray, gates: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mix arms by gates, and arms and gates by weights; compiled, as a service asks row by row.

    Args:
        logits: float64 (rows, M), the arms'.
        gates: float64 (G, M + 1), coefficients, the constant last.
        weights: float64 (M + G,), of sum 1.

    Returns:
        (probabilities (rows,), logits of arms and gates (rows, M + G)), float64

    Example:
        >>> mixed(np.array([[2.0, 0.0]]), np.array([[0.5, 0.5, 1.0]]), np.array([0.0, 1.0, 0.0]))
        (array([0.5]), array([[2., 0., 2.]]))
    """
    if not COMPILED:
        return mixed_numpy(logits, gates, weights)
    probabilities = np.empty(len(logits))
    everything = np.empty((len(logits), len(weights)))
    _mixed(logits, gates, weights, LARGEST_LOGIT, probabilities, everything)
    return probabilities, everything

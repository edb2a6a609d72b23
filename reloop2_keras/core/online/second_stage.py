"""Second stage: one prediction from complete arms, so that adding an arm loses nothing (ours)."""

from collections.abc import Mapping, Sequence

import numpy as np

from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.compiled import COMPILED, jit
from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online.forms import GATES, PENALTY, TRUST, GateOver
from reloop2_keras.core.online.hedge import Hedge
from reloop2_keras.core.online.logistic_gate import LogisticGate
from reloop2_keras.core.online.parts import Composite
from reloop2_keras.core.online.table_arms import LARGEST_LOGIT
from reloop2_keras.core.rows import check_finite

RATE, SHARE = 0.02, 0.01


class SecondStage(Composite):
    """Gates over the arms' logits, and a `Hedge` over arms and gates together.

    The gates mix arms that know different things; the Hedge follows whatever was best of late, a
    single arm or a gate (docs/method.md, section 4b). Some gates are over the arms that stand alone
    and no other: what is on a base may be far off for a while, and drags every gate along that
    takes it in. Quick gates forget, so that they follow arms that change places.

    Args:
        alone: bools (M,), for each arm whether it stands alone.
        gates: list of `GateOver`; None: `GATES`, without those over all where all stand alone.
        trust: dict, how the Hedge begins, see `TRUST`; None: all alike.
        penalty: see `Hedge`.

    Attributes:
        names: of the gates.
        gates: list of `LogisticGate` over some of M logits and a constant; they start as the mean.
        hedge: `Hedge` over M arms and the gates.

    Example:
        >>> stage = SecondStage([True, True])
        >>> probabilities, logits = stage(np.array([[1.0, -1.0]]))
        >>> logits.round(3).tolist()
        [[1.0, -1.0, 0.0, 0.0, 0.0]]
        >>> float(probabilities[0].round(3))
        0.5
    """

    def __init__(
        self,
        alone: Sequence[bool],
        gates: Sequence[GateOver] | None = None,
        trust: Mapping[str, float] | None = TRUST,
        penalty: float = PENALTY,
    ) -> None:
        super().__init__()
        apart = np.array(alone, bool)
        self.arms = len(apart)
        if gates is None:
            gates = [gate for gate in GATES if gate.alone or not apart.all()]
        self.names = [gate.name for gate in gates]
        self._columns = [
            np.flatnonzero(apart) if gate.alone else np.arange(self.arms) for gate in gates
        ]
        self.gates = [
            LogisticGate(
                [1.0 / len(columns)] * len(columns) + [0.0],
                gate.strength,
                forget=gate.forget,
                once=gate.once,
            )
            for gate, columns in zip(gates, self._columns, strict=True)
        ]
        kinds = ["alone" if a else "bases" for a in apart]
        kinds += ["gates alone" if gate.alone else "gates" for gate in gates]
        prior = [1.0 if trust is None else trust[kind] / kinds.count(kind) for kind in kinds]
        self.hedge = Hedge(len(kinds), RATE, SHARE, prior, penalty)
        self._refresh()

    def _refresh(self) -> None:
        """Lay the gates' coefficients out, (G, M + 1), 0 for arms that a gate does not take."""
        self._mixing = np.zeros((len(self.gates), self.arms + 1))
        for row, gate, columns in zip(self._mixing, self.gates, self._columns, strict=True):
            row[columns], row[-1] = gate.coefficients[:-1], gate.coefficients[-1]

    def __call__(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (probabilities (rows,), logits of arms and gates (rows, M + G)), float64."""
        logits = check_finite("logits", np.asarray(logits, "float64"))
        with self.lock:
            return mixed(logits, self._mixing, self.hedge.weights)

    def _designs(self, logits: np.ndarray) -> list[np.ndarray]:
        """Each gate's inputs: logits of the arms that it takes, and 1."""
        ones = np.ones((len(logits), 1))
        return [np.concatenate([logits[:, at], ones], axis=1) for at in self._columns]

    def solved(self, logits: np.ndarray, labels: np.ndarray) -> list:
        """Return what a block would make of gates and hedge; changes nothing.

        Args:
            logits: float64 (rows, M + G), as they were served.
            labels: float64 (rows,).
        """
        designs = zip(self.gates, self._designs(logits), strict=True)
        new = [gate.solved(design, labels) for gate, design in designs]
        return [*new, self.hedge.solved(logits, labels)]

    def store(self, solutions: list) -> None:
        """Take what `solved` returned."""
        with self.lock:
            for gate, solution in zip(self.gates, solutions[:-1], strict=True):
                gate.store(solution)
            self.hedge.store(solutions[-1])
            self._refresh()
            self.version += 1

    def retract(self, logits: np.ndarray, labels: np.ndarray) -> None:
        """Take rows of blocks back from the gates, to first order; the hedge forgets by itself."""
        with self.lock:
            for gate, design in zip(self.gates, self._designs(logits), strict=True):
                gate.retract(design, labels)
            self._refresh()
            self.version += 1

    def carried(self) -> np.ndarray:
        """Return by how much each arm's logit moves the prediction's, about; float64 (M,).

        The hedge's weight of the arm, and its coefficient in each gate times the gate's weight.
        """
        with self.lock:
            weights = self.hedge.weights
            return weights[: self.arms] + weights[self.arms :] @ self._mixing[:, :-1]

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

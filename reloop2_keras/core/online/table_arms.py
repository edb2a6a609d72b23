"""First stage: complete arms, each belief tables with a gate of its own (ours)."""

from collections.abc import Sequence

import numpy as np

from reloop2_keras.core.arguments import columns
from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.compiled import over
from reloop2_keras.core.online.beliefs import BeliefTables
from reloop2_keras.core.online.forms import Arm
from reloop2_keras.core.online.logistic_gate import LogisticGate
from reloop2_keras.core.online.parts import Composite
from reloop2_keras.core.online.renewing import renew

LEAST_WEIGHT = 0.2  # in learning: a table whose weight is near 0 would never learn
LARGEST_LOGIT = 40.0
LEAST_BITS = 3  # of the constant's table


def arm_design(means: np.ndarray, base: np.ndarray | None) -> np.ndarray:
    """Return the gate's inputs: 1, a mean a table, the base's logit; float64 (rows, D)."""
    rows, tables = means.shape
    design = np.ones((rows, 1 + tables + (base is not None)))
    design[:, 1 : 1 + tables] = means
    if base is not None:
        design[:, -1] = base
    return design


class TableArms(Composite):
    """Arms over one set of tables: logit = c + sum_k g_k m_k + a * base, weights learnt online.

    All arms' beliefs lie side by side in one `BeliefTables`; arms that stand alone come first,
    since only they learn in the training period.

    An arm's gate weighs what its tables say, and its tables learn with these weights: on logs that
    last this suits each table. Where effects are redrawn all at once, every gate sinks, and tables
    of small weight learn slowly ever after. So some arms are `fixed`: their tables learn with their
    first weights, and the gate reads only. They have one more table, of one value, the constant:
    the level of all rows, learnt and forgotten within a block as any other value.

    Args:
        width: int, columns of `feature_hashes`.
        arms: list of `Arm`, those without a base first.
        crosses: list of lists of columns, each one more table.
        bits: int or list of ints, see `BeliefTables`: the fields', then the crosses'.
        prior: float > 0, see `BeliefTables`.
        constant: bool, whether there is the constant's table, and gates make a Hessian once.

    Attributes:
        bits: list of ints, of the fields' and the crosses' tables.
        plain: list of ints, arms that are read once more by their first weights.
        tables: `BeliefTables`.
        gates: list of `LogisticGate`, one an arm.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        width: int,
        arms: Sequence[Arm],
        crosses: Sequence[Sequence[int]] = (),
        bits: int | Sequence[int] = 16,
        prior: float = 1.0,
        constant: bool = True,
    ) -> None:
        super().__init__()
        self.arms = list(arms)
        alone = [arm.base is None for arm in self.arms]
        if not alone or alone != sorted(alone, reverse=True):
            raise ValueError(f"`arms` must be some, those without a base first. Received: {arms}")
        self.crosses = [columns("crosses", cross) for cross in crosses]
        tables = [*([column] for column in range(width)), *self.crosses]
        bits = list(bits) if isinstance(bits, Sequence) else [bits] * len(tables)
        self.bits, one = bits, [LEAST_BITS] * constant
        noises = [arm.noise for arm in self.arms]
        given = len(tables)
        self.tables = BeliefTables(width, tables + [[]] * constant, bits + one, noises, prior)
        self.num_alone = sum(alone)
        # the first arm on each base: where none is among the learners, nothing is added
        on = [arm.base for arm in self.arms]
        bases = 1 + max(-1 if base is None else base for base in on)
        self._on_base = [on.index(base) if base in on else len(on) for base in range(bases)]
        self.plain = [a for a, arm in enumerate(self.arms) if arm.plain]
        self.used, self.first = [], []
        for arm in self.arms:
            count = given if arm.crosses else width
            last = [given] * (constant and arm.fixed)
            self.used.append(np.array([*range(count), *last]))
            self.first.append(np.array([min(1.0, 3.0 / count)] * count + [1.0] * len(last)))
        self.gates = [
            LogisticGate(
                [0.0, *first, *[1.0] * on_base],
                [1.0] * (1 + len(first)) + [10.0] * on_base,
                once=constant,
            )
            for first, on_base in zip(self.first, [int(not a) for a in alone], strict=True)
        ]
        self._refresh()

    def _refresh(self) -> None:
        """Lay weights and offsets, (1 + bases, A), out for reading and learning."""
        shape = (len(self.tables.tables), len(self.arms))
        self._weights, self._learning = np.zeros(shape), np.zeros(shape)
        bases = 1 + max((-1 if arm.base is None else arm.base) for arm in self.arms)
        self._offsets = np.zeros((1 + bases, len(self.arms)))
        for a, (gate, used) in enumerate(zip(self.gates, self.used, strict=True)):
            g, base = gate.coefficients[1 : 1 + len(used)], self.arms[a].base
            self._offsets[0, a] = gate.coefficients[0]
            if base is not None:
                self._offsets[1 + base, a] = gate.coefficients[-1]
            self._weights[used, a] = g
            least = np.where(g < 0, -1, 1) * np.maximum(np.abs(g), LEAST_WEIGHT)
            self._learning[used, a] = self.first[a] if self.arms[a].fixed else least
        self._rest = np.where([arm.fixed for arm in self.arms], 0.0, self._offsets)

    def renew(self, number: int, columns: Sequence[int]) -> None:
        """Put another cross in the place of one: an empty table, and weights as at the start."""
        table = self.tables.width + number
        with self.lock:
            self.crosses[number] = [int(column) for column in columns]
            renew(self.tables, table, columns)
            for gate, used in zip(self.gates, self.used, strict=True):
                for place in np.flatnonzero(used == table):
                    gate.renew(1 + int(place))
            self._refresh()
            self.version += 1

    def offsets(self, base_logits: np.ndarray, learners: int, learning: bool = False) -> np.ndarray:
        """Return what tables are added to, float64 (rows, learners): c + a * base."""
        rest = self._rest if learning else self._offsets
        out = np.empty((len(base_logits), learners))
        out[...] = rest[0, :learners]
        for base in range(len(rest) - 1):
            if self._on_base[base] < learners:
                out += base_logits[:, base, None] * rest[1 + base, :learners]
        return out

    def read(
        self,
        words: np.ndarray,
        base_logits: np.ndarray,
        learners: int | None = None,
        variances: bool = False,
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Return (logits (rows, L + P), variances (rows, L) or None, means (rows, K, L)).

        P logits are the second readings of `plain` arms, where all arms are read.

        Args:
            words: what `tables.words` or `tables.checked_words` returned.
            base_logits: float64 (rows, bases), finite.
            learners: int, the first L arms alone; None: all.
            variances: bool, see `read_beliefs`.
        """
        learners = len(self.arms) if learners is None else learners
        with self.lock:
            offsets = self.offsets(base_logits, learners)
            weights = np.ascontiguousarray(self._weights[:, :learners])
            logits, spread, means = self.tables.weighed(
                words, weights, offsets, variances, trusted=True
            )
            if learners == len(self.arms) and self.plain:
                whole = np.empty((len(logits), learners + len(self.plain)))
                whole[:, :learners] = logits
                for place, a in enumerate(self.plain, learners):
                    fixed = self._learning[:, a]
                    whole[:, place] = np.einsum("rk,k->r", means[:, :, a], fixed)
                logits = whole
        return np.minimum(np.maximum(logits, -LARGEST_LOGIT), LARGEST_LOGIT), spread, means

    def learn(
        self,
        words: np.ndarray,
        base_logits: np.ndarray,
        labels: np.ndarray,
        learners: int | None = None,
    ) -> None:
        """Teach the tables rows in their order, each from the state that the last one left.

        Args:
            words, base_logits, learners: see `read`.
            labels: float64 (rows,), what `check_labels` returned.
        """
        learners = len(self.arms) if learners is None else learners
        with self.lock:
            offsets = self.offsets(base_logits, learners, learning=True)
            weights = np.ascontiguousarray(self._learning[:, :learners])
            self.tables.learn(words, labels, weights, offsets, trusted=True)
            self.version += 1

    def learn_with_receipt(
        self, words: np.ndarray, base_logits: np.ndarray, labels: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Teach all arms' tables, and return what `tables.retract` needs."""
        with self.lock:
            offsets = self.offsets(base_logits, len(self.arms), learning=True)
            added = self.tables.learn_with_receipt(words, labels, self._learning, offsets)
            self.version += 1
        return added

    def retract(self, means: np.ndarray, base_logits: np.ndarray, labels: np.ndarray) -> None:
        """Take rows of blocks back from the gates, to first order; see `solved`."""
        with self.lock:
            for a, gate in enumerate(self.gates):
                base = None if self.arms[a].base is None else base_logits[:, self.arms[a].base]
                gate.retract(arm_design(means[:, self.used[a], a], base), labels)
            self._refresh()
            self.version += 1

    def solved(
        self, means: np.ndarray, base_logits: np.ndarray, labels: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return what a block would make of the first gates, as many as means has; see `store`.

        Args:
            means: float (rows, K, L), as they were READ when the rows were predicted.
            base_logits: float64 (rows, bases).
            labels: float64 (rows,).
        """
        count = means.shape[2]
        out: list = [None] * count

        def solve(start: int, stop: int) -> None:
            for a in range(start, stop):
                base = None if self.arms[a].base is None else base_logits[:, self.arms[a].base]
                design = arm_design(means[:, self.used[a], a], base)
                out[a] = self.gates[a].solved(design, labels)

        over(count, means.size, solve)
        return out

    def store(self, solutions: list[tuple[np.ndarray, np.ndarray]]) -> None:
        """Take what `solved` returned."""
        with self.lock:
            for gate, solution in zip(self.gates, solutions, strict=False):
                gate.store(solution)
            self._refresh()
            self.version += 1

    def carried(self, parts: np.ndarray) -> np.ndarray:
        """Return by how much each table's reading moves the prediction's logit, float64 (K,).

        Args:
            parts: float64 (A + P,), by how much each arm's logit does, and each second reading's.
        """
        tables = np.zeros(len(self.tables.tables))
        for gate, used, part in zip(self.gates, self.used, parts, strict=False):
            tables[used] += part * gate.coefficients[1 : 1 + len(used)]
        for a, part in zip(self.plain, parts[len(self.arms) :], strict=True):
            tables[self.used[a]] += part * self.first[a]
        return tables

    def _parts(self) -> dict[str, ArrayState]:
        return {"tables": self.tables, **{f"gate_{a}": g for a, g in enumerate(self.gates)}}

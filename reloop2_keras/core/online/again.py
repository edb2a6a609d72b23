"""Choosing crosses again in the stream, by what the last rows left over (ours).

Interactions change: a pair of fields that said nothing in the training period may come to matter.
Every so many rows all pairs are scored by the residuals of what was served lately. The best of
them must exceed noise, as in `choose_crosses`, and each half of the rows must be predicted better
with what the other half teaches about the pair. The second test is what days want on which
everything is late together: each is evidence for another pair, and none holds on the next day.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from reloop2_keras.core.array_state import ArrayState
from reloop2_keras.core.compiled import COMPILED, jit
from reloop2_keras.core.correction import Served
from reloop2_keras.core.online.beliefs import BeliefTables
from reloop2_keras.core.online.crosses import DEVIATIONS, Pairs
from reloop2_keras.core.online.table_arms import TableArms

RECENT_ROWS = 8192
BUCKETS = 11  # bits of a hash, in the first look at all pairs
EVERY_SECOND = 2  # row is enough for the first look
LOOKED_AT = 3  # of the first look's best, in the second one
FIELDS_FOR_FREE = 14  # with more, pairs are scored less often: their number grows with the square
HALF_DEVIATIONS = 2.0
MIX = np.array([2654435761, 2246822519, 3266489917], "uint64")  # xxHash32's primes 1 to 3


class Recent(ArrayState):
    """The last rows that were learnt, and which crosses there are now.

    Args:
        width: int, columns of hashes.
        crosses: list of lists of columns.
        rows: int, how many are kept.

    Attributes:
        hashes: int32 (rows, width), a ring.
        labels, probabilities: float64 (rows,), what was served.
        generation: int, how often a cross gave way.
        renewed: int64 (crosses,), the generation that each cross came with.
        seen, since: ints, rows put in all, and since the last look.
    """

    CONSTANTS = ("columns",)
    ARRAYS = ("hashes", "labels", "probabilities", "renewed")
    COUNTERS = ("seen", "since", "generation")

    def __init__(
        self, width: int, crosses: Sequence[Sequence[int]], rows: int = RECENT_ROWS
    ) -> None:
        super().__init__()
        self.rows, self.seen, self.since, self.generation = int(rows), 0, 0, 0
        self.hashes = np.zeros((self.rows, width), "int32")
        self.labels, self.probabilities = np.zeros(self.rows), np.zeros(self.rows)
        self.renewed = np.zeros(len(crosses), "int64")
        self.every = int(self.rows * max(1.0, width / FIELDS_FOR_FREE))
        self.note(crosses)

    def note(self, crosses: Sequence[Sequence[int]], new: int | None = None) -> None:
        """Take down which crosses there are, and which one is new."""
        if new is not None:
            self.generation += 1
            self.renewed[new] = self.generation
        longest = max(map(len, crosses), default=0)
        self.columns = np.array([[*c, *[-1] * (longest - len(c))] for c in crosses], "int64")

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """See `ArrayState.load_state`; the crosses must be this object's."""
        theirs = np.asarray(arrays.get("columns", self.columns))
        if not np.array_equal(theirs, self.columns):
            raise ValueError(
                f"columns: expected the crosses {self.columns.tolist()}, found {theirs.tolist()}: "
                "make the object from the configuration that was saved with the state"
            )
        super().load_state(arrays)

    def marks(self, hashes: np.ndarray) -> dict[str, np.ndarray]:
        """Return what of rows that are predicted now must be kept until they are learnt."""
        kept = np.array(hashes, "int32")
        return {"hashes": kept, "generation": np.full(len(kept), self.generation)}

    def put(self, hashes: np.ndarray, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Keep rows, the last `rows` of all."""
        with self.lock:
            last = slice(max(0, len(labels) - self.rows), None)
            first = self.seen + max(0, len(labels) - self.rows)
            places = np.arange(first, self.seen + len(labels)) % self.rows
            self.hashes[places], self.labels[places] = hashes[last], labels[last]
            self.probabilities[places] = probabilities[last]
            self.seen += len(labels)
            self.since += len(labels)
            self.version += 1

    def due(self) -> bool:
        """Return whether it is time to look at all pairs; if so, it counts from here."""
        with self.lock:
            ready = self.since >= self.every and self.seen >= self.rows
            if ready:
                self.since = 0
            return ready

    def in_order(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return hashes, labels and probabilities, the oldest row first; the ring is full."""
        order = (np.arange(self.rows) + self.seen) % self.rows
        return self.hashes[order], self.labels[order], self.probabilities[order]


@jit
def _scan(left, right, pairs, error, variance, shift, last, least, gains):
    size = 1 << (32 - shift)
    errors, variances = np.empty(size), np.empty(size)
    for n in range(len(pairs)):
        a, b = pairs[n, 0], pairs[n, 1]
        errors[:] = 0.0
        variances[:] = 0.0
        for r in range(left.shape[1]):
            word = np.uint64(left[a, r] ^ right[b, r])
            place = np.int64(((word * last) & np.uint64(0xFFFFFFFF)) >> np.uint64(shift))
            errors[place] += error[r]
            variances[place] += variance[r]
        total = 0.0
        for i in range(size):
            total += (errors[i] * errors[i] - variances[i]) / (variances[i] + least)
        gains[n] = 0.5 * total


def scan_numpy(
    hashes: np.ndarray, pairs: np.ndarray, error: np.ndarray, variance: np.ndarray, prior: float
) -> np.ndarray:
    """See `scan`."""
    left, right = _mixed(hashes)
    gains = np.empty(len(pairs))
    for n, (a, b) in enumerate(pairs):
        words = (left[a] ^ right[b]).astype("uint64") * MIX[2] & np.uint64(0xFFFFFFFF)
        place = (words >> np.uint64(32 - BUCKETS)).astype("int64")
        errors = np.bincount(place, error, 1 << BUCKETS)
        variances = np.bincount(place, variance, 1 << BUCKETS)
        gains[n] = 0.5 * ((errors**2 - variances) / (variances + 1.0 / prior)).sum()
    return gains


def _mixed(hashes):
    words = hashes.T.astype("uint32").astype("uint64")
    cut = [(words * factor & np.uint64(0xFFFFFFFF)).astype("uint32") for factor in MIX[:2]]
    return [np.ascontiguousarray(words) for words in cut]


def scan(
    hashes: np.ndarray, pairs: np.ndarray, error: np.ndarray, variance: np.ndarray, prior: float
) -> np.ndarray:
    """Score pairs of columns as `choose_crosses` does, but values share 2^11 buckets: ns a row.

    Where a pair says nothing the score is 0 on average whatever shares a bucket, so that this first
    look errs by weakening what there is.

    Args:
        hashes: int32 (rows, width).
        pairs: int64 (pairs, 2).
        error, variance: float64 (rows,), y - p and p (1 - p).
        prior: float.

    Returns:
        float64 (pairs,), nats.
    """
    if not COMPILED:
        return scan_numpy(hashes, pairs, error, variance, prior)
    gains = np.empty(len(pairs))
    _scan(*_mixed(hashes), pairs, error, variance, 32 - BUCKETS, MIX[2], 1.0 / prior, gains)
    return gains


def halves(pairs: Pairs, cross: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return what each half of the rows gains by a step that the other half makes.

    Returns:
        list of (nats, their standard deviation).
    """
    groups, count = pairs.groups(cross)
    middle = len(groups) // 2
    parts = (slice(None, middle), slice(middle, None))
    z, y = np.log(pairs.p) - np.log1p(-pairs.p), pairs.labels
    out = []
    for teach, test in (parts, parts[::-1]):
        p = pairs.p[teach]
        error = np.bincount(groups[teach], y[teach] - p, count)
        step = error / (np.bincount(groups[teach], p * (1.0 - p), count) + 1.0 / pairs.prior)
        before, after = z[test], z[test] + step[groups[test]]
        nats = np.logaddexp(0.0, before) - np.logaddexp(0.0, after) + y[test] * (after - before)
        out.append((float(nats.sum()), float(nats.std() * np.sqrt(len(nats)))))
    return out


def better_pair(
    hashes: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    taken: Sequence[Sequence[int]],
    prior: float = 1.0,
) -> tuple[int, int] | None:
    """Return the pair of columns that recent rows call for, or None.

    Args:
        hashes: int32 (rows, width), the oldest row first.
        labels: float64 (rows,).
        probabilities: float64 (rows,) in (0, 1), what was served.
        taken: crosses that are there already.
        prior: float, see `BeliefTables`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> hashes = rng.integers(0, 4, (4000, 3)).astype("int32")
        >>> labels = (hashes[:, 0] + hashes[:, 2]) % 2.0
        >>> better_pair(hashes, labels, np.full(4000, 0.5), taken=[[0, 1]])
        (0, 2)
    """
    there = {frozenset(cross) for cross in taken}
    every = itertools.combinations(range(hashes.shape[1]), 2)
    pairs = np.array([pair for pair in every if frozenset(pair) not in there], "int64")
    if not len(pairs):
        return None
    p = np.clip(probabilities, 1e-6, 1.0 - 1e-6)
    some = slice(None, None, EVERY_SECOND)
    first = scan(hashes[some], pairs, (labels - p)[some], (p * (1.0 - p))[some], prior)
    exact = Pairs(hashes, labels, p, prior)
    for number in np.argsort(-first, kind="stable")[:LOOKED_AT]:
        pair = (int(pairs[number, 0]), int(pairs[number, 1]))
        if exact.gain(pair) <= DEVIATIONS * exact.deviation(pair):
            continue
        if all(nats > HALF_DEVIATIONS * spread for nats, spread in halves(exact, pair)):
            return pair
    return None


def choose_again(recent: Recent, arms: TableArms, parts: np.ndarray) -> None:
    """Let the pair that recent rows call for, if there is one, take the place of a cross.

    Args:
        recent: `Recent`, whose ring is full.
        arms: `TableArms`, changed: of the crosses of two columns that which carries least gives way
            to an empty table with the weights of the start. Without one nothing is changed.
        parts: see `TableArms.carried`.
    """
    pairs = [number for number, cross in enumerate(arms.crosses) if len(cross) == 2]
    if not pairs:
        return
    found = better_pair(*recent.in_order(), arms.crosses, arms.tables.prior)
    if found is not None:
        carried = np.abs(arms.carried(parts)[arms.tables.width :])
        least = min(pairs, key=lambda number: float(carried[number]))
        arms.renew(least, found)
        recent.note(arms.crosses, least)


def catch_up(recent: Recent, tables: BeliefTables, served: Served) -> None:
    """Let rows that were predicted before a cross gave way be learnt by the tables of now.

    Args:
        recent: `Recent`.
        tables: `BeliefTables`.
        served: what `Online.predict` returned; what is not complete is left as it is.
    """
    if not {"hashes", "generation", "means", "words"} <= set(served):
        return
    gone = recent.renewed > np.asarray(served["generation"])[:, None]  # (rows, crosses)
    if gone.any():
        served["words"] = tables.words(served["hashes"])
        # the new table had said nothing of them
        served["means"][:, tables.width : tables.width + gone.shape[1]][gone] = 0.0
        served["generation"] = np.full(len(gone), recent.generation)

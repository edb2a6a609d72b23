"""Crosses of fields, chosen by what single fields left unexplained (ours)."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from reloop2_keras.core.arguments import columns, integer
from reloop2_keras.core.compiled import COMPILED, jit
from reloop2_keras.core.kernels import hash_words
from reloop2_keras.core.rows import check_labels, check_probabilities

DEVIATIONS = 4.0
MOST_KEPT = 1000  # of what was tried, in files: 400 columns have 79,800 pairs


@dataclasses.dataclass(frozen=True)
class Crosses:
    """Which crosses were chosen, and what was tried.

    Attributes:
        chosen: tuples of columns, the best first; what was fixed comes before.
        gains: nats that a step from 0 would gain on the rows beyond what noise would give, one for
            each chosen.
        tried: tuples (columns, gain) of all candidates, the best first.
        rows: int, how many rows the scores were taken on.
    """

    chosen: tuple[tuple[int, ...], ...]
    gains: tuple[float, ...]
    tried: tuple[tuple[tuple[int, ...], float], ...]
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers for a file; of what was tried the best `MOST_KEPT`.

        Example:
            >>> Crosses(((0, 1),), (7.5,), (((0, 1), 7.5),), 100).to_dict()["chosen"]
            [[0, 1]]
        """
        return {
            "chosen": [list(cross) for cross in self.chosen],
            "gains": list(self.gains),
            "tried": [[list(cross), gain] for cross, gain in self.tried[:MOST_KEPT]],
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Self:
        """Return what `to_dict` wrote down.

        Raises:
            ValueError: if it is something else.

        Example:
            >>> found = Crosses(((0, 1),), (7.5,), (((0, 1), 7.5),), 100)
            >>> Crosses.from_dict(found.to_dict()) == found
            True
        """
        try:
            return cls(
                tuple(tuple(map(int, cross)) for cross in found["chosen"]),
                tuple(map(float, found["gains"])),
                tuple((tuple(map(int, cross)), float(gain)) for cross, gain in found["tried"]),
                int(found["rows"]),
            )
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"`found` must be what `Crosses.to_dict` returned. Received: {str(found)[:100]}"
            ) from None

    def lines(self, names: Sequence[str], most: int = 8) -> list[str]:
        """Say what was chosen and what came next, best first, a line each.

        Args:
            names: of the columns.
            most: int, lines of crosses that were tried and left out.

        Example:
            >>> tried = (((0, 1), 7.5), ((0, 2), 1.25))
            >>> for line in Crosses(((0, 1),), (7.5,), tried, 100).lines(["user", "item", "hour"]):
            ...     print(line)
            user x item                         7.5  chosen
            user x hour                         1.2
        """
        taken = dict(zip(self.chosen, self.gains, strict=True))
        rest = [(cross, gain) for cross, gain in self.tried if cross not in taken][:most]
        words = [(cross, gain, "  chosen") for cross, gain in taken.items()]
        words += [(cross, gain, "") for cross, gain in rest]
        return [
            f"{' x '.join(names[column] for column in cross):<28}{gain:>11.1f}{word}"
            for cross, gain, word in words
        ]


def choose_crosses(
    hashes: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    max_crosses: int = 4,
    fixed: Sequence[Sequence[int]] = (),
    forbidden: Sequence[Sequence[int]] = (),
    greedy: bool = False,
    prior: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> Crosses:
    """Choose pairs of columns whose tables would explain most of what is left over.

    A candidate's score is the log likelihood that one Newton step of all its beliefs from 0 would
    gain, half the sum over its values of S^2 / (V + 1 / prior) with S the sum of residuals and V of
    p (1 - p), less what noise would give, half the sum of V / (V + 1 / prior): the two are equal
    in expectation where the pair says nothing. Only gains beyond 4 standard deviations of what
    noise would give are chosen: of 741 pairs of 39 columns some are lucky. Four and not more, nor
    greedily: on streams made of the training and validation periods of four logs 2 to 4 were best,
    8 and 16 lost up to .003 AUC, greedy choice up to .002; leaving out pairs that say what one of
    their columns says (an item and its year) gained nothing.

    Args:
        hashes: int32 (rows, width) of the training period, or of some of its rows.
        labels: (rows,) of 0 and 1.
        probabilities: float (rows,), predicted before the row was learnt, by tables of the single
            columns.
        max_crosses: int >= 0, how many at most; `fixed` ones count.
        fixed: crosses (of two or more columns) that are taken whatever they score.
        forbidden: pairs that are not tried.
        greedy: bool; True scores all candidates again after each choice, on what it left over.
        prior: float > 0, see `BeliefTables`.
        progress: called with (pairs done, pairs in all).

    Returns:
        `Crosses`.

    Raises:
        ValueError: if something does not fit.

    Memory: about 60 bytes a row, whatever the number of pairs.

    Example:
        >>> a, b = np.random.default_rng(0).integers(0, 2, (2, 1000)).astype("int32")
        >>> found = choose_crosses(np.stack([a, b], axis=1), a ^ b, np.full(1000, 0.5))
        >>> found.chosen
        ((0, 1),)
    """
    hashes = np.ascontiguousarray(hashes, "int32")
    rows, width = hashes.shape
    labels = check_labels(labels, rows)
    p = check_probabilities(probabilities, rows)
    max_crosses = integer("max_crosses", max_crosses, 0)
    fixed = [_cross(cross, width, "fixed") for cross in fixed]
    barred = {frozenset(_cross(cross, width, "forbidden")) for cross in forbidden}
    barred |= {frozenset(cross) for cross in fixed}
    pairs = [pair for pair in itertools.combinations(range(width), 2) if set(pair) not in barred]
    rounds = max(0, max_crosses - len(fixed))
    score = Pairs(hashes, labels, p, prior)
    chosen, gains = list(fixed), [score.gain(cross) for cross in fixed]
    for cross in fixed if greedy else ():
        score.take(cross)
    first, steps = None, (rounds if greedy else 1) * len(pairs)
    for turn in range(rounds if greedy else 1):
        found = []
        for number, pair in enumerate(pairs):
            found.append((score.gain(pair), pair))
            if progress is not None:
                progress(turn * len(pairs) + number + 1, steps)
        # ties go to the pair that comes first
        found.sort(key=lambda entry: (-entry[0], entry[1]))
        first = found if first is None else first
        real = (e for e in found if e[0] > 0 and e[0] > DEVIATIONS * score.deviation(e[1]))
        best = list(itertools.islice(real, 1 if greedy else rounds))
        if not best:
            break
        chosen += [pair for _, pair in best]
        gains += [gain for gain, _ in best]
        if greedy:
            pairs.remove(best[0][1])
            score.take(best[0][1])
    tried = tuple((pair, float(gain)) for gain, pair in first or ())
    return Crosses(tuple(map(tuple, chosen)), tuple(map(float, gains)), tried, rows)


@jit
def _group(words, keys, numbers, groups):
    mask, count = len(keys) - 1, 0
    for i in range(len(words)):
        place = words[i] & mask
        while keys[place] != 0 and keys[place] != words[i]:
            place = (place + 1) & mask
        if keys[place] == 0:
            keys[place] = words[i]
            numbers[place] = count
            count += 1
        groups[i] = numbers[place]
    return count


def grouped(words: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the distinct words: (number of each row's, how many there are).

    Args:
        words: int32 (rows,), none of them 0.

    Example:
        >>> grouped(np.array([7, -2, 7], "int32"))[1]
        2
    """
    if not COMPILED:
        distinct, groups = np.unique(words, return_inverse=True)
        return groups, len(distinct)
    size = 2 << max(1, len(words) - 1).bit_length()  # at most half full
    groups = np.empty(len(words), "int64")
    return groups, _group(words, np.zeros(size, "int32"), np.empty(size, "int32"), groups)


class Pairs:
    """What a cross would explain of residuals, and the residuals after it was taken."""

    def __init__(self, hashes: np.ndarray, labels: np.ndarray, p: np.ndarray, prior: float) -> None:
        self.hashes, self.labels, self.p, self.prior = hashes, labels, p, prior

    def groups(self, cross: Sequence[int]) -> tuple[np.ndarray, int]:
        """Return the number of each row's value, and how many values there are."""
        words = hash_words(self.hashes, np.array(cross, "int64"), np.array([len(cross)]))[:, 0]
        return grouped(words)

    def _sums(self, cross):
        groups, count = self.groups(cross)
        error = np.bincount(groups, self.labels - self.p, count)
        return groups, error, np.bincount(groups, self.p * (1.0 - self.p), count)

    def gain(self, cross: Sequence[int]) -> float:
        """Return the nats of a step from 0 beyond what noise would give."""
        _, error, curvature = self._sums(cross)
        return 0.5 * float(((error**2 - curvature) / (curvature + 1.0 / self.prior)).sum())

    def deviation(self, cross: Sequence[int]) -> float:
        """Return the standard deviation of the gain where labels are drawn from p."""
        groups, _, curvature = self._sums(cross)
        v = self.p * (1.0 - self.p)
        # the fourth cumulant of a label is v (1 - 6 v); cumulants of independent labels add
        square = 2.0 * curvature**2 + np.bincount(groups, v * (1.0 - 6.0 * v), len(curvature))
        return 0.5 * float(np.sqrt((square / (curvature + 1.0 / self.prior) ** 2).sum()))

    def take(self, cross: Sequence[int]) -> None:
        """Add the cross's own step to the predictions."""
        groups, error, curvature = self._sums(cross)
        p = np.clip(self.p, 1e-6, 1.0 - 1e-6)
        step = error / (curvature + 1.0 / self.prior)
        self.p = 1.0 / (1.0 + (1.0 - p) / p * np.exp(-np.clip(step[groups], -8.0, 8.0)))


def _cross(cross, width, name):
    given = tuple(sorted(columns(name, cross, width - 1)))
    if len(set(given)) < max(2, len(given)):
        raise ValueError(f"`{name}` must list two or more distinct columns each. Received: {cross}")
    return given

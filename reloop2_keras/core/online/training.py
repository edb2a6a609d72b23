"""The training period for tables that stand alone: sizes, crosses, and a first pass of learning."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from reloop2_keras.core.newton import sigmoid
from reloop2_keras.core.online.crosses import Crosses, choose_crosses
from reloop2_keras.core.online.forms import LONG, Arm
from reloop2_keras.core.online.table_arms import TableArms
from reloop2_keras.core.rows import check_labels

SPACE = 4  # places for each distinct value of the training period: new ones will come
LEAST_BITS = 6
MOST_SLOT_ROWS = 1 << 16  # of the training period, so that a slot's readings fit in memory

Batches = Iterable | Callable[[], Iterable]


def bits_for(distinct: int, max_bits: int) -> int:
    """Return the bits of a table for so many values: `SPACE` places each, within limits.

    Example:
        >>> [bits_for(n, 18) for n in (2, 1000, 10**7)]
        [6, 12, 18]
    """
    wanted = int(np.ceil(np.log2(SPACE * max(distinct, 1))))
    return min(max(LEAST_BITS, wanted), max_bits)


def check_repeatable(batches: Any) -> None:
    """Check that batches can be read more than once.

    Raises:
        ValueError: for an iterator, which is used up by the first reading.
    """
    if isinstance(batches, Iterator):
        raise ValueError(
            "`batches` must be a dataset, a list, or a function that returns an iterable: they are "
            f"read several times. Received: {type(batches).__name__}"
        )


class Training:
    """The training period: batches that can be read more than once, in the order of time.

    Args:
        batches: list of (hashes, labels), or a function that returns an iterable of them: integers
            (rows, width) and 0 or 1 (rows,).
        width: int, columns of hashes.
        slots: int, how many parts it is learnt in, at least.
        max_bits: int, of a table.

    Attributes:
        rows: int.
        distinct: list of ints, distinct values of each column; counted up to 2^max_bits / 4.

    Raises:
        ValueError: if a batch does not fit, or there is no row.
    """

    def __init__(self, batches: Batches, width: int, slots: int = 10, max_bits: int = 18) -> None:
        check_repeatable(batches)
        self._batches, self.width, self.max_bits = batches, width, max_bits
        self.rows, most = 0, (1 << max_bits) // SPACE
        seen = [np.empty(0, "int32")] * width
        for hashes, _ in self:
            self.rows += len(hashes)
            for column, values in enumerate(seen):
                if len(values) < most:
                    seen[column] = np.union1d(values, hashes[:, column])
        if not self.rows:
            raise ValueError("`batches` must hold at least one row. Received: none")
        self.distinct = [len(values) for values in seen]
        self.slots = min(self.rows, max(int(slots), -(-self.rows // MOST_SLOT_ROWS)))

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        batches = self._batches() if callable(self._batches) else self._batches
        for number, (hashes, labels) in enumerate(batches):
            hashes = np.asarray(hashes)
            if hashes.ndim != 2 or hashes.shape[1] != self.width or hashes.dtype.kind not in "iu":
                raise ValueError(
                    f"`batches`, number {number}: expected integer hashes (rows, {self.width}), "
                    f"found shape {hashes.shape}, dtype {hashes.dtype}"
                )
            yield hashes.astype("int32", copy=False), check_labels(labels, len(hashes))

    def in_slots(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (hashes, labels) of each slot: parts of equal numbers of rows, in order."""
        number, done = 1, 0
        held: list[tuple[np.ndarray, np.ndarray]] = []
        for hashes, labels in self:
            while len(hashes):
                missing = self.rows * number // self.slots - done
                held.append((hashes[:missing], labels[:missing]))
                done += len(held[-1][0])
                hashes, labels = hashes[missing:], labels[missing:]
                if done == self.rows * number // self.slots:
                    parts = zip(*held, strict=True)
                    some_hashes, some_labels = (np.concatenate(part) for part in parts)
                    yield some_hashes, some_labels
                    number, held = number + 1, []

    def table_bits(self) -> list[int]:
        """Return the bits of each column's table."""
        return [bits_for(distinct, self.max_bits) for distinct in self.distinct]

    def cross_bits(self, crosses: Sequence[Sequence[int]], hashes: np.ndarray) -> list[int]:
        """Return the bits of each cross's table, by its distinct values in a sample of rows."""
        out, scale = [], self.rows / max(1, len(hashes))
        for cross in crosses:
            distinct = len(np.unique(hashes[:, list(cross)], axis=0)) * scale
            most = float(np.prod([float(self.distinct[column]) for column in cross]))
            out.append(bits_for(int(min(distinct, most)), self.max_bits))
        return out

    def sample(self, rows: int) -> Iterator[np.ndarray]:
        """Yield for each slot the places of its rows in an evenly spaced sample of all rows."""
        stride, done = -(-self.rows // rows), 0
        for number in range(1, self.slots + 1):
            stop = self.rows * number // self.slots
            yield np.arange(-done % stride, stop - done, stride)
            done = stop


def learn_alone(
    arms: TableArms,
    training: Training,
    sample_rows: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Teach the arms that stand alone the training period: predict a slot, then learn it.

    Args:
        arms: `TableArms`.
        training: `Training`.
        sample_rows: int, return what the first arm predicted for so many rows, about evenly spaced.

    Returns:
        (hashes, labels, probabilities) of the sample, or None without one.
    """
    sampled = training.sample(sample_rows) if sample_rows else iter(())
    kept = []
    for hashes, labels in training.in_slots():
        at = next(sampled, None)
        words, no_base = arms.tables.words(hashes), np.zeros((len(hashes), 0))
        logits, _, means = arms.read(words, no_base, arms.num_alone)
        solution = arms.solved(means, no_base, labels)
        arms.learn(words, no_base, labels, arms.num_alone)
        arms.store(solution)
        if at is not None:
            kept.append((hashes[at], labels[at], sigmoid(logits[at, 0])))
    if not kept:
        return None
    some_hashes, some_labels, p = (np.concatenate(part) for part in zip(*kept, strict=True))
    return some_hashes, some_labels, p


def plan(
    training: Training,
    crosses: Sequence[Sequence[int]] | None,
    prior: float,
    sample_rows: int,
    rule: Mapping[str, Any],
) -> tuple[list[int], list, Crosses | None]:
    """Choose sizes of tables, and crosses where none are given.

    Args:
        training: `Training`.
        crosses: lists of columns, or None: choose some by what tables of the columns leave over.
        prior: float, see `BeliefTables`.
        sample_rows: int, see `learn_alone`.
        rule: arguments of `choose_crosses`.

    Returns:
        (bits of all tables, crosses, what was tried or None)
    """
    bits, chosen = training.table_bits(), None
    alone = [Arm("residuals", LONG, False, None)]
    arms = TableArms(training.width, alone, (), bits, prior, constant=False)
    sample = learn_alone(arms, training, max(1, int(sample_rows)))
    if sample is None:
        raise ValueError("`sample_rows` left no row of the training period")
    if crosses is None:
        chosen = choose_crosses(*sample, prior=prior, **rule)
        crosses = chosen.chosen
    return [*bits, *training.cross_bits(crosses, sample[0])], list(crosses), chosen

"""The order of rows within an epoch, which the seed and the epoch's number alone decide."""

import dataclasses

import numpy as np

from reloop2_keras.core.arguments import flag, integer

SHUFFLE_ROWS = 262_144  # of a buffer, where nothing else is asked for


@dataclasses.dataclass(frozen=True)
class EpochOrder:
    """Shuffles in two levels, so that no more than a buffer of rows need be held (ours).

    Row groups are drawn in random order into buffers of at least `shuffle_rows` rows, and the
    rows of each buffer are permuted.

    Attributes:
        sizes: rows of each row group.
        shuffle: bool. False: row groups and rows stay in their order.
        seed: int >= 0.
        shuffle_rows: int >= 1, rows of a buffer.

    Raises:
        ValueError: if one of the last three is anything else.

    Example:
        >>> order = EpochOrder((3, 3, 2), True, 1001, 5)
        >>> buffers, starts = order.plan(epoch=0)
        >>> sorted(sum(buffers, [])), starts[0], starts[-1]
        ([0, 1, 2], 0, 8)
        >>> sorted(order.permutation(0, 0, starts[1]).tolist()) == list(range(starts[1]))
        True
    """

    sizes: tuple[int, ...]
    shuffle: bool
    seed: int
    shuffle_rows: int

    def __post_init__(self) -> None:
        checked = {
            "shuffle": flag("shuffle", self.shuffle),
            "seed": integer("seed", self.seed, 0),
            "shuffle_rows": integer("shuffle_rows", self.shuffle_rows, 1),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def plan(self, epoch: int) -> tuple[list[list[int]], list[int]]:
        """Cut an epoch's row groups into buffers.

        Returns:
            (row groups of each buffer, each buffer's first row and, last, the number of rows)
        """
        order = np.arange(len(self.sizes))
        if self.shuffle:
            order = np.random.default_rng((self.seed, epoch)).permutation(order)
        buffers: list[list[int]] = [[]]
        starts, rows = [0], 0
        for group in order.tolist():
            if buffers[-1] and rows - starts[-1] >= self.shuffle_rows:
                buffers.append([])
                starts.append(rows)
            buffers[-1].append(group)
            rows += self.sizes[group]
        return buffers, [*starts, rows]

    def permutation(self, epoch: int, number: int, rows: int) -> np.ndarray | None:
        """Return the order of a buffer's rows, int64 (rows,); None if they keep theirs."""
        if not self.shuffle:
            return None
        return np.random.default_rng((self.seed, epoch, number)).permutation(rows)

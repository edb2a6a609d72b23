"""Which rows of a joint batch each of several workers trains on: every row has one worker."""

import dataclasses

from reloop2_keras.core.arguments import integer


@dataclasses.dataclass(frozen=True)
class WorkerShares:
    """Cuts an epoch's rows into joint batches, and each of these into equal parts (ours).

    A joint batch has `batch_size * num_workers` rows of the epoch's order, whatever the number of
    workers: the run is that of one worker with joint batches. Of the last one, with R rows, each
    worker has ceil(R / num_workers) rows, and the last ones fewer, or none.

    Attributes:
        num_rows: int, of the epoch.
        batch_size: int >= 1, rows of one worker's batch.
        rank: int in [0, num_workers), this worker.
        num_workers: int >= 1.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> shares = [WorkerShares(9, 2, rank, 2) for rank in range(2)]
        >>> [[share.rows_of(i) for i in range(len(share))] for share in shares]
        [[(0, 2), (4, 6), (8, 9)], [(2, 4), (6, 8), (9, 9)]]
    """

    num_rows: int
    batch_size: int
    rank: int = 0
    num_workers: int = 1

    def __post_init__(self) -> None:
        workers = integer("num_workers", self.num_workers, 1)
        checked = {
            "batch_size": integer("batch_size", self.batch_size, 1),
            "num_workers": workers,
            "rank": integer("rank", self.rank, 0, workers - 1),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return -(-self.num_rows // (self.batch_size * self.num_workers))

    def joint(self, index: int) -> tuple[int, int]:
        """Return which rows of the epoch's order are a joint batch: (start, stop)."""
        size = self.batch_size * self.num_workers
        return index * size, min((index + 1) * size, self.num_rows)

    def share(self, index: int) -> int:
        """Return how many rows of a joint batch a worker has, the last ones excepted."""
        start, stop = self.joint(index)
        return -(-(stop - start) // self.num_workers)

    def rows_of(self, index: int) -> tuple[int, int]:
        """Return which rows of the epoch's order this worker has in a batch: (start, stop)."""
        start, stop = self.joint(index)
        mine = min(start + self.rank * self.share(index), stop)
        return mine, min(mine + self.share(index), stop)

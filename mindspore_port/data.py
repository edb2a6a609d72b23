"""Prepared datasets and their training batches, in an order that the seed alone decides."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor

from mindspore_port import mindrecord  # noqa: F401  (adds MindRecord to what core reads)
from reloop2_keras.core import dataset
from reloop2_keras.core.arguments import flag
from reloop2_keras.core.array_checks import FEATURES, FieldRanges
from reloop2_keras.core.epoch_rows import EpochRows
from reloop2_keras.core.reading import RowGroup, row_groups
from reloop2_keras.core.worker_shares import WorkerShares

COLUMNS = ("feature_ids", "feature_values", "label", "weight")


class Batches:
    """Batches streamed from row groups; memory does not grow with the rows.

    Shuffled in two levels, the same as `reloop2_keras` does: row groups are drawn in random order
    into a buffer of at least `shuffle_rows` rows, whose rows are permuted. The order depends on
    seed and epoch alone. With several workers each step takes `batch_size * num_workers` rows (a
    joint batch), and each worker its own equal part of them: every row belongs to one worker, and
    the run is the same as that of one worker with the joint batch.

    Every batch has `batch_size` rows, so that a graph compiles once: the end of an epoch is padded
    with rows of weight 0. The other rows weigh num_workers / rows of the joint batch, so that the
    mean over workers of the weighted sums is the mean over the joint batch; no row is dropped.

    Args:
        paths: files, or row groups of files.
        num_ids: int; every id must be in [0, num_ids).
        batch_size: int, rows of one worker's batch.
        shuffle: bool.
        seed: int.
        shuffle_rows: int, rows of the shuffle buffer.
        rank: int, this worker.
        num_workers: int.
        hashes: bool, whether `feature_hashes` are read too, for feature-keyed memories and models
            with `hashed` rows.
        fields: list of dicts (`name`, `cardinality`, `offset`): each id must be in its field's
            range. None: any id may be in any column.

    Each batch is a tuple: `feature_ids` int32 (B, F), `feature_values` float32 (B, F), `label`
    float32 (B,), `weight` float32 (B,); and with `hashes` `feature_hashes` int32 (B, F).

    Raises:
        ValueError: for an argument out of range, or naming file and value for bad data.

    Example:
        >>> batches = dataset.train(batch_size=1024, seed=1)
        >>> for ids, values, label, weight in batches.iterate(epoch=0): ...
    """

    def __init__(
        self,
        paths: Sequence[str | Path | RowGroup],
        num_ids: int,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 1001,
        shuffle_rows: int = 262_144,
        rank: int = 0,
        num_workers: int = 1,
        hashes: bool = False,
        fields: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        WorkerShares(0, batch_size, rank, num_workers)  # checks them before a file is read
        self.num_ids = num_ids
        self.hashes = flag("hashes", hashes)
        columns = ["label", *(FEATURES if hashes else FEATURES[:2])]
        ranges = FieldRanges.of(num_ids, fields)
        groups = row_groups(paths, ranges.width)
        self._rows = EpochRows(groups, ranges, columns, shuffle, seed, shuffle_rows)
        self.num_rows, order = self._rows.num_rows, self._rows.order
        self.shares = WorkerShares(self.num_rows, batch_size, rank, num_workers)
        self.batch_size, self.num_workers = self.shares.batch_size, self.shares.num_workers
        self.rank = self.shares.rank
        self.shuffle, self.seed, self.shuffle_rows = order.shuffle, order.seed, order.shuffle_rows

    def __len__(self) -> int:
        return len(self.shares)

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield the first epoch's batches as dicts of arrays, without padding; see `arrays`."""
        for index in range(len(self)):
            yield self.arrays(0, index)

    def iterate(self, epoch: int = 0, start: int = 0) -> Iterator[list[Tensor]]:
        """Return an iterator over an epoch's batches as Tensors, through `mindspore.dataset`.

        Args:
            epoch: int, decides the order.
            start: int, first batch, to resume within an epoch.
        """
        import mindspore.dataset as ds

        def rows():
            for index in range(start, len(self)):
                yield self.batch(epoch, index)

        names = [*COLUMNS, *([FEATURES[2]] if self.hashes else [])]
        pipeline = ds.GeneratorDataset(
            rows, names, shuffle=False, num_parallel_workers=1, max_rowsize=None
        )
        return pipeline.create_tuple_iterator(num_epochs=1)

    def rows_of(self, index: int) -> tuple[int, int]:
        """Return which rows of the epoch's order this worker has in a batch: (start, stop)."""
        return self.shares.rows_of(index)

    def arrays(self, epoch: int, index: int) -> dict[str, np.ndarray]:
        """Return this worker's rows of batch `index`, without padding: a dict of arrays."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        return self._rows.read(epoch, *self.rows_of(index))

    def batch(self, epoch: int, index: int) -> tuple[np.ndarray, ...]:
        """Return batch `index` of an epoch as a tuple of arrays; see the class."""
        arrays = self.arrays(epoch, index)
        start, stop = self.shares.joint(index)
        count = len(arrays["label"])
        weight = np.full(count, self.num_workers / (stop - start), "float32")
        parts: tuple[np.ndarray, ...] = (
            arrays["feature_ids"],
            arrays["feature_values"],
            arrays["label"].astype("float32"),
            weight,
        )
        if self.hashes:
            parts += (arrays["feature_hashes"],)
        if count == self.batch_size:
            return parts
        pad = self.batch_size - count
        return tuple(
            np.concatenate([part, np.zeros((pad, *part.shape[1:]), part.dtype)]) for part in parts
        )


class PreparedDataset(dataset.PreparedDataset):
    """A prepared folder, whose batches are for MindSpore.

    Its files are Parquet, or MindRecord after `python -m mindspore_port.dataset to-mindrecord`.
    Everything else: see `reloop2_keras.core.dataset.PreparedDataset`.

    Example:
        >>> dataset = PreparedDataset("runs/synthetic")
        >>> base, history = train_base(dataset)
        >>> for slot in dataset.slots(): ...
    """

    Batches = Batches

"""Prepared datasets as batches for Keras, read the same way for every backend."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from reloop2_keras.core import dataset
from reloop2_keras.core.arguments import flag, integer
from reloop2_keras.core.array_checks import FEATURES, FieldRanges
from reloop2_keras.core.epoch_rows import EpochRows
from reloop2_keras.core.order import SHUFFLE_ROWS
from reloop2_keras.core.reading import RowGroup, row_groups
from reloop2_keras.core.worker_shares import WorkerShares


class Batches(keras.utils.PyDataset):
    """Batches of `(x, y)` streamed from row groups; memory does not grow with the rows.

    While a buffer's batches are used, the next buffer is read in a thread of its own.

    Shuffled in two levels: row groups are drawn in random order into a buffer of at least
    `shuffle_rows` rows, whose rows are permuted. The order depends on seed and epoch alone, so it
    is the same on every backend. Pass it to `fit` with `shuffle=False` (our models do so), since
    Keras would otherwise ask for batches in an order of its own, which is right but slow.

    **Epochs.** `epoch` is the number whose order `batches[i]` and direct iteration give; it starts
    as `initial_epoch`. `fit` counts: its first epoch on an object is `initial_epoch`, each later
    one the next, also over several calls of `fit`. A `fit` of our models that begins with a later
    epoch, by its own `initial_epoch` or since it is resumed, goes on with that number, so that the
    order of epoch k is the same in whatever process it runs. Direct iteration does not count: it
    gives the same order each time, until `epoch` is set. (On JAX with a GPU, epochs of one or two
    batches start at `initial_epoch` + 1: Keras reads both to build metrics.)

    **Threads.** Any number of threads may ask one object for batches: a lock makes each batch
    whole. Pickles, copies and forked processes share neither lock nor buffer with it.

    Args:
        paths: Parquet files with columns `label`, `feature_ids`, `feature_values`; or row groups
            of such files.
        num_ids: int; every id must be in [0, num_ids).
        batch_size: int. The last batch of an epoch may be smaller; no row is dropped.
        shuffle: bool.
        seed: int.
        shuffle_rows: int, rows of the shuffle buffer.
        initial_epoch: int >= 0, the first epoch's number, to resume an order.
        hashes: bool, whether x also holds `feature_hashes`, for feature-keyed memories and models
            with `hashed` rows.
        fields: list of dicts (`name`, `cardinality`, `offset`): each id must be in its field's
            range. None: any id may be in any column.
        rank, num_workers: ints, of this process among several that train together: each has its
            own equal part of every joint batch of `batch_size * num_workers` rows, and each row has
            one process (`core.worker_shares`). See `reloop2_keras.distributed`.
        multiple_of: int, devices of this process: every batch has a multiple of so many rows.

    Attributes:
        checksum: of the dataset whose `train` or `validation` made these; else None.

    Each batch is `({"feature_ids": int32 (B, F), "feature_values": float32 (B, F)},
    float32 (B, 1))`. With several processes or devices weights follow, float32 (B,), 1 but in the
    last batch: there all processes have equally many rows, which the last row fills up by copies of
    weight 0, and the others weigh more, so that Keras' mean over the joint batch is that over its
    rows. (Metrics that are not among `weighted_metrics` count the copies.)

    Raises:
        ValueError: for an argument out of range; naming file, row and value for bad data.
    """

    keeps_own_order = True
    checksum: str | None = None

    def __init__(
        self,
        paths: Sequence[str | Path | RowGroup],
        num_ids: int,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 1001,
        shuffle_rows: int = SHUFFLE_ROWS,
        initial_epoch: int = 0,
        hashes: bool = False,
        fields: Sequence[Mapping[str, Any]] | None = None,
        rank: int = 0,
        num_workers: int = 1,
        multiple_of: int = 1,
    ) -> None:
        super().__init__(workers=1)
        WorkerShares(0, batch_size, rank, num_workers)  # checks them before a file is read
        self.num_ids, self.multiple_of = num_ids, integer("multiple_of", multiple_of, 1)
        if batch_size % self.multiple_of:
            raise ValueError(
                f"`batch_size` must be a multiple of {self.multiple_of}, the devices that share "
                f"a batch. Received: {batch_size}"
            )
        self.epoch = integer("initial_epoch", initial_epoch, 0)
        self._begun = self._used = False  # whether an epoch has begun; whether one was trained on
        self.features = FEATURES if flag("hashes", hashes) else FEATURES[:2]
        columns, ranges = ["label", *self.features], FieldRanges.of(num_ids, fields)
        groups = row_groups(paths, ranges.width)
        self._rows = EpochRows(groups, ranges, columns, shuffle, seed, shuffle_rows)
        self.num_rows, order = self._rows.num_rows, self._rows.order
        self.shares = WorkerShares(self.num_rows, batch_size, rank, num_workers)
        self.batch_size, self.num_workers = self.shares.batch_size, self.shares.num_workers
        self.rank = self.shares.rank
        self.shuffle, self.seed, self.shuffle_rows = order.shuffle, order.seed, order.shuffle_rows

    def __len__(self):
        return len(self.shares)

    def on_epoch_begin(self) -> None:
        # Before the first epoch, PyTorch's and JAX' trainers begin one, look at its first batch to
        # build metrics, and end it; on a GPU JAX' asks for the second one as well. TensorFlow's
        # does not, and the order must not differ by that.
        if self._used:
            self.epoch += 1
        self._begun, self._used = True, False

    def on_epoch_end(self) -> None:
        self._begun = False

    @property
    def next_epoch(self) -> int:
        """The number that the next epoch of `fit` will have."""
        return self.epoch + 1 if self._used else self.epoch

    def go_to(self, epoch: int) -> None:
        """Let the next epoch of `fit` be the one of this number."""
        self.epoch, self._used = int(epoch), False

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        if self._begun and index == min(2, len(self) - 1):
            self._used = True
        batch = self._rows.read(self.epoch, *self.shares.rows_of(index))
        if self.num_workers == self.multiple_of == 1:
            return self._pair(batch)
        rows, (start, stop) = len(batch["label"]), self.shares.joint(index)
        share = -(-self.shares.share(index) // self.multiple_of) * self.multiple_of
        weight = np.zeros(share, "float32")
        weight[:rows] = share * self.num_workers / (stop - start)
        if rows < share:  # a true row, as each id must be in its field's range
            last = self._rows.read(self.epoch, stop - 1, stop)
            batch = {
                name: np.concatenate([array, np.repeat(last[name], share - rows, axis=0)])
                for name, array in batch.items()
            }
        return *self._pair(batch), weight

    def _pair(self, batch):
        x = {name: batch[name] for name in self.features}
        return x, batch["label"].astype("float32")[:, None]


class PreparedDataset(dataset.PreparedDataset):
    """A folder written by `data_scripts`, whose batches are for Keras.

    Everything else: see `reloop2_keras.core.dataset.PreparedDataset`.

    Example:
        >>> dataset = PreparedDataset("runs/synthetic")
        >>> base = DeepFM(dataset.fields)
        >>> base.fit(dataset.train(batch_size=1024), validation_data=dataset.validation(4096))
        >>> for slot in dataset.slots(): ...
    """

    Batches = Batches

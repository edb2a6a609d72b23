"""Prepared datasets as batches for Keras, read the same way for every backend."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from reloop2_keras.core import dataset
from reloop2_keras.core.checks import FEATURES, FieldRanges
from reloop2_keras.core.epoch_rows import EpochRows
from reloop2_keras.core.reading import RowGroup, row_groups


class Batches(keras.utils.PyDataset):
    """Batches of `(x, y)` streamed from row groups; memory does not grow with the rows.

    While a buffer's batches are used, the next buffer is read in a thread of its own.

    Shuffled in two levels: row groups are drawn in random order into a buffer of at least
    `shuffle_rows` rows, whose rows are permuted. The order depends on seed and epoch alone, so it
    is the same on every backend. Pass it to `fit` with `shuffle=False` (our models do so), since
    Keras would otherwise ask for batches in an order of its own, which is right but slow.

    Args:
        paths: Parquet files with columns `label`, `feature_ids`, `feature_values`; or row groups
            of such files.
        num_ids: int; every id must be in [0, num_ids).
        batch_size: int. The last batch of an epoch may be smaller; no row is dropped.
        shuffle: bool.
        seed: int.
        shuffle_rows: int, rows of the shuffle buffer.
        initial_epoch: int, the first epoch's number, to resume an order.
        hashes: bool, whether x also holds `feature_hashes`, for feature-keyed memories.
        fields: list of dicts (`name`, `cardinality`, `offset`): each id must be in its field's
            range. None: any id may be in any column.

    Each batch is `({"feature_ids": int32 (B, F), "feature_values": float32 (B, F)},
    float32 (B, 1))`.

    Raises:
        ValueError: for an argument out of range; naming file, row and value for bad data.
    """

    keeps_own_order = True

    def __init__(
        self,
        paths: Sequence[str | Path | RowGroup],
        num_ids: int,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 1001,
        shuffle_rows: int = 262_144,
        initial_epoch: int = 0,
        hashes: bool = False,
        fields: Sequence[Mapping[str, Any]] | None = None,
    ):
        super().__init__(workers=1)
        if int(batch_size) != batch_size or batch_size < 1:
            raise ValueError(f"`batch_size` must be a positive integer. Received: {batch_size}")
        self.num_ids, self.batch_size = num_ids, int(batch_size)
        self.shuffle, self.seed, self.shuffle_rows = shuffle, seed, shuffle_rows
        self.epoch = initial_epoch - 1
        self.features = FEATURES if hashes else FEATURES[:2]
        columns, ranges = ["label", *self.features], FieldRanges.of(num_ids, fields)
        groups = row_groups(paths, ranges.width)
        self._rows = EpochRows(groups, ranges, columns, shuffle, seed, shuffle_rows)
        self.num_rows = self._rows.num_rows

    def __len__(self):
        return -(-self.num_rows // self.batch_size)

    def on_epoch_begin(self):
        self.epoch += 1

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        start = index * self.batch_size
        stop = min(start + self.batch_size, self.num_rows)
        batch = self._rows.read(max(self.epoch, 0), start, stop)
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

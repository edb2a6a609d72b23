"""Prepared datasets, read the same way for every backend."""

import hashlib
import json
from pathlib import Path

import keras
import numpy as np
import pyarrow.parquet as pq

from reloop2_keras.buffers import BufferReader
from reloop2_keras.slot import FEATURES, Slot

SCHEMA_VERSION = 1


class PreparedDataset:
    """A folder written by `data_scripts`: training period, validation period, slots.

    Args:
        folder: path of the folder that holds `dataset.json`.

    Attributes:
        fields: list of dicts (`name`, `kind`, `cardinality`, `offset`), in column order.
        num_ids: int, rows of the one embedding table.
        meta: dict, the whole dataset.json.

    Raises:
        FileNotFoundError: if there is no dataset.json or a file that it names is missing.
        ValueError: if the schema version is unknown or the offsets contradict the cardinalities.

    Example:
        >>> dataset = PreparedDataset("runs/synthetic")
        >>> base = DeepFM(dataset.fields)
        >>> base.fit(dataset.train(batch_size=1024), validation_data=dataset.validation(4096))
        >>> for slot in dataset.slots(): ...
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        path = self.folder / "dataset.json"
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: not found. Expected a folder prepared by `python -m data_scripts`"
            )
        self.meta = json.loads(path.read_text(encoding="utf-8"))
        version = self.meta.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ValueError(f"{path}: expected schema_version {SCHEMA_VERSION}, found {version}")
        self.fields = self.meta["fields"]
        self.num_ids = self.meta["num_ids"]
        ends = np.cumsum([field["cardinality"] for field in self.fields])
        if [f["offset"] for f in self.fields] != [0, *ends[:-1]] or self.num_ids != ends[-1]:
            raise ValueError(f"{path}: offsets, cardinalities and num_ids of the fields disagree")
        for entry in self._entries():
            if not (self.folder / entry["name"]).is_file():
                raise FileNotFoundError(f"{self.folder / entry['name']}: named in {path}, missing")

    def _entries(self):
        periods = self.meta["periods"]
        for period in (periods["train"], periods["validation"], *periods["slots"]):
            yield from period["files"]

    @property
    def name(self):
        """The source's name."""
        return self.meta["source"]

    def verify(self):
        """Compare every file with its checksum; ValueError names the first that differs."""
        for entry in self._entries():
            path = self.folder / entry["name"]
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != entry["sha256"]:
                raise ValueError(f"{path}: expected sha256 {entry['sha256']}, found {found}")

    def _paths(self, period):
        return [self.folder / entry["name"] for entry in period["files"]]

    def columns(self, *names):
        """Return the columns of named fields, such as for `FeatureErrorMemory(crosses=...)`.

        Raises:
            ValueError: for a name that is no field.

        Example:
            >>> dataset.columns("user", "genres")
            [0, 2]
        """
        known = [field["name"] for field in self.fields]
        for name in names:
            if name not in known:
                raise ValueError(f"`names` must be fields, {known}. Received: {name!r}")
        return [known.index(name) for name in names]

    def train(self, batch_size=1024, shuffle=True, seed=1001, **kwargs):
        """Return the training period as `Batches`, shuffled by the seed."""
        paths = self._paths(self.meta["periods"]["train"])
        return Batches(paths, self.num_ids, batch_size, shuffle=shuffle, seed=seed, **kwargs)

    def validation(self, batch_size=4096, **kwargs):
        """Return the validation period as `Batches`, in the order of the log."""
        paths = self._paths(self.meta["periods"]["validation"])
        return Batches(paths, self.num_ids, batch_size, shuffle=False, **kwargs)

    def slots(self, count=None):
        """Return the list of the test period's slots, in chronological order.

        Args:
            count: int, to cut the period into that many nearly equal slots instead of those it
                was prepared with (a memory that learns more often is fresher). None: as prepared.
        """
        periods = self.meta["periods"]["slots"]
        if count is not None:
            return self._cut(periods, count)
        return [Slot(self._paths(period), 0, None, i, self) for i, period in enumerate(periods)]

    def validation_slots(self, count=5):
        """Return the validation period cut into `count` slots, for replay and tuning."""
        return self._cut([self.meta["periods"]["validation"]], count)

    def _cut(self, periods, count):
        files = [entry for period in periods for entry in period["files"]]
        ends = np.cumsum([entry["rows"] for entry in files])
        if not 1 <= count <= ends[-1]:
            raise ValueError(f"`count` must be in [1, {ends[-1]}]. Received: {count}")
        cuts = np.linspace(0, ends[-1], count + 1).astype(int)
        slots = []
        for index, (start, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            # the files that hold rows [start, stop), and no other
            first, last = (int(np.searchsorted(ends, x, side="right")) for x in (start, stop - 1))
            before = int(ends[first - 1]) if first else 0
            paths = [self.folder / entry["name"] for entry in files[first : last + 1]]
            slots.append(Slot(paths, int(start) - before, int(stop) - before, index, self))
        return slots


class Batches(keras.utils.PyDataset):
    """Batches of `(x, y)` streamed from Parquet row groups; memory does not grow with the rows.

    While a buffer's batches are used, the next buffer is read in a thread of its own.

    Shuffled in two levels: row groups are drawn in random order into a buffer of at least
    `shuffle_rows` rows, whose rows are permuted. The order depends on seed and epoch alone, so it
    is the same on every backend. Pass it to `fit` with `shuffle=False` (our models do so), since
    Keras would otherwise ask for batches in an order of its own, which is right but slow.

    Args:
        paths: Parquet files with columns `label`, `feature_ids`, `feature_values`.
        num_ids: int; every id must be in [0, num_ids).
        batch_size: int. The last batch of an epoch may be smaller; no row is dropped.
        shuffle: bool.
        seed: int.
        shuffle_rows: int, rows of the shuffle buffer.
        initial_epoch: int, the first epoch's number, to resume an order.
        hashes: bool, whether x also holds `feature_hashes`, for feature-keyed memories.

    Each batch is `({"feature_ids": int32 (B, F), "feature_values": float32 (B, F)},
    float32 (B, 1))`.

    Raises:
        ValueError: naming file and value for an id out of range or a label that is not 0 or 1.
    """

    keeps_own_order = True

    def __init__(
        self,
        paths,
        num_ids,
        batch_size,
        shuffle=True,
        seed=1001,
        shuffle_rows=262_144,
        initial_epoch=0,
        hashes=False,
    ):
        super().__init__(workers=1)
        if int(batch_size) != batch_size or batch_size < 1:
            raise ValueError(f"`batch_size` must be a positive integer. Received: {batch_size}")
        self.num_ids, self.batch_size = num_ids, int(batch_size)
        self.shuffle, self.seed, self.shuffle_rows = shuffle, seed, shuffle_rows
        self.epoch = initial_epoch - 1
        self.features = FEATURES if hashes else FEATURES[:2]
        self._groups = []  # (path, row group, rows)
        for path in paths:
            meta = pq.read_metadata(path)
            self._groups += [
                (path, g, meta.row_group(g).num_rows) for g in range(meta.num_row_groups)
            ]
        self.num_rows = sum(rows for _, _, rows in self._groups)
        # shuffled batches are copies, others are views of a buffer
        columns = ["label", *self.features]
        self._reader = BufferReader(self._groups, columns, num_ids, reuse=shuffle)
        self._plan_epoch, self._buffer = None, (None, None)

    def __len__(self):
        return -(-self.num_rows // self.batch_size)

    def on_epoch_begin(self):
        self.epoch += 1

    def _plan(self, epoch):
        """Cut the epoch's row groups into buffers; return the buffers and each one's first row."""
        if self._plan_epoch != epoch:
            order = np.arange(len(self._groups))
            if self.shuffle:
                order = np.random.default_rng((self.seed, epoch)).permutation(order)
            buffers, starts, rows = [[]], [0], 0
            for g in order:
                if buffers[-1] and rows - starts[-1] >= self.shuffle_rows:
                    buffers.append([])
                    starts.append(rows)
                buffers[-1].append(int(g))
                rows += self._groups[g][2]
            self._buffers, self._starts = buffers, [*starts, rows]
            self._plan_epoch = epoch
        return self._buffers, self._starts

    def _load(self, epoch, number):
        """Return a buffer: its arrays in the order of the files, and the order of its rows."""
        if self._buffer[0] != (epoch, number):
            self._buffer = (None, None)  # its memory may be filled anew
            buffers, starts = self._plan(epoch)
            following = None
            if number + 1 < len(buffers):
                following = ((epoch, number + 1), buffers[number + 1])
            arrays = self._reader.read((epoch, number), buffers[number], following)
            order = None
            if self.shuffle:
                # the epoch of the buffer, not of the call, makes the permutation
                rng = np.random.default_rng((self.seed, epoch, number))
                order = rng.permutation(starts[number + 1] - starts[number])
            self._buffer = ((epoch, number), (arrays, order))
        return self._buffer[1]

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        epoch = max(self.epoch, 0)
        _, starts = self._plan(epoch)
        start = index * self.batch_size
        stop = min(start + self.batch_size, self.num_rows)
        parts = []
        number = int(np.searchsorted(starts, start, side="right")) - 1
        while start < stop:
            end = min(stop, starts[number + 1])
            arrays, order = self._load(epoch, number)
            rows = slice(start - starts[number], end - starts[number])
            parts.append(
                {
                    name: array[rows] if order is None else np.take(array, order[rows], axis=0)
                    for name, array in arrays.items()
                }
            )
            start, number = end, number + 1
        batch = (
            parts[0]
            if len(parts) == 1
            else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        )
        x = {name: batch[name] for name in self.features}
        return x, batch["label"].astype("float32")[:, None]

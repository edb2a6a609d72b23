"""Prepared datasets: what a folder written by `data_scripts` holds, for every framework."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.arguments import integer
from reloop2_keras.core.array_checks import FEATURES, FieldRanges
from reloop2_keras.core.description import periods_of, read_description, sealed
from reloop2_keras.core.epoch_rows import EpochRows
from reloop2_keras.core.files import compare_checksum
from reloop2_keras.core.order import SHUFFLE_ROWS
from reloop2_keras.core.reading import RowGroup, row_groups, storage_of
from reloop2_keras.core.slots import Slot


class PreparedDataset:
    """A folder written by `data_scripts`: training period, validation period, slots.

    Core knows no framework: each package's own `PreparedDataset` names the class that makes its
    batches, and this one reads slots alone.

    Args:
        folder: path of the folder that holds `dataset.json`.

    Attributes:
        fields: list of dicts (`name`, `kind`, `cardinality`, `offset`), in column order.
        num_ids: int, rows of the one embedding table.
        meta: dict, the whole dataset.json.
        folder: `pathlib.Path`.
        ranges: `FieldRanges`, the ids that each field may have.

    Opening reads dataset.json and the footer of each file, and no row. Rows are checked when they
    are read: files against dataset.json's checksums, once while they stay as they are, pages
    against their own each time, ids against their field's range, labels, finite values.

    Raises:
        FileNotFoundError: if there is no dataset.json or a file that it names is missing.
        ValueError: naming the file, what was expected and what was found, for a dataset.json that
            makes no sense, or a file that has other rows, columns, types or widths than it says.
    """

    Batches: type | None = None

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.meta = read_description(self.folder)
        self.fields, self.num_ids = self.meta["fields"], self.meta["num_ids"]
        self.ranges = FieldRanges.of_fields(self.fields)
        # of each period, in the order of `periods`
        self._groups = [self._opened(period["files"]) for period in self.periods()]

    def _opened(self, files):
        """Compare files with what dataset.json says; return their row groups."""
        groups = []
        for entry in files:
            path = self.folder / entry["name"]
            suffix = storage_of(path).index_suffix
            if suffix and "index_sha256" in entry:  # who reads it may crash on a damaged one
                compare_checksum(path.with_name(path.name + suffix), entry["index_sha256"])
            added = row_groups([path], len(self.fields), self.meta["columns"])
            found = sum(group.rows for group in added)
            if found != entry["rows"]:
                raise ValueError(
                    f"{path}: expected {entry['rows']} rows, as {self.folder / 'dataset.json'} "
                    f"says, found {found}"
                )
            groups += [dataclasses.replace(group, sha256=entry["sha256"]) for group in added]
        return groups

    def periods(self) -> list[dict[str, Any]]:
        """Return dataset.json's training period, validation period, and each slot, in order."""
        return periods_of(self.meta)

    def row_groups(self) -> list[list[RowGroup]]:
        """Return the row groups of each of `periods`."""
        return [list(groups) for groups in self._groups]

    @property
    def name(self) -> str:
        """The source's name."""
        return self.meta["source"]

    def verify(self) -> None:
        """Compare every file with its checksum in dataset.json, the vocabulary's too.

        Reading compares what is read; this reads everything, and finds any change in any file.

        Raises:
            ValueError: naming the first file that differs.
        """
        entries = [entry for period in self.periods() for entry in period["files"]]
        for entry in [*entries, self.meta["vocabulary"]]:
            path = self.folder / entry["name"]
            compare_checksum(path, entry["sha256"])
            if "index_sha256" in entry:
                suffix = storage_of(path).index_suffix
                compare_checksum(path.with_name(path.name + suffix), entry["index_sha256"])

    def columns(self, *names: str) -> list[int]:
        """Return the columns of named fields, such as for `FeatureErrorMemory(crosses=...)`.

        `dataset.columns("user", "genres")` is `[0, 2]`, say.

        Raises:
            ValueError: for a name that is no field.
        """
        known = [field["name"] for field in self.fields]
        for name in names:
            if name not in known:
                raise ValueError(f"`names` must be fields, {known}. Received: {name!r}")
        return [known.index(name) for name in names]

    def _batches(self, groups, batch_size, **options):
        if self.Batches is None:
            raise TypeError(
                "this `PreparedDataset` is core's, which reads slots alone; batches are made by "
                "that of `reloop2_keras` or `mindspore_port`"
            )
        made = self.Batches(groups, self.num_ids, batch_size, fields=self.fields, **options)
        made.checksum = sealed(self.meta)["sha256"]
        return made

    def train(
        self, batch_size: int = 1024, shuffle: bool = True, seed: int = 1001, **options: Any
    ) -> Any:
        """Return the training period as `Batches`, shuffled by the seed.

        Args:
            batch_size: int.
            shuffle: bool.
            seed: int.
            **options: passed to `Batches`.
        """
        return self._batches(self._groups[0], batch_size, shuffle=shuffle, seed=seed, **options)

    def validation(self, batch_size: int = 4096, **options: Any) -> Any:
        """Return the validation period as `Batches`, in the order of the log; see `train`."""
        return self._batches(self._groups[1], batch_size, shuffle=False, **options)

    def train_rows(
        self, batch_size: int = 4096, shuffle: bool = True, seed: int = 1001, hashes: bool = False
    ) -> Iterator[dict[str, np.ndarray]]:
        """Yield the training period's rows once, as dicts of arrays; no framework is needed.

        Args:
            batch_size: int, rows of all dicts but the last one.
            shuffle: bool; the order is that of the first epoch of `train`.
            seed: int, of that order.
            hashes: bool, whether `feature_hashes` are read too.

        Yields:
            dict: `label`, `feature_ids`, `feature_values`, and `feature_hashes` if asked for.
        """
        columns = ["label", *(FEATURES if hashes else FEATURES[:2])]
        rows = EpochRows(self._groups[0], self.ranges, columns, shuffle, seed, SHUFFLE_ROWS)
        for start in range(0, rows.num_rows, batch_size):
            yield rows.read(0, start, min(start + batch_size, rows.num_rows))

    def slots(self, count: int | None = None) -> list[Slot]:
        """Return the test period's slots, in chronological order.

        Args:
            count: int, to cut the period into that many nearly equal slots instead of those it
                was prepared with (a memory that learns more often is fresher). None: as prepared.

        Raises:
            ValueError: if `count` is not in [1, rows].
        """
        if count is not None:
            return self._cut([group for groups in self._groups[2:] for group in groups], count)
        return [Slot(groups, 0, None, i, self) for i, groups in enumerate(self._groups[2:])]

    def validation_slots(self, count: int = 5) -> list[Slot]:
        """Return the validation period cut into `count` slots, for replay and tuning.

        Raises:
            ValueError: if `count` is not in [1, rows].
        """
        return self._cut(self._groups[1], count)

    def _cut(self, groups, count):
        ends = np.cumsum([group.rows for group in groups])
        cuts = np.linspace(0, ends[-1], integer("count", count, 1, ends[-1]) + 1).astype(int)
        slots = []
        for index, (start, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            # the row groups that hold rows [start, stop), and no other
            first, last = (int(np.searchsorted(ends, x, side="right")) for x in (start, stop - 1))
            before = int(ends[first - 1]) if first else 0
            held = groups[first : last + 1]
            slots.append(Slot(held, int(start) - before, int(stop) - before, index, self))
        return slots

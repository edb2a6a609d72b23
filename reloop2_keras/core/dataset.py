"""Prepared datasets: what a folder written by `data_scripts` holds, for every framework."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.files import file_checksum
from reloop2_keras.core.reading import RowGroup, row_groups
from reloop2_keras.core.slots import Slot

SCHEMA_VERSION = 1


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

    Raises:
        FileNotFoundError: if there is no dataset.json or a file that it names is missing.
        ValueError: if the schema version is unknown or the offsets contradict the cardinalities.
    """

    Batches: type | None = None

    def __init__(self, folder: str | Path):
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

    def _entries(self) -> Iterator[dict[str, Any]]:
        for period in self.periods():
            yield from period["files"]

    def periods(self) -> list[dict[str, Any]]:
        """Return dataset.json's training period, validation period, and each slot, in order."""
        periods = self.meta["periods"]
        return [periods["train"], periods["validation"], *periods["slots"]]

    def row_groups(self, period: dict[str, Any]) -> list[RowGroup]:
        """Return the row groups of a period, each of a file that dataset.json names."""
        return row_groups(self.folder / entry["name"] for entry in period["files"])

    @property
    def name(self) -> str:
        """The source's name."""
        return self.meta["source"]

    def verify(self) -> None:
        """Compare every file with its checksum.

        Raises:
            ValueError: naming the first file that differs.
        """
        for entry in self._entries():
            path = self.folder / entry["name"]
            found = file_checksum(path)
            if found != entry["sha256"]:
                raise ValueError(f"{path}: expected sha256 {entry['sha256']}, found {found}")

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

    def _batches(self, period, batch_size, **options):
        if self.Batches is None:
            raise TypeError(
                "this `PreparedDataset` is core's, which reads slots alone; batches are made by "
                "that of `reloop2_keras` or `mindspore_port`"
            )
        return self.Batches(self.row_groups(period), self.num_ids, batch_size, **options)

    def train(self, batch_size: int = 1024, shuffle: bool = True, seed: int = 1001, **options: Any):
        """Return the training period as `Batches`, shuffled by the seed.

        Args:
            batch_size: int.
            shuffle: bool.
            seed: int.
            **options: passed to `Batches`.
        """
        period = self.meta["periods"]["train"]
        return self._batches(period, batch_size, shuffle=shuffle, seed=seed, **options)

    def validation(self, batch_size: int = 4096, **options: Any):
        """Return the validation period as `Batches`, in the order of the log; see `train`."""
        period = self.meta["periods"]["validation"]
        return self._batches(period, batch_size, shuffle=False, **options)

    def slots(self, count: int | None = None) -> list[Slot]:
        """Return the test period's slots, in chronological order.

        Args:
            count: int, to cut the period into that many nearly equal slots instead of those it
                was prepared with (a memory that learns more often is fresher). None: as prepared.

        Raises:
            ValueError: if `count` is not in [1, rows].
        """
        periods = self.meta["periods"]["slots"]
        if count is not None:
            return self._cut(periods, count)
        return [Slot(self.row_groups(p), 0, None, index, self) for index, p in enumerate(periods)]

    def validation_slots(self, count: int = 5) -> list[Slot]:
        """Return the validation period cut into `count` slots, for replay and tuning.

        Raises:
            ValueError: if `count` is not in [1, rows].
        """
        return self._cut([self.meta["periods"]["validation"]], count)

    def _cut(self, periods, count):
        groups = [group for period in periods for group in self.row_groups(period)]
        ends = np.cumsum([group.rows for group in groups])
        if not 1 <= count <= ends[-1]:
            raise ValueError(f"`count` must be in [1, {ends[-1]}]. Received: {count}")
        cuts = np.linspace(0, ends[-1], count + 1).astype(int)
        slots = []
        for index, (start, stop) in enumerate(zip(cuts[:-1], cuts[1:], strict=True)):
            # the row groups that hold rows [start, stop), and no other
            first, last = (int(np.searchsorted(ends, x, side="right")) for x in (start, stop - 1))
            before = int(ends[first - 1]) if first else 0
            held = groups[first : last + 1]
            slots.append(Slot(held, int(start) - before, int(stop) - before, index, self))
        return slots

"""Prepared datasets: Parquet as data_scripts wrote it, or MindRecord as `dataset` wrote it."""

import json
from pathlib import Path

import numpy as np

from mindspore_port.batches import Batches
from mindspore_port.reading import row_groups

SCHEMA_VERSION = 1


class PreparedDataset:
    """A prepared folder: training period, validation period, slots.

    Args:
        folder: path of the folder that holds `dataset.json`; its files are Parquet, or MindRecord
            after `python -m mindspore_port.dataset to-mindrecord`.

    Attributes:
        fields: list of dicts (`name`, `kind`, `cardinality`, `offset`), in column order.
        num_ids: int, rows of the one embedding table.
        meta: dict, the whole dataset.json.

    Raises:
        FileNotFoundError: if there is no dataset.json or a file that it names is missing.
        ValueError: if the schema version is unknown or the offsets contradict the cardinalities.

    Example:
        >>> dataset = PreparedDataset("runs/synthetic")
        >>> base, history = train_base(dataset)
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
        periods = self.meta["periods"]
        for period in (periods["train"], periods["validation"], *periods["slots"]):
            for entry in period["files"]:
                file = self.folder / entry["name"]
                if not file.is_file():
                    raise FileNotFoundError(f"{file}: named in {path}, missing")

    @property
    def name(self):
        """The source's name."""
        return self.meta["source"]

    def _groups(self, period):
        """Row groups of a period, each file named: no reader ever looks for siblings."""
        return [
            group
            for entry in period["files"]
            for group in row_groups(self.folder / entry["name"], entry["rows"])
        ]

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
        groups = self._groups(self.meta["periods"]["train"])
        return Batches(groups, self.num_ids, batch_size, shuffle=shuffle, seed=seed, **kwargs)

    def validation(self, batch_size=4096, **kwargs):
        """Return the validation period as `Batches`, in the order of the log."""
        groups = self._groups(self.meta["periods"]["validation"])
        return Batches(groups, self.num_ids, batch_size, shuffle=False, **kwargs)

    def slots(self, count=None):
        """Return the list of the test period's slots, in chronological order.

        Args:
            count: int, to cut the period into that many nearly equal slots instead of those it
                was prepared with (a memory that learns more often is fresher). None: as prepared.

        Raises:
            ValueError: if `count` is not in [1, rows].
        """
        periods = self.meta["periods"]["slots"]
        if count is not None:
            return self._cut(periods, count)
        return [Slot(self._groups(p), 0, None, index, self) for index, p in enumerate(periods)]

    def validation_slots(self, count=5):
        """Return the validation period cut into `count` slots, for replay and tuning.

        Raises:
            ValueError: if `count` is not in [1, rows].
        """
        return self._cut([self.meta["periods"]["validation"]], count)

    def _cut(self, periods, count):
        groups = [group for period in periods for group in self._groups(period)]
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


class Slot:
    """Consecutive rows of the stream, read when asked for.

    Attributes:
        index: int, position in the stream.
    """

    def __init__(self, groups, start, stop, index, dataset):
        self.groups, self.start, self.stop, self.index = groups, start, stop, index
        self.num_ids = dataset.num_ids
        # id of each categorical field's out-of-vocabulary row
        self.unseen_ids = {
            column: (field["name"], field["offset"])
            for column, field in enumerate(dataset.fields)
            if field["kind"] == "categorical"
        }

    def load(self):
        """Return a dict of arrays: the feature columns (rows, F), `label`, and if there `group`,
        `time`, `true_probability` (rows,).
        """
        parts = [group.load(self.num_ids) for group in self.groups]
        return {
            name: np.concatenate([part[name] for part in parts])[self.start : self.stop]
            for name in parts[0]
        }

    def unseen_share(self, arrays):
        """Return a dict: categorical field's name -> share of rows with an unseen value."""
        ids = arrays["feature_ids"]
        return {
            name: float(np.mean(ids[:, column] == unseen))
            for column, (name, unseen) in self.unseen_ids.items()
        }

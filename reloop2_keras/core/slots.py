"""Consecutive rows of a prepared stream, as arrays."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reloop2_keras.core.reading import RowGroup

if TYPE_CHECKING:  # a dataset makes slots, so that it imports this module
    from reloop2_keras.core.dataset import PreparedDataset


class Slot:
    """Consecutive rows of the stream, read when asked for.

    Args:
        groups: row groups that hold the slot's rows, one after the other.
        start, stop: the slot's rows among theirs; `stop` None: to the end.
        index: int, position in the stream.
        dataset: `PreparedDataset`.

    Attributes:
        index: int, position in the stream.
    """

    def __init__(
        self,
        groups: Sequence[RowGroup],
        start: int,
        stop: int | None,
        index: int,
        dataset: "PreparedDataset",
    ) -> None:
        self.groups, self.start, self.index = list(groups), start, index
        self.stop = sum(group.rows for group in self.groups) if stop is None else stop
        self.ranges = dataset.ranges
        # id of each categorical field's out-of-vocabulary row
        self.unseen_ids = {
            column: (field["name"], field["offset"])
            for column, field in enumerate(dataset.fields)
            if field["kind"] == "categorical"
        }

    def load(self, columns: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return a dict of arrays: the feature columns (rows, F), `label`, and if there `group`,
        `time`, `true_probability` (rows,).

        Args:
            columns: names to read, or None for all.

        Raises:
            ValueError: naming the file, for what is wrong in it.
        """
        parts, first = [], 0
        for group in self.groups:
            start, stop = max(self.start - first, 0), min(self.stop - first, group.rows)
            arrays = group.load(self.ranges, columns)
            if stop - start < group.rows:
                # a copy: a view would hold the whole row group in memory
                arrays = {name: array[start:stop].copy() for name, array in arrays.items()}
            parts.append(arrays)
            first += group.rows
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def unseen_share(self, arrays: dict[str, np.ndarray]) -> dict[str, float]:
        """Return a dict: categorical field's name -> share of rows with an unseen value."""
        ids = arrays["feature_ids"]
        return {
            name: float(np.mean(ids[:, column] == unseen))
            for column, (name, unseen) in self.unseen_ids.items()
        }

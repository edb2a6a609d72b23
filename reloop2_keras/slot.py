"""Consecutive rows of a prepared stream, as arrays."""

import numpy as np
import pyarrow.parquet as pq

FEATURES = ("feature_ids", "feature_values", "feature_hashes")


class Slot:
    """Consecutive rows of the stream, read when asked for.

    Attributes:
        index: int, position in the stream.
    """

    def __init__(self, paths, start, stop, index, dataset):
        self.paths, self.start, self.stop, self.index = paths, start, stop, index
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
        parts = [read_arrays(pq.read_table(path), path, self.num_ids) for path in self.paths]
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


def read_arrays(table, path, num_ids):
    """Parquet columns as NumPy arrays, fixed lists as matrices; checked on the way in.

    Raises:
        ValueError: naming the file and the value for an id out of range or a wrong label.
    """
    arrays = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name in FEATURES:
            width = column.type.list_size
            arrays[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        else:
            arrays[name] = column.to_numpy(zero_copy_only=False)
    ids, label = arrays["feature_ids"], arrays["label"]
    if ids.size and (ids.min() < 0 or ids.max() >= num_ids):
        bad = ids[(ids < 0) | (ids >= num_ids)][0]
        raise ValueError(f"{path}: feature_ids must be in [0, {num_ids}), found {bad}")
    if label.size and label.max() > 1:
        raise ValueError(f"{path}: label must be 0 or 1, found {label.max()}")
    return arrays

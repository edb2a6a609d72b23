"""MindRecord files as NumPy arrays; importing this module lets core read them."""

from pathlib import Path

import numpy as np

from reloop2_keras.core.reading import STORAGES, Storage


def read_mindrecord(path, columns=None, batch_rows=65_536):
    """Read ONE MindRecord file through `mindspore.dataset`, rows in the file's order.

    The file stands in a list: `MindDataset("file")` would read its sibling shards as well, and a
    memory would then hold the rows it is scored on (method.md, section 7.2).

    Returns:
        dict of arrays, every column of the file or those named.
    """
    import mindspore.dataset as ds

    columns = None if columns is None else list(columns)
    rows = ds.MindDataset([str(path)], columns_list=columns, shuffle=False, num_parallel_workers=1)
    batches = rows.batch(batch_rows, drop_remainder=False)
    parts = list(batches.create_dict_iterator(num_epochs=1, output_numpy=True))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _rows(path: Path):
    import mindspore.dataset as ds

    return [ds.MindDataset([str(path)], shuffle=False).get_dataset_size()]


STORAGES[".mindrecord"] = Storage(
    _rows, lambda path, index, columns: read_mindrecord(path, columns)
)

"""MindRecord files as NumPy arrays; importing this module lets core read them."""

import numpy as np

from reloop2_keras.core.array_checks import damage_named
from reloop2_keras.core.reading import STORAGES, Storage

INDEX_SUFFIX = ".db"  # MindSpore's name for the second file that it writes beside each


def read_mindrecord(path, columns=None, batch_rows=65_536):
    """Read ONE MindRecord file through `mindspore.dataset`, rows in the file's order.

    The file stands in a list: `MindDataset("file")` would read its sibling shards as well, and a
    memory would then hold the rows it is scored on (docs/method.md, section 7.2).

    Returns:
        dict of arrays, every column of the file or those named.

    Raises:
        ValueError: naming the file, if it cannot be read.
    """
    import mindspore.dataset as ds

    columns = None if columns is None else list(columns)
    with damage_named(path, "a MindRecord file that can be read"):
        rows = ds.MindDataset(
            [str(path)], columns_list=columns, shuffle=False, num_parallel_workers=1
        )
        batches = rows.batch(batch_rows, drop_remainder=False)
        parts = list(batches.create_dict_iterator(num_epochs=1, output_numpy=True))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def summarize(path):
    """Return [rows], and column -> (type, width), from a MindRecord file's header and index.

    Raises:
        FileNotFoundError: if the file or its index is missing.
        ValueError: naming the file, if it cannot be read.
    """
    import mindspore.dataset as ds

    for part in (path, path.with_name(path.name + INDEX_SUFFIX)):
        if not part.is_file():
            raise FileNotFoundError(f"{part}: not found; a MindRecord file is two files")
    with damage_named(path, "a MindRecord file"):
        rows = ds.MindDataset([str(path)], shuffle=False)
        kinds = zip(rows.output_types(), rows.output_shapes(), strict=True)
        types = [(kind.name, shape[0] if shape else None) for kind, shape in kinds]
        return [rows.get_dataset_size()], dict(zip(rows.get_col_names(), types, strict=True))


def _read(path, index, columns):
    return read_mindrecord(path, columns)


STORAGES[".mindrecord"] = Storage(summarize, _read, INDEX_SUFFIX)

"""Prepared datasets as MindRecord: reading it, and writing it from Parquet.

A MindRecord dataset has the same periods and slots in the same order, a file for each row group of
a Parquet file, and a dataset.json that names them all. Importing this module lets core read it.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reloop2_keras.core.array_checks import FEATURES, damage_named
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.description import periods_of, sealed
from reloop2_keras.core.files import file_checksum, put_file
from reloop2_keras.core.folders import replaced_folder
from reloop2_keras.core.reading import STORAGES, Storage

BLOCK = 8192  # rows handed to the writer at once
INDEX_SUFFIX = ".db"  # MindSpore's name for the second file that it writes beside each


def read_mindrecord(
    path: Path, columns: Sequence[str] | None = None, batch_rows: int = 65_536
) -> dict[str, np.ndarray]:
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


def summarize(path: Path) -> tuple[list[int], dict[str, tuple[str, int | None]]]:
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


def _read(path: Path, index: int, columns: Sequence[str] | None) -> dict[str, np.ndarray]:
    return read_mindrecord(path, columns)


STORAGES[".mindrecord"] = Storage(summarize, _read, INDEX_SUFFIX)


def to_mindrecord(
    source: str | Path, target: str | Path, say: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Write a prepared dataset as MindRecord; all or nothing.

    Args:
        source: path of a prepared folder.
        target: path of the folder to make.
        say: function of a line, or None.

    Returns:
        dict, the content of the new dataset.json.

    Raises:
        FileExistsError: if `target` exists. FileNotFoundError, ValueError: as `PreparedDataset`.

    Example:
        >>> to_mindrecord("runs/demo/dataset", "runs/demo/mindrecord")["format"]
        'mindrecord'
    """
    dataset, target = PreparedDataset(source), Path(target)
    if target.exists():
        raise FileExistsError(f"{target}: exists already; choose another output")
    dataset.verify()  # what was damaged before would get a checksum that says it is whole
    with replaced_folder(target, replace=False) as beside:
        meta = json.loads(json.dumps(dataset.meta)) | {"format": "mindrecord"}
        for period, groups in zip(periods_of(meta), dataset.row_groups(), strict=True):
            period["files"] = []
            for group in groups:
                stem = group.path.relative_to(dataset.folder).with_suffix("")
                name = f"{stem}-{group.index:03d}.mindrecord"
                _write(beside / name, group.load(dataset.ranges))
                entry = {
                    "name": name,
                    "rows": group.rows,
                    "sha256": file_checksum(beside / name),
                    "index_sha256": file_checksum(beside / (name + INDEX_SUFFIX)),
                }
                period["files"].append(entry)
                if say:
                    say(f"{target / name}: {group.rows:,} rows")
        vocabulary = meta["vocabulary"]["name"]
        (beside / vocabulary).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(dataset.folder / vocabulary, beside / vocabulary)
        meta = sealed(meta)
        text = json.dumps(meta, indent=1, ensure_ascii=False) + "\n"
        put_file(beside / "dataset.json", text)
    return meta


def _write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write rows, and read them again: a checksum of a file that is cut off would be right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # MindRecord knows no uint8 and no 0-d columns
    arrays = {
        name: array.astype("int32") if array.dtype == np.uint8 else array
        for name, array in arrays.items()
    }
    schema = {
        name: {"type": str(array.dtype), "shape": [array.shape[1]]}
        if name in FEATURES
        else {"type": str(array.dtype)}
        for name, array in arrays.items()
    }
    try:
        _write_rows(path, schema, arrays)
        held = read_mindrecord(path)
    except (RuntimeError, ValueError, OSError) as error:  # a disk that is full, by many names
        lines = [line.strip(" -") for line in str(error).splitlines()]
        said = next(filter(None, lines), type(error).__name__)
        raise OSError(f"{path}: cannot be written: {said[:300]}") from error
    if not all(name in held and np.array_equal(held[name], a) for name, a in arrays.items()):
        raise OSError(f"{path}: cannot be written: what was written does not verify")


def _write_rows(path: Path, schema: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    from mindspore.mindrecord import FileWriter

    # one file a writer: siblings of a sharded one would be read along (docs/method.md, section 7.2)
    writer = FileWriter(str(path), shard_num=1)
    writer.add_schema(schema, "rows of a prepared dataset")
    rows = len(arrays["label"])
    for start in range(0, rows, BLOCK):
        columns = {name: array[start : start + BLOCK] for name, array in arrays.items()}
        writer.write_raw_data(
            [
                {
                    name: column[i] if name in FEATURES else column[i].item()
                    for name, column in columns.items()
                }
                for i in range(len(columns["label"]))
            ]
        )
    writer.commit()

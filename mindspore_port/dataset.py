"""Prepared datasets as MindRecord: python -m mindspore_port.dataset to-mindrecord IN OUT.

OUT gets the same periods and slots in the same order, a MindRecord file for each row group of a
Parquet file, and a dataset.json that names them all. Train and eval read it like IN.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from mindspore_port.data import PreparedDataset
from mindspore_port.logs import Log, fail
from mindspore_port.reading import INDEX_SUFFIX
from reloop2_keras.core.array_checks import FEATURES
from reloop2_keras.core.description import periods_of, sealed
from reloop2_keras.core.files import file_checksum

BLOCK = 8192  # rows handed to the writer at once


def to_mindrecord(source, target, say=None):
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
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        meta = json.loads(json.dumps(dataset.meta)) | {"format": "mindrecord"}
        for period, groups in zip(periods_of(meta), dataset.row_groups(), strict=True):
            period["files"] = []
            for group in groups:
                name = group.path.relative_to(dataset.folder).with_suffix("")
                name = f"{name}-{group.index:03d}.mindrecord"
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
        (beside / "dataset.json").write_text(text, encoding="utf-8")
        beside.chmod(0o755)  # mkdtemp's folders are private
        os.replace(beside, target)
    except BaseException:  # an interrupt too must leave nothing behind
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return meta


def _write(path, arrays):
    from mindspore.mindrecord import FileWriter

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


def main(argv=None):
    """Command line; returns the exit status: 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m mindspore_port.dataset", description=__doc__)
    parser.add_argument("command", choices=["to-mindrecord"])
    parser.add_argument("input", metavar="IN", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    args = parser.parse_args(argv)
    try:
        to_mindrecord(args.input, args.output, Log())
    except (ValueError, OSError) as error:
        return fail("dataset", error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Raw log -> prepared dataset: chronological periods, ids from the training period only."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_scripts.ahead import ahead
from data_scripts.errors import Errors, InputError
from data_scripts.vocabulary import FieldVocabulary, to_table
from data_scripts.writer import FILE_ROWS, PeriodWriter, checksum

SCHEMA_VERSION = 1
BLOCK = 4096  # rows of a matrix that stay in the cache while column after column is filled in


def prepare(
    source,
    output,
    threshold=1,
    train_fraction=0.5,
    validation_fraction=0.1,
    slots=20,
    train_line_count=None,
    limit=None,
    on_error="fail",
    chunk_rows=65_536,
    overwrite=False,
    progress=None,
):
    """Prepare a dataset folder (format: README of data_scripts); reads the log two or three times.

    Periods are cut by row order: training, validation, `slots` nearly equal slots; no row is
    dropped. Vocabulary and numeric maxima come from the training period only. All is written to
    a temporary folder beside `output` and renamed at the end.

    Args:
        source: what a function of `data_scripts.sources` returned.
        output: path of the folder to make.
        threshold: int; a value is kept when its training count is greater.
        train_fraction: float in (0, 1).
        validation_fraction: float in (0, 1).
        slots: int >= 1.
        train_line_count: int, training rows instead of `train_fraction`.
        limit: int, or None: use the first rows only.
        on_error: "fail" or "skip" bad rows (counted in dataset.json).
        chunk_rows: int, rows held at a time; does not change the result.
        overwrite: bool, whether an existing output may be replaced.
        progress: bool, or None to show bars on terminals only.

    Returns:
        dict, the content of dataset.json.

    Raises:
        ValueError: if an argument is out of range. InputError: for bad input.
        FileExistsError: if `output` exists.

    Example:
        >>> prepare(synthetic(rows=20_000), "runs/synthetic", slots=20)["num_ids"]
    """
    output = Path(output)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output}: exists already; choose another output or --overwrite")
    if not (threshold == int(threshold) and threshold >= 0):
        raise ValueError(f"`threshold` must be an integer >= 0. Received: {threshold}")

    def chunks(errors, description):
        left = limit
        bar = tqdm(desc=description, unit="row", unit_scale=True, disable=_off(progress))
        with bar:
            for frame in ahead(source.chunks(chunk_rows, errors)):
                if left is not None:
                    frame = frame.head(left)
                    left -= len(frame)
                bar.update(len(frame))
                yield frame
                if left == 0:
                    return

    errors = Errors(on_error, limit)
    # a bad row fails the run later in any case, so that lines are rows
    rows = source.count() if source.count is not None and on_error == "fail" else None
    if rows is None:
        rows = sum(len(frame) for frame in chunks(errors, "count rows"))
    elif limit is not None:
        rows = min(rows, limit)
    sizes = cut(rows, train_fraction, validation_fraction, slots, train_line_count)

    fields = [FieldVocabulary(name, kind, source.final_ids) for name, kind in source.fields]
    left = sizes[0]
    for frame in chunks(Errors(on_error, limit), "vocabulary"):
        frame = frame.head(left)
        for field in fields:
            field.count(frame[field.name])
        left -= len(frame)
        if left == 0:
            break
    num_ids = 0
    for field in fields:
        num_ids = field.close(num_ids, threshold)

    output.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        writer = PeriodWriter(beside, _plan(sizes))
        last, written = Errors(on_error, limit), 0
        frames = (frame for frame in chunks(last, "write") if len(frame))
        for columns in ahead(_encode(frame, fields, source.extras) for frame in frames):
            writer.write(columns)
            written += len(columns["label"])
        # what the readers found in the files is all there, or listed; sources may count nothing
        if last.rows_in and limit is None and last.rows_in != written + last.total:
            raise InputError(
                f"expected as many rows written and skipped as read, found {last.rows_in:,} read, "
                f"{written:,} written, {last.total:,} skipped"
            )
        meta = _describe(
            beside,
            source,
            fields,
            num_ids,
            sizes,
            writer.files,
            errors,
            {
                "threshold": threshold,
                "train_fraction": train_fraction,
                "validation_fraction": validation_fraction,
                "slots": slots,
                "train_line_count": train_line_count,
                "limit": limit,
                "on_error": on_error,
            },
        )
        beside.chmod(0o755)  # mkdtemp's folders are private
        if output.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{output.name}.old.", dir=output.parent))
            os.replace(output, old / "old")
            os.replace(beside, output)
            shutil.rmtree(old)
        else:
            os.replace(beside, output)
    except BaseException:  # an interrupt too must leave nothing behind
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return meta


def _off(progress):
    return None if progress is None else not progress


def cut(rows, train_fraction, validation_fraction, slots, train_line_count=None):
    """Return the periods' sizes: [training, validation, slot 0, slot 1, …]; they sum to `rows`."""
    for name, value in (
        ("train_fraction", train_fraction),
        ("validation_fraction", validation_fraction),
    ):
        if not 0 < value < 1:
            raise ValueError(f"`{name}` must be in (0, 1). Received: {value}")
    if int(slots) != slots or slots < 1:
        raise ValueError(f"`slots` must be a positive integer. Received: {slots}")
    train = int(rows * train_fraction) if train_line_count is None else int(train_line_count)
    validation = int(rows * validation_fraction)
    rest = rows - train - validation
    if train < 1 or validation < 1 or rest < slots:
        raise InputError(
            f"expected rows for training, validation and {slots} slots, found {rows} rows "
            f"(training {train}, validation {validation}, left {rest}); "
            "change `train_fraction`, `validation_fraction` or `slots`"
        )
    cuts = np.linspace(0, rest, slots + 1).astype(int)
    return [train, validation, *np.diff(cuts).tolist()]


def _plan(sizes):
    train, validation, *slots = sizes
    for period, rows in (("train", train), ("validation", validation)):
        for part, start in enumerate(range(0, rows, FILE_ROWS)):
            yield f"{period}/{part:03d}.parquet", min(FILE_ROWS, rows - start)
    for slot, rows in enumerate(slots):
        yield f"slots/{slot:03d}.parquet", rows


def _encode(frame, fields, extras):
    encoded = [field.encode(frame[field.name]) for field in fields]
    columns = {name: frame[name].to_numpy() for name in ("label", *extras)}
    for i, name in enumerate(("feature_ids", "feature_values", "feature_hashes")):
        columns[name] = _matrix([parts[i] for parts in encoded], len(frame))
    return columns


def _matrix(columns, rows):
    """Columns side by side; one of a single row stands for equal rows."""
    matrix = np.empty((rows, len(columns)), columns[0].dtype)
    for start in range(0, rows, BLOCK):
        part = matrix[start : start + BLOCK]
        for i, column in enumerate(columns):
            part[:, i] = column if len(column) == 1 else column[start : start + BLOCK]
    return matrix


def _describe(folder, source, fields, num_ids, sizes, files, errors, options):
    vocabulary = folder / "vocabulary.parquet"
    to_table(fields).write_parquet(vocabulary)

    def period(prefix, rows):
        return {"rows": rows, "files": [f for f in files if f["name"].startswith(prefix)]}

    meta = {
        "schema_version": SCHEMA_VERSION,
        "source": source.name,
        "options": {**source.options, **options},
        "num_ids": num_ids,
        "fields": [
            {
                "name": field.name,
                "kind": field.kind,
                "cardinality": field.cardinality,
                "offset": field.offset,
                **(
                    {"maximum": field.maximum, "clipped": field.clipped}
                    if field.kind == "numeric"
                    else {}
                ),
            }
            for field in fields
        ],
        "columns": ["label", *source.extras, "feature_ids", "feature_values", "feature_hashes"],
        "periods": {
            "train": period("train/", sizes[0]),
            "validation": period("validation/", sizes[1]),
            "slots": [period(f"slots/{i:03d}", rows) for i, rows in enumerate(sizes[2:])],
        },
        "vocabulary": {"name": vocabulary.name, "sha256": checksum(vocabulary)},
        "errors": {"total": errors.total, "first": errors.first},
    }
    text = json.dumps(meta, indent=1, ensure_ascii=False) + "\n"
    (folder / "dataset.json").write_text(text, encoding="utf-8")
    return meta

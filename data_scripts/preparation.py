"""Raw log -> prepared dataset: chronological periods, ids from the training period only."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data_scripts.atomic_folder import atomic_folder, recover
from data_scripts.bins import MOST_BINS
from data_scripts.encoding import MATRICES
from data_scripts.errors import Errors, InputError
from data_scripts.one_process import OneProcess
from data_scripts.output import check_output
from data_scripts.passes import Passes
from data_scripts.periods import period_sizes, plan_files
from data_scripts.preparation_work import PreparationWork
from data_scripts.ray_preparation import on_ray
from data_scripts.sources.source import Source
from data_scripts.vocabulary import FieldVocabulary, vocabulary_table
from data_scripts.writer import FORMAT
from reloop2_keras.core.arguments import MOST_CHUNK_ROWS, flag, integer, number, optional
from reloop2_keras.core.bad_rows import MAX_BAD
from reloop2_keras.core.description import SCHEMA_VERSION, sealed
from reloop2_keras.core.files import file_checksum, put_file, writing

Way = contextlib.AbstractContextManager[PreparationWork]
CUT = ("train_fraction", "validation_fraction", "slots", "train_rows")


def prepare(
    source: Source,
    output: str | os.PathLike[str],
    threshold: int = 1,
    train_fraction: float = 0.5,
    validation_fraction: float = 0.1,
    slots: int = 20,
    train_rows: int | None = None,
    limit: int | None = None,
    on_error: str = "fail",
    chunk_rows: int = 65_536,
    overwrite: bool = False,
    progress: bool | None = None,
    bins: int = 0,
    max_bad: float = MAX_BAD,
    engine: Any = None,
) -> dict[str, Any]:
    """Prepare a dataset folder (format: README of data_scripts); reads the log two or three times.

    Periods are cut by row order: training, validation, `slots` nearly equal slots; no row is
    dropped. Vocabulary and numeric maxima come from the training period only. All is written to
    a temporary folder beside `output` and renamed at the end. What a killed run left there is
    removed; a dataset that it was replacing is put back first.

    Args:
        source: what a function of `data_scripts.sources` returned.
        output: path of the folder to make.
        threshold: int >= 0; a value is kept when its training count is greater.
        train_fraction: float in (0, 1).
        validation_fraction: float in (0, 1).
        slots: int >= 1.
        train_rows: int >= 1, training rows instead of `train_fraction`.
        limit: int >= 1, or None: use the first rows only.
        on_error: "fail" or "skip" bad rows (counted in dataset.json). Why they were skipped, how
            many for each reason and the first example, is a warning of `data_scripts`' logger.
        chunk_rows: int >= 1, rows held at a time; does not change the result.
        overwrite: bool, whether an existing dataset may be replaced. Never replaced are a folder
            that holds anything else or an input, a file, and a link.
        progress: bool, or None to show bars on terminals only.
        bins: int, 0 or from 2 to 4,096: a numeric field's hash is that of its value's bin among so
            many quantiles of the training period. 0: that of its bucket (`bucket_numeric`).
        max_bad: float in [0, 1]; a greater share of bad rows is an error, though they are skipped.
        engine: what `reloop2_keras.core.ray_engine.ray_engine` gives, to let its workers do the
            work: the same bytes. What is done when a run is killed stays beside `output`, in
            `.NAME.parts`, and the same call goes on from there. None: this process does it.

    Returns:
        dict, the content of dataset.json.

    Raises:
        ValueError: if an argument is out of range, or `output` is or holds an input.
        InputError: for bad input, for too many bad rows, and for a log that changes while it is
            read.
        FileExistsError: if there is something at `output` that may not be replaced.
        OSError: naming the file, if one cannot be written.

    Example:
        >>> import tempfile
        >>> from data_scripts import synthetic
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     meta = prepare(synthetic(rows=600), f"{folder}/dataset", slots=3, progress=False)
        >>> meta["rows"]
        {'read': 600, 'prepared': 600, 'bad': 0, 'beyond_limit': 0}
    """
    output = Path(output)
    options: dict[str, Any] = {
        "threshold": integer("threshold", threshold, 0),
        "train_fraction": number("train_fraction", train_fraction, "(0, 1)"),
        "validation_fraction": number("validation_fraction", validation_fraction, "(0, 1)"),
        "slots": integer("slots", slots, 1),
        "train_rows": optional(integer, "train_rows", train_rows, 1),
        "limit": optional(integer, "limit", limit, 1),
        "on_error": Errors(on_error).on_error,
    }
    bins = integer("bins", bins, 0, MOST_BINS)
    if bins == 1:
        raise ValueError("`bins` must be 0, for none, or from 2 on. Received: 1")
    if bins:
        options["bins"] = bins
    chunk_rows = integer("chunk_rows", chunk_rows, 1, MOST_CHUNK_ROWS)
    max_bad = number("max_bad", max_bad, "[0, 1]")
    overwrite, progress = flag("overwrite", overwrite), optional(flag, "progress", progress)
    if not isinstance(source, Source):
        raise ValueError(f"`source` must be of data_scripts.sources. Received: {source!r}")
    if not source.fields:
        raise ValueError("`source` must have at least one field. Received: none")
    recover(output)
    check_output(output, overwrite, source.paths)

    passes = Passes(source, options["limit"], on_error, chunk_rows, progress)
    fields = [
        FieldVocabulary(name, kind, source.final_ids, bins=bins) for name, kind in source.fields
    ]
    if engine is None:
        way: Way = contextlib.nullcontext(OneProcess(source, passes))
    else:
        way = on_ray(engine, source, passes, output, options, chunk_rows)
    with way as work:
        rows = work.count()
        bad, told = passes.errors.total, passes.errors.told()
        passes.check_bad(max_bad)
        try:
            sizes = period_sizes(rows, *(options[name] for name in CUT))
        except InputError as error:
            raise InputError(f"{error}{told}") from None
        num_ids = work.count_values(fields, sizes[0], options["threshold"])
        with atomic_folder(output, overwrite, source.paths) as folder:
            periods = plan_files(sizes)
            files = work.write(fields, folder, sum(periods, []), output)
            passes.check_same(rows, bad)
            meta = {
                "schema_version": SCHEMA_VERSION,
                "source": source.name,
                "options": {**source.options, **options},
                "num_ids": num_ids,
                "fields": [_field(field) for field in fields],
                "raw": dataclasses.replace(source.raw, final_ids=source.final_ids).to_json(),
                "columns": ["label", *source.extras, *MATRICES],
                "periods": _periods(periods, sizes, files),
                "vocabulary": _vocabulary(folder, output, fields),
                "errors": {"total": passes.errors.total, "first": passes.errors.first},
                "rows": _rows(passes),
            }
            meta = sealed(meta)
            text = json.dumps(meta, indent=1, ensure_ascii=False) + "\n"
            with writing(output / "dataset.json"):
                put_file(folder / "dataset.json", text)
    return meta


def _field(field):
    entry = {name: getattr(field, name) for name in ("name", "kind", "cardinality", "offset")}
    if field.kind == "numeric":
        entry |= {"maximum": field.maximum, "clipped": field.clipped}
        if field.bins:
            entry["edges"] = field.edges
    return entry


def _periods(periods, sizes, files):
    """The periods' rows and files, which hold as many, for dataset.json."""
    entries = []
    for planned, rows in zip(periods, sizes, strict=True):
        entries.append({"rows": rows, "files": [files[name] for name, _ in planned]})
        written = sum(file["rows"] for file in entries[-1]["files"])
        if written != rows:
            names = ", ".join(name for name, _ in planned)
            raise RuntimeError(f"{names}: expected {rows:,} rows, found {written:,} written")
    return {"train": entries[0], "validation": entries[1], "slots": entries[2:]}


def _rows(passes):
    """Account for each row that was read: it is prepared, bad, or beyond the limit."""
    counts = {
        "prepared": passes.rows,
        "bad": passes.errors.total,
        "beyond_limit": passes.beyond_limit,
    }
    return {"read": sum(counts.values()), **counts}


def _vocabulary(folder, output, fields):
    name = "vocabulary.parquet"
    with writing(output / name):
        pq.write_table(vocabulary_table(fields).to_arrow(), folder / name, **FORMAT)
    return {"name": name, "sha256": file_checksum(folder / name)}

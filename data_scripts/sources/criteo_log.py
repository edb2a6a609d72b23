"""The Criteo display advertising log: label, integers, hexadecimal tokens; no header."""

import os
from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from data_scripts.errors import Errors
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.cuts import cut_lines
from data_scripts.sources.delimited import Format, parse_block
from data_scripts.sources.fast_delimited import parse_clean_block
from data_scripts.sources.inputs import block_size, blocks, count_lines, expand_paths, short_names
from data_scripts.sources.parts import Part, Parts
from data_scripts.sources.source import Source
from data_scripts.sources.values import numbers
from reloop2_keras.core.arguments import MOST_COLUMNS, integer
from reloop2_keras.core.raw_columns import RawColumns

TABS = Format("\t")


def criteo(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    dense_dim: int = 13,
    slot_dim: int = 26,
    skip_id_convert: bool = False,
) -> Source:
    """Read a Criteo `train.txt`: TSV, label, `dense_dim` integers, `slot_dim` tokens a line.

    The order of the log is the order of time; there is no time column.

    Args:
        path: the file, or several in the order of time, or a glob ("day_*.gz"; in the order of
            the numbers in the names); plain, .gz or .zst.
        dense_dim: int, numeric columns I1, I2, …
        slot_dim: int, categorical columns C1, C2, …
        skip_id_convert: bool. True: tokens are final ids (integers >= 0) already. They are kept,
            shifted by one, so that 0 stays the out-of-vocabulary id; ids above the training
            period's largest are out of vocabulary.

    Returns:
        `Source`.

    Raises:
        ValueError: if `dense_dim` or `slot_dim` is out of range.
    """
    paths = expand_paths(path)
    names = short_names(paths)
    dense_dim = integer("dense_dim", dense_dim, 0, MOST_COLUMNS)
    slot_dim = integer("slot_dim", slot_dim, 0, MOST_COLUMNS)
    dense = [f"I{i + 1}" for i in range(dense_dim)]
    sparse = [f"C{i + 1}" for i in range(slot_dim)]
    columns = ["label", *dense, *sparse]
    schema = {c: pl.Int64 if c in dense else pl.String for c in columns}

    def fast_frame(block: bytes, count: int) -> pl.DataFrame | None:
        """Return a block's canonical columns if nothing is wrong with it, else None."""
        frame = parse_clean_block(block, count, "\t", schema)
        if frame is None:
            return None
        good = frame["label"].is_in(["0", "1"]).fill_null(False).all()
        if good and skip_id_convert:
            good = all(frame[c].str.contains(r"^[0-9]{0,9}$").all() for c in sparse)
        if not good:
            return None
        return frame.with_columns(pl.col("label").cast(pl.UInt8), pl.col(dense).cast(pl.Float64))

    def careful_frame(chunk: Chunk) -> pl.DataFrame:
        """Return a chunk's canonical columns, and note its bad rows."""
        frame = chunk.frame
        wrong = ~frame["label"].is_in(["0", "1"])
        chunk.reject(wrong, frame["label"], "expected label 0 or 1")
        parsed = {name: numbers(chunk, name, integer=True) for name in dense}
        if skip_id_convert:
            for name in sparse:
                bad = ~frame[name].str.contains(r"^[0-9]{0,9}$")
                reason = f"expected a final id (integer >= 0) in column {name}"
                chunk.reject(bad, frame[name], reason)
        clicked = pl.when(pl.col("label") == "1").then(1).otherwise(0).cast(pl.UInt8)
        return frame.select(
            clicked.alias("label"),
            *[parsed[name].alias(name) for name in dense],
            *[pl.when(pl.col(c) == "").then(None).otherwise(pl.col(c)).alias(c) for c in sparse],
        )

    def chunks(chunk_rows: int, errors: Errors | None) -> Iterator[pl.DataFrame]:
        errors = errors or Errors()
        for file in range(len(paths)):
            yield from read_part(Part(file), chunk_rows, errors, None)
            if errors.left == 0:
                return

    def read_part(
        part: Part, chunk_rows: int, errors: Errors, seen: None
    ) -> Iterator[pl.DataFrame]:
        path, name = paths[part.file], names[part.file]
        for first, count, block in blocks(path, block_size(chunk_rows), part):
            frame = fast_frame(block, count)
            if frame is None:  # Some row is bad or unusual.
                chunk = parse_block(path, TABS, columns, columns, first, count, block)
                frame = careful_frame(chunk)
            else:
                chunk = Chunk(path, frame, np.arange(first, first + count))
            chunk.name = name
            yield from errors.keep_good_rows(chunk, frame).iter_slices(chunk_rows)
            if errors.left == 0:
                return

    def cut(size: int) -> list[Part]:
        return [part for i, path in enumerate(paths) for part in cut_lines(path, i, size)]

    return Source(
        "criteo",
        [(name, "numeric") for name in dense] + [(name, "categorical") for name in sparse],
        chunks,
        options={
            "dense_dim": dense_dim,
            "slot_dim": slot_dim,
            "skip_id_convert": skip_id_convert,
        },
        final_ids=skip_id_convert,
        count=lambda: count_lines(paths),
        paths=tuple(paths),
        raw=RawColumns(integers=True),
        parts=Parts(cut, read_part),
    )

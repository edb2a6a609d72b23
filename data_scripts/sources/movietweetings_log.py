"""MovieTweetings: ratings taken from Twitter, with times."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from data_scripts.derived_columns import derived_column
from data_scripts.errors import Errors, InputError
from data_scripts.sources.chunk import Chunk
from data_scripts.sources.inputs import blocks, packed_form
from data_scripts.sources.source import Source
from reloop2_keras.core.raw_columns import MOVIETWEETINGS


def _lines(path, parts):
    """Lines split at "::" as a `Chunk` with columns f0, f1, …; bad ones noted."""
    kept, places, count = [], [], 0
    wrong: list[tuple[int, str, str | bytes]] = []
    for _, _, block in blocks(path):
        for raw in block.removesuffix(b"\n").split(b"\n"):
            count += 1
            try:
                text = raw.decode("utf-8").removesuffix("\r")
            except UnicodeDecodeError:
                wrong.append((count, "expected UTF-8", raw[:60]))
                continue
            values = text.split("::")
            if len(values) != parts:
                reason = f"expected {parts} values separated by '::'"
                wrong.append((count, reason, text or "an empty line"))
                continue
            kept.append(values)
            places.append(count)
    names = [f"f{i}" for i in range(parts)]
    frame = pl.DataFrame(kept, schema=dict.fromkeys(names, pl.String), orient="row")
    chunk = Chunk(path, frame, np.array(places, "int64"), count)
    for item in wrong:
        chunk.note(*item)
    return chunk


def movietweetings(folder: str | os.PathLike[str]) -> Source:
    """Read `ratings.dat` and `movies.dat`; label = rating >= 8 (docs/method.md, section 4).

    Fields: user, item, genres (the whole string), year. The file is by user, so rows are sorted
    by time, ties in file order. The log is small (MBs) and is read whole. A movie that movies.dat
    does not have lacks genres and year; one that has several different lines there has the first,
    the others are bad rows.

    Args:
        folder: the folder that holds both files, plain or as .gz or .zst.

    Returns:
        `Source` with group = user and time in Unix seconds.
    """
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"{folder}: expected a folder with ratings.dat and movies.dat")
    paths = tuple(packed_form(folder / name) for name in ("ratings.dat", "movies.dat"))

    def chunks(chunk_rows: int, errors: Errors | None) -> Iterator[pl.DataFrame]:
        errors = errors or Errors()
        chunk = _lines(paths[0], 4)
        ratings = chunk.frame
        for column, what in (("f0", "a user id"), ("f2", "a rating"), ("f3", "Unix seconds")):
            parsed = ratings[column].cast(pl.Int64, strict=False)
            # Numbers from 1e11 on are milliseconds.
            bad = parsed.is_null() | (column == "f3" and parsed.abs() >= 10**11)
            chunk.reject(bad, ratings[column], f"expected {what}")
            ratings = ratings.with_columns(parsed.alias(column))
        wrong = ~ratings["f2"].is_between(0, 10)
        chunk.reject(wrong, ratings["f2"], "expected a rating from 0 to 10")
        ratings = ratings.with_columns(line=chunk.lines)
        ratings = errors.keep_good_rows(chunk, ratings, limited=False)
        chunk = _lines(paths[1], 3)
        ids = chunk.frame["f0"]
        # An equal line is harmless; of two that differ nobody knows which is right.
        differ = chunk.frame.select(pl.struct(pl.all()).is_first_distinct()).to_series()
        chunk.reject(differ & ~ids.is_first_distinct(), ids, "expected one line for each movie")
        movies = errors.keep_good_rows(chunk, chunk.frame, limited=False)
        errors.rows_in -= len(movies)  # Movies are no rows of the log.
        movies = movies.select(
            item=pl.col("f0"),
            year=derived_column(movies["f1"], MOVIETWEETINGS.derived["year"]),
            genres=pl.when(pl.col("f2") == "").then(None).otherwise(pl.col("f2")),
        )
        frame = (
            ratings.sort("f3", "line")
            .join(
                movies.unique("item", keep="first"),
                left_on="f1",
                right_on="item",
                how="left",
                maintain_order="left",
            )
            .select(
                label=(pl.col("f2") >= 8).cast(pl.UInt8),
                group=pl.col("f0"),
                time=pl.col("f3"),
                user=pl.col("f0").cast(pl.String),
                item=pl.col("f1"),
                genres=pl.col("genres"),
                year=pl.col("year"),
            )
        )
        yield from frame.iter_slices(chunk_rows)

    fields = [(name, "categorical") for name in ("user", "item", "genres", "year")]
    extras = ("group", "time")
    return Source("movietweetings", fields, chunks, extras, paths=paths, raw=MOVIETWEETINGS)

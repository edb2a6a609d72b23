"""MovieTweetings: ratings taken from Twitter, with times."""

from pathlib import Path

import polars as pl

from data_scripts.errors import InputError
from data_scripts.sources.source import Source


def _lines(path, parts, errors):
    """Lines split at "::" as a DataFrame with columns line, f0, f1, …; bad ones noted."""
    if not path.is_file():
        raise InputError(f"{path}: expected a file, found none")
    kept = []
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                text = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                errors.add(path, number, "expected UTF-8", raw[:60])
                continue
            values = text.split("::")
            if len(values) != parts:
                errors.add(path, number, f"expected {parts} values separated by '::'", text)
                continue
            kept.append((number, *values))
    if not kept:
        raise InputError(f"{path}:1: expected rows, found an empty file")
    return pl.DataFrame(kept, schema=["line", *[f"f{i}" for i in range(parts)]], orient="row")


def movietweetings(folder):
    """Read `ratings.dat` and `movies.dat`; label = rating >= 8 (method.md, section 4).

    Fields: user, item, genres (the whole string), year. The file is by user, so rows are sorted
    by time, ties in file order. The log is small (MBs) and is read whole.

    Args:
        folder: the folder that holds both files.

    Returns:
        `Source` with group = user and time in Unix seconds.
    """
    folder = Path(folder)

    def chunks(chunk_rows, errors):
        path = folder / "ratings.dat"
        ratings = _lines(path, 4, errors)
        for column, what in (("f0", "a user id"), ("f2", "a rating"), ("f3", "Unix seconds")):
            parsed = ratings[column].cast(pl.Int64, strict=False)
            for row in parsed.is_null().arg_true().to_list():
                errors.add(path, ratings["line"][row], f"expected {what}", ratings[column][row])
            ratings = ratings.with_columns(parsed.alias(column)).filter(
                pl.col(column).is_not_null()
            )
        movies = _lines(folder / "movies.dat", 3, errors).select(
            item=pl.col("f0"),
            year=pl.col("f1").str.extract(r"\((\d{4})\)\s*$"),
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
    paths = (folder / "ratings.dat", folder / "movies.dat")
    return Source("movietweetings", fields, chunks, extras=("group", "time"), paths=paths)

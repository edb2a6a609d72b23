"""The Criteo display advertising log: label, integers, hexadecimal tokens; no header."""

from pathlib import Path

import polars as pl

from data_scripts.arguments import MOST_COLUMNS, integer
from data_scripts.sources.delimited import count_lines, numbers, read_delimited, reject
from data_scripts.sources.regular import read_regular
from data_scripts.sources.source import Source


def criteo(path, dense_dim=13, slot_dim=26, skip_id_convert=False):
    """Read a Criteo `train.txt`: TSV, label, `dense_dim` integers, `slot_dim` tokens a line.

    The order of the log is the order of time; there is no time column.

    Args:
        path: the file.
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
    path = Path(path)
    dense_dim = integer("dense_dim", dense_dim, 0, MOST_COLUMNS)
    slot_dim = integer("slot_dim", slot_dim, 0, MOST_COLUMNS)
    dense = [f"I{i + 1}" for i in range(dense_dim)]
    sparse = [f"C{i + 1}" for i in range(slot_dim)]

    def regular(frame):
        good = frame["label"].is_in(["0", "1"]).fill_null(False).all()
        if skip_id_convert:
            good = good and all(frame[c].str.contains(r"^\d{0,9}$").all() for c in sparse)
        if not good:
            return None
        return frame.with_columns(pl.col("label").cast(pl.UInt8), pl.col(dense).cast(pl.Float64))

    def chunks(chunk_rows, errors):
        columns = ["label", *dense, *sparse]
        schema = {c: pl.Int64 if c in dense else pl.String for c in columns}
        done = yield from read_regular(path, "\t", schema, chunk_rows, regular)
        if done is None:
            return
        # from here on with care: each bad line is named
        for frame, line_of in read_delimited(path, "\t", columns, False, None, chunk_rows, errors):
            keep = [pl.repeat(True, len(frame), eager=True)]
            wrong = ~frame["label"].is_in(["0", "1"])
            reject(wrong, frame["label"], path, line_of, errors, keep, "expected label 0 or 1")
            parsed = {
                name: numbers(frame, name, path, line_of, errors, keep, integer=True)
                for name in dense
            }
            if skip_id_convert:
                for name in sparse:
                    bad = ~frame[name].str.contains(r"^\d{0,9}$")
                    reason = f"expected a final id (integer >= 0) in column {name}"
                    reject(bad, frame[name], path, line_of, errors, keep, reason)
            skip = min(done, len(frame))
            done -= skip
            yield (
                frame.select(
                    pl.when(frame["label"] == "1")
                    .then(1)
                    .otherwise(0)
                    .cast(pl.UInt8)
                    .alias("label"),
                    *[parsed[name].alias(name) for name in dense],
                    *[
                        pl.when(pl.col(c) == "").then(None).otherwise(pl.col(c)).alias(c)
                        for c in sparse
                    ],
                )
                .filter(keep[0])
                .slice(skip)
            )

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
        count=lambda: count_lines(path),
        paths=(path,),
    )

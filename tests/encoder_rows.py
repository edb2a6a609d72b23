"""What tests of the encoder share: a dataset's arrays, and raw rows fed back in every form."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.encoder import Encoder

NAMES = ("feature_ids", "feature_values", "feature_hashes")


def prepared(folder):
    """All arrays of a dataset, in the order of time."""
    dataset = PreparedDataset(folder)
    parts = [g.load(dataset.ranges) for groups in dataset.row_groups() for g in groups]
    return {name: np.concatenate([part[name] for part in parts]) for name in (*NAMES, "label")}


def assert_equal(got, want, rows=slice(None)):
    """Arrays equal to the bit: type, shape, and the sign of -0.0 too."""
    assert set(got) <= set(want)
    for name in (*NAMES, "label") if "label" in got else NAMES:
        expected = want[name][rows]
        assert got[name].dtype == expected.dtype and got[name].shape == expected.shape
        if got[name].tobytes() != expected.tobytes():
            place = tuple(np.argwhere(got[name] != expected)[0])
            raise AssertionError(f"{name}{place}: {got[name][place]}, not {expected[place]}")


def frames(columns):
    """The same columns as tables of pandas, Polars and Arrow."""
    yield pd.DataFrame(columns)
    yield pl.DataFrame(columns)
    yield pa.table(columns)
    yield pa.RecordBatch.from_pydict(columns)


def feed_back(folder, rows, frames_of=frames, each=None):
    """Encode raw rows one by one, as a list, and as tables; all must equal the dataset.

    Args:
        rows: list of dicts, in the order of the dataset.
        frames_of: makes tables of a dict of columns; None: no tables.
        each: int, the rows that are also encoded one by one; None: all.
    """
    encoder, want = Encoder.load(folder), prepared(folder)
    assert len(rows) == len(want["label"])
    for row in range(len(rows))[:each]:
        assert_equal(encoder.encode(rows[row]), want, slice(row, row + 1))
    assert "label" in encoder.encode(rows[:2])
    assert_equal(encoder.encode(rows), want)
    again = Encoder.from_bytes(encoder.to_bytes())
    assert_equal(again.encode(rows[-50:]), want, slice(-50, None))
    if frames_of:
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        for frame in frames_of(columns):
            assert_equal(encoder.encode(frame), want)


def delimited_rows(path, names=None, separator="\t"):
    """The lines of a plain text file as dicts; without quotes."""
    lines = path.read_text(encoding="utf-8").splitlines()
    names, lines = (lines[0].split(separator), lines[1:]) if names is None else (names, lines)
    return [dict(zip(names, line.split(separator), strict=True)) for line in lines]

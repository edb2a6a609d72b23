"""Periods and their files: names, rows, page checksums."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_scripts import InputError, prepare, synthetic
from data_scripts.periods import period_sizes, plan_files
from data_scripts.writer import PeriodWriter

MAKE = {"progress": False}


def source(rows):
    return synthetic(rows=rows, seed=3, users=20, items=10)


@pytest.mark.parametrize("slots", [1000, 1001])
def test_each_slot_holds_its_own_rows_and_no_others(slots, tmp_path):
    rows = 4000
    meta = prepare(source(rows), tmp_path / "out", slots=slots, **MAKE)
    assert meta == json.loads((tmp_path / "out" / "dataset.json").read_text())
    periods = [meta["periods"]["train"], meta["periods"]["validation"], *meta["periods"]["slots"]]
    sizes = period_sizes(rows, 0.5, 0.1, slots)
    assert [period["rows"] for period in periods] == sizes and sum(sizes) == rows
    names = [[entry["name"] for entry in period["files"]] for period in periods]
    assert all(len(files) == 1 for files in names)
    flat = sum(names, [])
    # no file is in two periods, none starts another one's name, names sort as numbers do
    assert len(set(flat)) == slots + 2 and sorted(flat[2:]) == flat[2:]
    digits = 3 if slots <= 1000 else 4
    assert flat[2] == f"slots/{0:0{digits}d}.parquet"
    parts = [pq.read_table(tmp_path / "out" / name) for name in flat]
    assert [len(part) for part in parts] == sizes
    # the stream's order is the log's
    truth = np.concatenate([part["true_probability"].to_numpy() for part in parts])
    frames = list(source(rows).chunks(rows, None))
    np.testing.assert_array_equal(truth, frames[0]["true_probability"].to_numpy())


def test_long_periods_are_several_files_with_wide_enough_names():
    periods = plan_files([2001, 3, 4], file_rows=2)
    assert periods[0][0] == ("train/0000.parquet", 2) and periods[0][-1][1] == 1
    assert len(periods[0]) == 1001
    assert periods[1] == [("validation/000.parquet", 2), ("validation/001.parquet", 1)]
    assert periods[2] == [("slots/000.parquet", 4)]  # a slot is one file


def test_more_or_fewer_rows_than_planned_are_refused(tmp_path):
    for rows, found in ((4, "found 4"), (6, "found more")):
        writer = PeriodWriter(tmp_path, [("a.parquet", 2), ("b.parquet", 3)])
        with pytest.raises(InputError, match=f"expected 5 rows, .* {found}"):
            writer.write({"label": np.zeros(rows, "uint8")})
            writer.finish()


def test_a_flipped_bit_in_any_page_is_told(tmp_path):
    out = tmp_path / "out"
    prepare(source(3000), out, slots=2, **MAKE)
    rng, tried = np.random.default_rng(5), 0
    for path in sorted(out.rglob("*.parquet")):
        whole = path.read_bytes()
        metadata = pq.read_metadata(path)
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(0).column(column)
            start = chunk.dictionary_page_offset or chunk.data_page_offset
            stop = start + chunk.total_compressed_size
            broken = bytearray(whole)
            broken[int(rng.integers((start + stop) // 2, stop))] ^= 1 << int(rng.integers(8))
            path.write_bytes(broken)
            with pytest.raises(OSError):
                pq.read_table(path, page_checksum_verification=True)
            tried += 1
        path.write_bytes(whole)
        pq.read_table(path, page_checksum_verification=True)
    assert tried > 20

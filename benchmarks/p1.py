"""P1: preprocessing a log in Criteo's format with realistic cardinalities, rows a second."""

import contextlib
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import line_by_line
from benchmarks.common import compare, interleaved, need, write

BACKENDS = (None,)
# distinct values of the 26 fields, as in Criteo's log, cut at 1e6
CARDINALITIES = [1460, 583, 1_000_000, 1_000_000, 305, 24, 12517, 633, 3, 93145, 5683, 1_000_000]
CARDINALITIES += [3194, 27, 14992, 1_000_000, 10, 5652, 2173, 4, 1_000_000, 18, 15, 286181, 105]
CARDINALITIES += [142572]


def criteo_log(path, rows, seed=0):
    """Write a raw log: Zipf-like tokens of 8 hexadecimal digits, a fifth of the numbers empty."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        for start in range(0, rows, 100_000):
            n = min(100_000, rows - start)
            columns = {"label": (rng.random(n) < 0.25).astype("int8")}
            for i in range(13):
                x = np.floor(np.exp(rng.standard_normal(n) * 1.5 + 1.5)).astype("int64")
                columns[f"I{i}"] = pl.Series(x).set(pl.Series(rng.random(n) < 0.2), None)
            for i, size in enumerate(CARDINALITIES):
                rank = np.minimum(rng.pareto(0.6, n) * 3, size - 1).astype("uint64")
                token = (rank * np.uint64(2654435761) + np.uint64(i)) % np.uint64(1 << 32)
                distinct, inverse = np.unique(token, return_inverse=True)
                text = pl.Series([f"{value:08x}" for value in distinct.tolist()]).gather(inverse)
                columns[f"C{i}"] = text.set(pl.Series(rng.random(n) < 0.03), None)
            frame = pl.DataFrame(columns)
            frame.write_csv(file, separator="\t", include_header=False)


def run(quick):
    from data_scripts import criteo, prepare

    rows = 30_000 if quick else 2_000_000
    few = rows if quick else 200_000  # what the slow peer gets
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        criteo_log(folder / "log.tsv", rows)
        with (folder / "log.tsv").open("rb") as whole, (folder / "few.tsv").open("wb") as part:
            for _ in range(few):
                part.write(whole.readline())

        def ours():
            prepare(criteo(folder / "log.tsv"), folder / "ours", overwrite=True, progress=False)

        functions = {
            "ours": ours,
            "lines": lambda: line_by_line.prepare(folder / "few.tsv", folder / "few.npz"),
        }
        times = interleaved(functions, repetitions=3 if quick else 5, warmup=0)
        times["lines"] = [t * rows / few for t in times["lines"]]
        note = f"{rows:,} rows; the peer {few:,} of them"
        unit = {"unit": "us a row", "scale": 1e6 / rows}
        compare("p1-prepare-against-line-by-line", times, "ours", "lines", 20, **unit, note=note)
        against_fuxictr(folder, times, rows, few)


def against_fuxictr(folder, times, rows, few):
    name, target = "p1-prepare-against-fuxictr", 4
    if need("fuxictr", name, target, "us a row") is None:
        return
    names = ["label", *[f"I{i}" for i in range(13)], *[f"C{i}" for i in range(26)]]
    frame = pl.read_csv(folder / "few.tsv", separator="\t", has_header=False, new_columns=names)
    frame.write_csv(folder / "train.csv")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            seconds = interleaved({"fuxictr": lambda: _fuxictr(folder)}, 1, warmup=0)["fuxictr"]
    except Exception as error:  # the row says what the peer could not do
        note = f"peer fuxictr broke: {type(error).__name__}: {error}"[:200]
        write(name, None, None, "us a row", None, target, note=note)
        return
    times["fuxictr"] = [t * rows / few for t in seconds] * len(times["ours"])
    unit = {"unit": "us a row", "scale": 1e6 / rows}
    note = f"the peer once, {few:,} rows, after ours"
    compare(name, times, "ours", "fuxictr", target, **unit, note=note)


def _fuxictr(folder):
    """Its processor's own steps: read, fit, transform, save. Without Ray, that spreads them."""
    from fuxictr.preprocess import FeatureProcessor, feature_processor

    shutil.rmtree(folder / "fuxictr", ignore_errors=True)
    numeric = {
        "name": [f"I{i}" for i in range(13)],
        "active": True,
        "dtype": "float",
        "type": "numeric",
        "normalizer": "MinMaxScaler",
    }
    categorical = {
        "name": [f"C{i}" for i in range(26)],
        "active": True,
        "dtype": "str",
        "type": "categorical",
    }
    label = {"name": "label", "dtype": "float"}
    processor = FeatureProcessor([numeric, categorical], label, "fuxictr", data_root=str(folder))
    # this version asks Polars for an argument that Polars 2 calls by another name
    scan = pl.scan_csv
    feature_processor.pl.scan_csv = lambda dtypes, **kwargs: scan(schema_overrides=dtypes, **kwargs)
    try:
        table = processor.preprocess(processor.read_data(str(folder / "train.csv")))
    finally:
        feature_processor.pl.scan_csv = scan
    processor.fit(table, min_categr_count=2, num_buckets=10)
    table = table.collect()
    columns = processor.transform({name: table[name].to_numpy() for name in table.columns})
    pl.DataFrame(dict(columns)).write_parquet(folder / "fuxictr.parquet")

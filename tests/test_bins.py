"""Bins of numeric fields: quantiles of the training period, the same whatever the chunks."""

import json

import numpy as np
import polars as pl
import pytest

from data_scripts import criteo, prepare, table
from data_scripts.__main__ import main
from data_scripts.bins import NumberSample, bin_texts
from data_scripts.vocabulary import hash_text


def sampled(values, size, step):
    sample = NumberSample(size)
    for start in range(0, len(values), step):
        sample.add(values[start : start + step])
    return sample


def log(folder, numbers):
    rows = [f"{n % 2},{'' if np.isnan(x) else x}" for n, x in enumerate(numbers)]
    path = folder / "log.csv"
    path.write_text("\n".join(["y,x", *rows]) + "\n")
    return table(path, "y", numeric=["x"])


def hashes(folder):
    parts = sorted(folder.glob("*/*.parquet"), key=lambda p: (p.parts[-2] != "train", p))
    order = [p for p in parts if "train" in p.parts]
    order += [p for p in parts if "validation" in p.parts] + [
        p for p in parts if "slots" in p.parts
    ]
    return pl.concat([pl.read_parquet(p) for p in order])["feature_hashes"].arr.get(0)


def test_edges_are_exact_while_all_numbers_fit():
    values = np.random.default_rng(1).standard_normal(1000)
    values[::7] = np.nan
    want = np.nanquantile(values, np.arange(1, 8) / 8)
    for step in (1, 13, 1000):
        assert sampled(values, 1000, step).edges(8) == want.tolist()
    assert NumberSample().edges(8) == []


def test_a_sample_is_bounded_even_and_the_same_whatever_the_chunks():
    values = np.arange(20_000.0)
    one = sampled(values, 1000, 20_000)
    assert one.edges(8) == sampled(values, 1000, 7).edges(8) == sampled(values, 1000, 1001).edges(8)
    assert len(one._values) == 1000
    want = np.arange(1, 8) * 2500
    assert np.abs(np.array(one.edges(8)) - want).max() < 1200  # four standard errors and less


@pytest.mark.parametrize("ties", [False, True])
def test_coarse_bins_are_unions_of_fine_ones(ties):
    values = np.random.default_rng(2).exponential(size=3000)
    values = np.floor(values) if ties else values
    sample = sampled(values, 3000, 3000)
    found = {
        bins: bin_texts(pl.Series(values), sample.edges(bins))
        .str.slice(1)
        .cast(pl.Int64)
        .to_numpy()
        for bins in (8, 32, 128)
    }
    assert (found[128] // 4 == found[32]).all() and (found[128] // 16 == found[8]).all()
    if not ties:
        assert np.abs(np.bincount(found[8]) - 375).max() <= 1


def test_hashes_are_those_of_bins_of_the_training_period_alone(tmp_path):
    rng = np.random.default_rng(3)
    numbers = np.round(rng.standard_normal(400), 3)
    numbers[5::9] = np.nan
    numbers[200:] += 100.0  # the rest must not move the edges
    cut = {"train_fraction": 0.5, "validation_fraction": 0.2, "slots": 2, "bins": 8}
    meta = prepare(log(tmp_path, numbers), tmp_path / "a", **cut)
    again = prepare(log(tmp_path, numbers), tmp_path / "b", chunk_rows=7, **cut)
    assert meta == again and meta["options"]["bins"] == 8
    edges = meta["fields"][0]["edges"]
    assert edges == np.nanquantile(numbers[:200], np.arange(1, 8) / 8).tolist()
    texts = [None if np.isnan(x) else f"q{sum(e <= x for e in edges)}" for x in numbers]
    got = hashes(tmp_path / "a")
    assert got.to_list() == hash_text(pl.Series(texts, dtype=pl.String)).to_list()
    assert got.n_unique() == 9  # eight bins and missing
    values = pl.read_parquet(tmp_path / "a" / "train" / "000.parquet")["feature_values"].arr.get(0)
    scaled = (np.nan_to_num(numbers[:200]) / np.nanmax(np.abs(numbers[:200]))).astype("f4")
    assert (values.to_numpy() == scaled).all()  # as without bins


def test_without_bins_nothing_is_added(tmp_path):
    meta = prepare(log(tmp_path, np.arange(40.0)), tmp_path / "out", slots=2)
    assert "bins" not in meta["options"] and "edges" not in meta["fields"][0]


def test_a_field_without_a_number_has_no_edges_and_the_readers_open_it(tmp_path):
    numbers = np.full(40, np.nan)
    numbers[30:] = 3.0
    prepare(log(tmp_path, numbers), tmp_path / "out", slots=2, bins=4)
    meta = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert meta["fields"][0]["edges"] == []
    want = hash_text(pl.Series([None] * 30 + ["q0"] * 10, dtype=pl.String))
    assert hashes(tmp_path / "out").to_list() == want.to_list()


def test_bins_are_an_option_of_the_command(tmp_path, capsys):
    path = tmp_path / "log.tsv"
    path.write_text("".join(f"{n % 2}\t{n}\tab\n" for n in range(40)))
    words = ["criteo", str(path), str(tmp_path / "out"), "--dense-dim=1", "--slot-dim=1"]
    words += ["--slots", "2"]
    assert main([*words, "--bins", "1"]) == 2
    assert "`bins` must be 0, for none, or from 2 on" in capsys.readouterr().err
    assert main([*words, "--bins", "4"]) == 0
    meta = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert meta["fields"][0]["edges"] == [4.75, 9.5, 14.25]
    for value in (-1, 1.5, "8", True, 10**6):
        with pytest.raises(ValueError, match="^`bins` must be an integer from 0 to 4,096"):
            prepare(criteo(path, 1, 1), tmp_path / "other", bins=value)

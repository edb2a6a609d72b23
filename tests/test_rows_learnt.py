"""A file of rows that a model was shipped with is not learnt again in silence."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_scripts import prepare, sources
from reloop2_keras.__main__ import main
from reloop2_keras.core.dataset import PreparedDataset
from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.online import Online
from reloop2_keras.core.serving import load_shipped, ship
from reloop2_keras.core.serving.rows_learnt import RowsLearnt, runs_of


def log(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        [f"u{rng.integers(40)}", round(float(rng.uniform(1, 9)), 2), n, int(rng.random() < 0.3)]
        for n in range(count)
    ]


def written(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["user", "price", "time", "click"], *rows])
    return path


@pytest.fixture
def folder(tmp_path):
    source = sources.table(
        written(tmp_path / "log.csv", log(600)),
        label="click",
        categorical=["user"],
        numeric=["price"],
        time="time",
    )
    prepare(source, tmp_path / "dataset", slots=3, progress=False)
    online = Online(2, [], crosses=[[0, 1]], bits=6, block_rows=32)
    learnt = RowsLearnt.of_dataset(PreparedDataset(tmp_path / "dataset"))
    ship(tmp_path / "model", online, Encoder.load(tmp_path / "dataset"), learnt=learnt)
    return tmp_path


def learn(capsys, folder, name, *more):
    status = main(["learn", str(folder / "model"), str(folder / name), "--quiet", *more])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_log_that_was_shipped_is_refused_and_learnt_if_one_insists(folder, capsys):
    assert load_shipped(folder / "model").learnt.rows == 600
    status, _, said = learn(capsys, folder, "log.csv")
    assert status == 2 and said.count("\n") == 1
    assert "all its rows are among the 600 that the model had learnt when it was shipped" in said
    status, out, said = learn(capsys, folder, "log.csv", "--again")
    assert status == 0 and "read 600 rows" in out and not said


def test_a_file_that_goes_on_is_told_how_many_to_leave_out(folder, capsys):
    written(folder / "longer.csv", [*log(600)[100:], *log(90, seed=1)])
    status, _, said = learn(capsys, folder, "longer.csv")
    assert status == 2 and "its first 500 rows are among the 600" in said
    written(folder / "new.csv", log(90, seed=1))
    status, out, said = learn(capsys, folder, "new.csv")
    assert status == 0 and "read 90 rows" in out and not said
    # going on with a file that grew is no new beginning
    written(folder / "new.csv", log(120, seed=1))
    assert learn(capsys, folder, "new.csv")[0] == 0


def test_where_nothing_is_known_it_is_said(folder, capsys):
    shipped = load_shipped(folder / "model")
    ship(folder / "model", shipped.online, shipped.encoder)
    status, _, said = learn(capsys, folder, "log.csv")
    assert status == 0 and said.startswith("warning: ") and "which rows it has learnt" in said


@given(
    st.integers(0, 60), st.integers(1, 60), st.integers(1, 30), st.integers(8, 70), st.integers(0)
)
def test_runs_are_those_of_brute_force_however_a_log_is_cut(rows, part, other, limit, seed):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(-5, 5, (rows, 3)).astype("int32")
    labels = rng.integers(0, 2, rows)
    want = [runs_of(hashes[k : k + 8], labels[k : k + 8])[0] for k in range(max(0, rows - 7))]
    cuts = [slice(k, k + part) for k in range(0, rows, part)]
    known = RowsLearnt.of([(hashes[c], labels[c]) for c in cuts], limit)
    kept = sorted(set(want))[:limit]
    assert known.rows == rows and known.runs.tolist() == [int(x) for x in kept]
    again = RowsLearnt.of_state(*known.state())
    assert again.has(np.array(want, "uint64")).sum() == sum(x in kept for x in want)

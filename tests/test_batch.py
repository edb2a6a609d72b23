"""`learn` and `predict` over files: right, whatever the chunks and the stops in between."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from batch_case import KINDS, labelled, learn, predict, shipped_model, text, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_model import assert_same

from reloop2_keras.core.metrics import auc, logloss
from reloop2_keras.core.serving import Store

ROWS = 700
FEW = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def by_hand(folder, some, delay=0):
    """Score a batch, then learn it: scores, and the model."""
    model, _ = shipped_model(folder)
    scores, waiting = [], []
    for first in range(0, len(some), 256):
        part = some[first : first + 256]
        served = model.score(model.encoder.encode([_known(row) for row in part]))
        scores.append(served["corrected"])
        waiting.append((first + len(part), served, [row["click"] for row in part]))
        while waiting and waiting[0][0] <= first + len(part) - delay:
            _, served, truth = waiting.pop(0)
            model.replay({"kind": "rows"}, {**served, "truth": np.array(truth, "float64")})
    for _, served, truth in waiting:
        model.replay({"kind": "rows"}, {**served, "truth": np.array(truth, "float64")})
    return np.concatenate(scores), model


def _known(row):
    return {name: row[name] for name in ("user", "age")}


def same_learning(one, other):
    for name, array in one.online.state().items():
        np.testing.assert_array_equal(array, other.online.state()[name], err_msg=name)
    assert one.counts == other.counts and one.alarms.state() == other.alarms.state()
    assert one.unseen == other.unseen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delay", [0, 300])
def test_learning_is_that_of_the_batches_by_hand(tmp_path, kind, delay):
    some = labelled(ROWS)
    model, done = learn(tmp_path, write(tmp_path, some, kind), delay=delay)
    scores, want = by_hand(tmp_path, some, delay)
    same_learning(model, want)
    truth = np.array([row["click"] for row in some])
    assert (done.first, done.rows, done.bad, done.whole) == (0, ROWS, 0, True)
    assert done.result["rows"] == ROWS
    assert done.result["auc"] == pytest.approx(auc(truth, scores), abs=1e-4)
    assert done.result["logloss"] == pytest.approx(logloss(truth, scores), abs=1e-6)
    assert not np.array_equal(by_hand(tmp_path, some, 300)[0], by_hand(tmp_path, some)[0])


@FEW
@given(
    kind=st.sampled_from(KINDS),
    delay=st.sampled_from([0, 1, 257, 5000]),
    runs=st.lists(st.tuples(st.integers(1, 700), st.integers(0, 3)), min_size=1, max_size=4),
    last=st.integers(1, 2000),
)
def test_neither_chunks_nor_stops_change_what_is_learnt(tmp_path_factory, kind, delay, runs, last):
    folder = tmp_path_factory.mktemp("learn")
    path = write(folder, labelled(ROWS), kind)
    whole, _ = learn(folder, path, "whole", delay=delay)
    for chunk, times in runs:
        learn(folder, path, times=times, delay=delay, chunk_rows=chunk)
    model, done = learn(folder, path, delay=delay, chunk_rows=last)
    assert done.whole and done.rows == ROWS
    assert_same(model, whole)


@FEW
@given(
    kind=st.sampled_from(KINDS),
    ending=st.sampled_from(["csv", "parquet"]),
    runs=st.lists(st.tuples(st.integers(1, 700), st.integers(0, 3)), min_size=1, max_size=4),
    last=st.integers(1, 2000),
)
def test_neither_chunks_nor_stops_change_a_byte_of_what_is_predicted(
    tmp_path_factory, kind, ending, runs, last
):
    folder = tmp_path_factory.mktemp("predict")
    path, out = write(folder, labelled(ROWS), kind), folder / f"out.{ending}"
    options = {"copy": ["page", "user"], "part_rows": 256}
    predict(folder, path, folder / f"whole.{ending}", **options)
    for chunk, times in runs:
        if predict(folder, path, out, times, chunk_rows=chunk, **options).whole:
            break
        assert not out.exists()
    assert predict(folder, path, out, chunk_rows=last, **options).whole
    assert out.read_bytes() == (folder / f"whole.{ending}").read_bytes()
    assert not out.with_name(f"out.{ending}.parts").exists()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_the_models_own(tmp_path, kind, ending):
    some, out = labelled(ROWS), tmp_path / f"out.{ending}"
    predict(tmp_path, write(tmp_path, some, kind), out, copy=["page"])
    read = pa.csv.read_csv if ending == "csv" else pq.read_table
    table = read(out)
    assert table.column_names == ["page", "score"]
    assert table["page"].to_pylist() == [row["page"] for row in some]
    model, _ = shipped_model(tmp_path)
    want = model.predict([_known(row) for row in some]).scores
    np.testing.assert_allclose(np.float32(table["score"].to_pylist()), want, rtol=1e-6)


def test_bad_rows_have_no_score_and_are_not_learnt(tmp_path):
    some = labelled(600)
    lines = text(some).splitlines(keepends=True)
    lines[3] = lines[3].replace("u", "u", 1).rstrip("\n") + ",more\n"
    lines[300] = 'u1,old,"p",1\n'
    lines[301] = "\n"
    path = tmp_path / "log.csv"
    path.write_text("".join(lines), encoding="utf-8")
    message = rf"^{path}:4: expected 4 columns, found 5; --on-error skip"
    with pytest.raises(ValueError, match=message):
        learn(tmp_path, path)
    with pytest.raises(ValueError, match=message):
        predict(tmp_path, path, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    done = predict(tmp_path, path, tmp_path / "out.csv", on_error="skip", copy=["page"])
    assert (done.rows, done.bad) == (600, 3)
    assert done.listed[1:] == [
        f"{path}:301: field age: expected a number, found 'old'",
        f"{path}:302: expected 4 columns, found an empty line",
    ]
    found = (tmp_path / "out.csv").read_text().splitlines()[1:]
    assert len(found) == 600
    assert [n for n, line in enumerate(found) if line.endswith(",")] == [2, 299, 300]
    assert found[299] == '"p",'
    model, done = learn(tmp_path, path, on_error="skip")
    assert (done.rows, done.bad, model.counts["learnt"]) == (600, 3, 597)


def test_bad_labels_stop_learning_alone(tmp_path):
    some = labelled(600)
    some[520]["click"] = 2
    path = write(tmp_path, some)
    assert predict(tmp_path, path, tmp_path / "out.csv").bad == 0
    with pytest.raises(ValueError, match=rf"^{path}:522: field click: expected label 0 or 1, fo"):
        learn(tmp_path, path, chunk_rows=256)
    some[520]["click"] = 1  # what comes behind the rows that are learnt may be mended
    model, done = learn(tmp_path, write(tmp_path, some))
    assert (done.first, done.rows) == (512, 600)
    assert_same(model, learn(tmp_path, write(tmp_path, some), "whole")[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_changed_where_it_was_learnt_is_refused(tmp_path, kind):
    some = labelled(ROWS)
    _, done = learn(tmp_path, write(tmp_path, some, kind), times=2, chunk_rows=256)
    assert (done.rows, done.whole) == (512, False)
    some[40]["age"] += 1
    path = write(tmp_path, some, kind)
    with pytest.raises(ValueError, match=rf"^{path}: expected the file that was begun.*--again"):
        learn(tmp_path, path)
    short = write(tmp_path, some[:200], kind)
    with pytest.raises(ValueError, match=rf"^{path}: expected the file that was begun.*--again"):
        learn(tmp_path, short)
    model, done = learn(tmp_path, path, again=True) if kind == "csv" else (None, None)
    assert done is None or (done.first, done.rows, model.counts["learnt"]) == (0, 200, 712)
    options = {"part_rows": 256}
    path, out = write(tmp_path, labelled(ROWS), kind), tmp_path / "out.csv"
    predict(tmp_path, path, out, 2, chunk_rows=256, **options)
    with pytest.raises(ValueError, match="expected the file that was begun"):
        predict(tmp_path, write(tmp_path, some, kind), out, **options)


@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_file_is_learnt_once_and_what_is_added_to_it_as_well(tmp_path, ending):
    some = labelled(ROWS)
    lines = text(some).splitlines()
    path = tmp_path / "log.csv"
    path.write_text("\n".join(lines[:513]) + ending)
    one, _ = learn(tmp_path, path)
    two, done = learn(tmp_path, path)
    assert (done.first, done.rows, done.result["rows"]) == (512, 512, 512)
    assert_same(one, two)
    if not ending:
        path.write_text("\n".join(lines[:513]) + "0")  # the last row's label is another one now
        with pytest.raises(ValueError, match="513: .*this line goes on"):
            learn(tmp_path, path)
    path.write_text("\n".join(lines))
    three, done = learn(tmp_path, path)
    assert (done.first, done.rows, done.result["rows"]) == (512, ROWS, ROWS - 512)
    four, _ = learn(tmp_path, write(tmp_path, some, name="other"), "other")
    same_learning(three, four)
    path.write_text(text(labelled(300, seed=5)))  # another day's log under the same name
    five, done = learn(tmp_path, path)
    assert (done.first, done.rows, five.counts["learnt"]) == (0, 300, ROWS + 300)


def test_files_that_are_not_whole(tmp_path):
    some = labelled(30_000)
    path = write(tmp_path, some, "csv.gz")
    whole = path.read_bytes()
    want, _ = learn(tmp_path, path, "whole")
    path.write_bytes(whole[: len(whole) // 2])
    message = rf"^{path}: expected a whole file, found a damaged one after line \d+: "
    with pytest.raises(ValueError, match=message):
        learn(tmp_path, path, chunk_rows=1024)
    with pytest.raises(ValueError, match=message):
        predict(tmp_path, path, tmp_path / "out.csv")
    path.write_bytes(whole)
    model, done = learn(tmp_path, path)
    assert 8000 < done.first < 20_000 and done.rows == 30_000
    assert_same(model, want)
    path = write(tmp_path, some, "parquet")
    whole = path.read_bytes()
    for cut in (whole[:-100], whole[:9], b""):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match=rf"^{path}: expected a whole Parquet file"):
            learn(tmp_path, path)
    path.write_bytes(whole)
    damaged = bytearray(whole)
    damaged[pq.read_metadata(path).row_group(50).column(0).data_page_offset + 60] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"^{path}: expected a whole Parquet file, found damage"):
        predict(tmp_path, path, tmp_path / "out.csv")


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(tmp_path, kind):
    one = labelled(1)
    if kind == "parquet":
        path = tmp_path / "log.parquet"
        pq.write_table(pa.Table.from_pylist(one).slice(1), path)
    else:
        path = write(tmp_path, one, "csv" if kind == "csv.gz" else kind)
        path.write_text(path.read_text().splitlines()[0] + "\n")
    _, done = learn(tmp_path, path)
    assert (done.rows, done.whole, done.result["rows"]) == (0, True, 0)
    predict(tmp_path, path, tmp_path / "out.csv", copy=["user"])
    assert (tmp_path / "out.csv").read_text() == "user,score\n"
    predict(tmp_path, path, tmp_path / "out.parquet", copy=["user"])
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_columns_that_are_missing_or_there_twice(tmp_path):
    path = tmp_path / "log.csv"
    for head, message in (
        ("user,age", r"expected a column of the label, \['click'\], found columns 'user', 'age'"),
        ("user,click", "field age: expected 'age'.*Received: nothing; found columns 'user', 'clic"),
        ("usr,ag,click", r"expected columns \['age', 'user'\], found columns 'usr'"),
        ("user,age,user,click", r"1: expected one column of each name, found twice: \['user'\]"),
        ("", ""),
    ):
        path.write_text(head and head + "\n" + ",".join("1" for _ in head.split(",")) + "\n")
        message = message or "1: expected rows, found an empty file"
        with pytest.raises(ValueError, match=f"^{path}:? ?{message}"):
            learn(tmp_path, path)
    path = write(tmp_path, labelled(3))
    with pytest.raises(ValueError, match=r"expected columns \['pge'\] to copy, found columns 'us"):
        predict(tmp_path, path, tmp_path / "out.csv", copy=["pge"])


def test_the_state_of_a_service_keeps_what_waits_and_files_come_back_with_it(tmp_path):
    model, name = shipped_model(tmp_path)
    store = Store(tmp_path / "state", name=name)
    store.start(model)
    waits = model.predict([_known(row) for row in labelled(3)])
    store.close()
    model, _ = learn(tmp_path, write(tmp_path, labelled(300)))
    assert model.learn(waits.id, [1, 0, 1])["learnt"] == 3
    again, _ = shipped_model(tmp_path)
    store = Store(tmp_path / "state", name=name)
    store.start(again)
    assert again.counts["learnt"] == 300
    store.rollback(store.snapshots()[0])
    assert again.counts["learnt"] == 0
    store.close()
    _, done = learn(tmp_path, write(tmp_path, labelled(300)))
    assert done.first == 0  # what was let go of is learnt again


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delay": -1}, "`delay` must be an integer >= 0"),
        ({"delay": 0.5}, "`delay` must be"),
        ({"on_error": "warn"}, "`on_error` must be"),
    ],
)
def test_arguments_out_of_range(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        learn(tmp_path, write(tmp_path, labelled(3)), **options)


def test_one_writes_an_output_in_one_way(tmp_path):
    path, out = write(tmp_path, labelled(600)), tmp_path / "out.csv"
    predict(tmp_path, path, out, 1, {"copy": []}, chunk_rows=256, part_rows=256)
    with pytest.raises(ValueError, match=r"parts: expected parts of copy \['a'\], found \[\]"):
        predict(tmp_path, path, out, 1, {"copy": ["a"]})
    for name in ("out.txt", "."):
        with pytest.raises(ValueError, match="expected a file's name that ends in one of"):
            predict(tmp_path, path, tmp_path / name)
    with pytest.raises(ValueError, match="`copy` must not hold 'score'"):
        predict(tmp_path, path, tmp_path / "other.csv", copy=["score"])

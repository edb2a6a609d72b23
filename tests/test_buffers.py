"""Buffers read ahead: the same arrays as read one by one, in threads, copies and forks, too."""

import copy
import os
import pickle
import signal
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reloop2_keras.core.array_checks import FieldRanges
from reloop2_keras.core.buffers import BufferReader
from reloop2_keras.core.epoch_rows import EpochRows
from reloop2_keras.core.reading import row_groups


def write(path, ids, group):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), ids.shape[1])
    label = pa.array(np.arange(len(ids), dtype="uint8") % 2)
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(ids.size, "f4")), ids.shape[1])
    columns = {"label": label, "feature_ids": lists, "feature_values": values}
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


def epoch_rows(path, num_ids, shuffle=True, shuffle_rows=50):
    columns, ranges = ["label", "feature_ids"], FieldRanges.of_ids(num_ids)
    return EpochRows(row_groups([path]), ranges, columns, shuffle, 1001, shuffle_rows)


@pytest.mark.parametrize("reuse", [True, False])
def test_any_order_of_buffers_gives_their_rows(tmp_path, reuse):
    ids = np.arange(1000, dtype="int32").reshape(-1, 2)
    path = write(tmp_path / "log.parquet", ids, 50)
    groups = row_groups([path])
    buffers = [[3, 1], [0], [5, 2, 7], [9, 4], [8, 6]]
    reader = BufferReader(groups, ["label", "feature_ids"], FieldRanges.of_ids(1000), reuse)
    rng = np.random.default_rng(0)
    for number in [0, 1, 2, 3, 4, *rng.integers(0, 5, 40).tolist()]:
        following = int(rng.integers(0, 5))  # right or wrong
        arrays = reader.read(number, buffers[number], (following, buffers[following]))
        want = np.concatenate([ids[50 * g : 50 * g + 50] for g in buffers[number]])
        np.testing.assert_array_equal(arrays["feature_ids"], want)
        assert arrays["label"].tolist() == [0, 1] * (len(want) // 2)


def test_a_bad_id_is_named_when_its_buffer_is_asked_for(tmp_path):
    ids = np.zeros((300, 2), "int32")
    ids[250] = 77
    rows = epoch_rows(write(tmp_path / "log.parquet", ids, 100), 10, False, 100)
    assert [len(rows.read(0, 100 * i, 100 * i + 100)["label"]) for i in (0, 1)] == [100, 100]
    message = r"log\.parquet: row group 2, row 50: feature_ids .* found 77"
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            rows.read(0, 200, 300)
    assert len(rows.read(0, 0, 100)["label"]) == 100


def parts_of(rows, size=20):
    starts = range(0, rows.num_rows, size)
    return [rows.read(2, start, min(start + size, rows.num_rows)) for start in starts]


def assert_equal(got, want):
    for a, b in zip(got, want, strict=True):
        for name in b:
            np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize("shuffle", [True, False])
def test_copies_share_neither_thread_nor_memory(tmp_path, shuffle):
    ids = np.arange(600, dtype="int32").reshape(-1, 2)
    path = write(tmp_path / "log.parquet", ids, 50)
    rows, want = (epoch_rows(path, 600, shuffle) for _ in range(2))
    want = parts_of(want)
    assert_equal([rows.read(2, 0, 20)], want[:1])  # the next buffer is being read
    for other in (copy.deepcopy(rows), pickle.loads(pickle.dumps(rows))):
        assert_equal(parts_of(other), want)
    assert_equal(parts_of(rows), want)


@pytest.mark.parametrize("shuffle", [True, False])
def test_eight_threads_read_what_one_reads(tmp_path, shuffle):
    ids = np.arange(2400, dtype="int32").reshape(-1, 2)
    path = write(tmp_path / "log.parquet", ids, 50)
    want = parts_of(epoch_rows(path, 2400, shuffle, 100), 37)
    rows, start, wrong = epoch_rows(path, 2400, shuffle, 100), threading.Barrier(8), []

    def read(seed):
        rng = np.random.default_rng(seed)
        start.wait()
        try:
            # some ask in order, as training does, others for any part
            asked = range(len(want)) if seed % 2 else rng.permutation(len(want))
            for i in asked:
                got = rows.read(2, 37 * i, min(37 * i + 37, rows.num_rows))
                for name, array in got.items():
                    if array.sum() != want[i][name].sum() or (array != want[i][name]).any():
                        wrong.append((int(i), name))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_reads_while_another_thread_held_the_lock(tmp_path):
    ids = np.arange(600, dtype="int32").reshape(-1, 2)
    rows = epoch_rows(write(tmp_path / "log.parquet", ids, 50), 600)
    want = parts_of(rows)
    rows.read(2, 0, 20)  # a thread reads ahead
    with rows._lock:
        child = os.fork()
        if not child:
            status = 1
            signal.alarm(60)  # a child that waits for a lock for ever must not outlive the test
            try:
                assert_equal(parts_of(rows), want)
                status = 0
            finally:
                os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert_equal(parts_of(rows), want)

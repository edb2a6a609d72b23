"""Buffers read ahead: the same arrays as read one by one, errors in their turn."""

import copy
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reloop2_keras.core.buffers import BufferReader
from reloop2_keras.core.checks import FieldRanges
from reloop2_keras.core.reading import row_groups
from reloop2_keras.data import Batches

pytestmark = pytest.mark.backend


def write(path, ids, group):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(ids.reshape(-1)), ids.shape[1])
    label = pa.array(np.arange(len(ids), dtype="uint8") % 2)
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(ids.size, "f4")), ids.shape[1])
    columns = {"label": label, "feature_ids": lists, "feature_values": values}
    pq.write_table(pa.table(columns), path, row_group_size=group)
    return path


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
        if number == 3:  # copies share neither memory nor thread
            for other in (copy.deepcopy(reader), pickle.loads(pickle.dumps(reader))):
                again = other.read(number, buffers[number])["feature_ids"]
                assert not np.shares_memory(again, arrays["feature_ids"])


def test_a_bad_id_is_named_when_its_buffer_is_asked_for(tmp_path):
    ids = np.zeros((300, 2), "int32")
    ids[250] = 77
    path = write(tmp_path / "log.parquet", ids, 100)
    batches = Batches([path], 10, 100, shuffle=False, shuffle_rows=100)
    assert [len(batches[i][1]) for i in (0, 1)] == [100, 100]
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"log\.parquet: row group 2, row 50: feature_ids .* found 77"
        ):
            batches[2]
    assert len(batches[0][1]) == 100


def test_batches_can_be_copied_while_they_are_read(tmp_path):
    ids = np.arange(600, dtype="int32").reshape(-1, 2)
    batches = Batches([write(tmp_path / "log.parquet", ids, 50)], 600, 20, shuffle_rows=50)
    first = batches[0][0]["feature_ids"]
    other = copy.deepcopy(batches)
    for i in range(len(batches)):
        mine, its = (b[i][0]["feature_ids"] for b in (batches, other))
        np.testing.assert_array_equal(mine, its)
    np.testing.assert_array_equal(first, other[0][0]["feature_ids"])

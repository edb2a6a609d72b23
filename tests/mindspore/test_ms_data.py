"""Batches and slots: nothing lost, workers' shares, MindRecord, and no self-hit on noise."""

import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tampering import describe, entries, seal

from mindspore_port import DeepFM, ExactErrorMemory, PreparedDataset, prequential
from mindspore_port.dataset import main as dataset_main
from mindspore_port.layers import FeatureErrorMemory
from mindspore_port.mindrecord import to_mindrecord
from mindspore_port.streaming import Arm, FrozenBase, Gated, Memory, auc
from reloop2_keras.core.array_checks import FieldRanges


def epoch(batches, number=0):
    parts = [[x.asnumpy() for x in batch] for batch in batches.iterate(number)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def test_an_epoch_holds_every_row_once_and_weights_make_the_mean(folder):
    dataset = PreparedDataset(folder)
    ids, values, label, weight = epoch(dataset.train(300))
    real = weight > 0
    assert real.sum() == 2000 and len(label) == 2100  # the end is padded to one shape
    rows = np.concatenate([ids, values, label[:, None]], axis=1)[real]
    plain = epoch(dataset.train(300, shuffle=False))
    want = np.concatenate([*plain[:2], plain[2][:, None]], axis=1)[plain[3] > 0]
    assert (rows != want).any()
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], want[np.lexsort(want.T)])
    np.testing.assert_allclose(weight.reshape(7, 300).sum(1), 1, rtol=1e-5)


def test_the_order_depends_on_seed_and_epoch_only(folder):
    dataset = PreparedDataset(folder)
    first = epoch(dataset.train(300, seed=1))[0]
    np.testing.assert_array_equal(first, epoch(dataset.train(300, seed=1))[0])
    assert (first != epoch(dataset.train(300, seed=2))[0]).any()
    assert (first != epoch(dataset.train(300, seed=1), 1)[0]).any()
    np.testing.assert_array_equal(first[:2000], epoch(dataset.train(64, seed=1))[0][:2000])


def test_workers_share_every_joint_batch(folder):
    dataset = PreparedDataset(folder)
    joint = dataset.train(300)
    parts = [dataset.train(100, rank=rank, num_workers=3) for rank in range(3)]
    assert all(len(part) == len(joint) for part in parts)
    for index in range(len(joint)):
        ids = np.concatenate([part.arrays(0, index)["feature_ids"] for part in parts])
        np.testing.assert_array_equal(ids, joint.arrays(0, index)["feature_ids"])
        total = sum(part.batch(0, index)[3].sum(dtype="float64") for part in parts)
        np.testing.assert_allclose(total / 3, 1, rtol=1e-5)


def test_many_row_groups_and_small_buffers_lose_nothing(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "d")
    path = tmp_path / "d" / "train" / "000.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=97)
    ids, _, _, weight = epoch(PreparedDataset(tmp_path / "d").train(128, shuffle_rows=200))
    want = epoch(PreparedDataset(folder).train(128))
    rows, want = ids[weight > 0], want[0][want[3] > 0]
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], want[np.lexsort(want.T)])


def test_mindrecord_reads_as_parquet_does(folder, mindrecord):
    one, other = PreparedDataset(folder), PreparedDataset(mindrecord)
    assert other.meta["format"] == "mindrecord"
    for a, b in zip(one.slots(), other.slots(), strict=True):
        a, b = a.load(), b.load()
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
    for a, b in zip(epoch(one.train(300), 1), epoch(other.train(300), 1), strict=True):
        np.testing.assert_array_equal(a, b)
    labels = np.concatenate([slot.load()["label"] for slot in one.slots()])
    for count in (1, 7):
        cut = [slot.load()["label"] for slot in one.slots(count)]
        assert len(cut) == count
        np.testing.assert_array_equal(np.concatenate(cut), labels)
    a, b = (d.validation_slots(3)[1].load()["label"] for d in (one, other))
    np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def noise(folder, tmp_path_factory):
    """The dataset with labels of a fair coin, as MindRecord."""
    out = tmp_path_factory.mktemp("noise")
    shutil.copytree(folder, out / "parquet")
    rng = np.random.default_rng(5)
    for path in (out / "parquet").rglob("0*.parquet"):
        table = pq.read_table(path)
        labels = pa.array(rng.integers(0, 2, len(table)).astype("uint8"))
        pq.write_table(table.set_column(0, "label", labels), path)
    seal(out / "parquet")
    to_mindrecord(out / "parquet", out / "mindrecord")
    return out / "mindrecord"


def test_on_noise_labels_no_memory_beats_chance(noise):
    # docs/method.md, section 7.2: a memory that held the scored rows would read their labels
    dataset = PreparedDataset(noise)
    base = DeepFM(dataset.fields, 4, (8,), initializer_stddev=0.3)
    frozen = FrozenBase(base)
    arms = [
        Arm(
            "exact",
            frozen,
            Memory(ExactErrorMemory(5000, 3, key_normalization="none"), "embedding", 0.9),
        ),
        Arm("feature", frozen, Gated([(FeatureErrorMemory(16), "feature_hashes")])),
    ]
    report = prequential(dataset.slots(), arms, warmup=dataset.validation_slots(2))
    assert len(report.labels) == 1600
    for arm in report.arms:
        # 1,600 rows of a fair coin: the AUC's sd is .0144
        assert abs(report.overall()[arm]["auc"] - 0.5) < 0.06, arm
    # the same memory does read what it holds: with self-hits AUC would be this
    memory, slot = ExactErrorMemory(5000, 3, key_normalization="none"), dataset.slots()[0].load()
    served = frozen.serve(slot)
    memory.write(served["embedding"], slot["label"], served["probability"])
    hit = memory.read(served["embedding"])["mean_label"].asnumpy()
    assert auc(slot["label"], hit.clip(0, 1)) > 0.9


def copy_of(mindrecord, out):
    """A copy in which SLOT may be damaged; other files are links, as each has 50 MB or more."""

    def copy(source, target):
        shared = source.endswith(".mindrecord") and not source.endswith(SLOT)
        return os.link(source, target) if shared else shutil.copy2(source, target)

    return shutil.copytree(mindrecord, out, copy_function=copy)


def _swap_indexes(out):
    a, b = (out / "slots" / f"{number}-000.mindrecord.db" for number in ("000", "001"))
    a.rename(out / "aside")
    b.rename(a)
    (out / "aside").rename(b)


def _cut(name, size):
    def damage(out):
        with (out / name).open("r+b") as file:
            file.truncate(size)

    return damage


SLOT = "slots/001-000.mindrecord"
DAMAGES = {
    "rows wrong": lambda out: describe(
        out, lambda meta: [part.update(rows=9) for part in _first_slot(meta)]
    ),
    "no index": lambda out: (out / (SLOT + ".db")).unlink(),
    "indexes of two slots swapped": _swap_indexes,
    "index empty": _cut(SLOT + ".db", 0),
    "file truncated": _cut(SLOT, 5000),
    "file empty": _cut(SLOT, 0),
    "columns wrong": lambda out: describe(out, lambda meta: meta["columns"].append("time")),
    "named by its index": lambda out: describe(
        out, lambda meta: _first_slot(meta)[1].update(name="slots/000-000.mindrecord.db")
    ),
}


def _first_slot(meta):
    slot = meta["periods"]["slots"][0]
    return slot, slot["files"][0]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_mindrecord_dataset_that_lies_is_refused(mindrecord, tmp_path, damage):
    out = copy_of(mindrecord, tmp_path / "out")
    DAMAGES[damage](out)
    with pytest.raises(
        (ValueError, FileNotFoundError), match=r"out.(slots|train|dataset)"
    ) as caught:
        for slot in PreparedDataset(out).slots():
            slot.load()
    assert type(caught.value) in (ValueError, FileNotFoundError)


def test_verify_finds_a_change_in_a_file_or_its_index(mindrecord, tmp_path):
    out = copy_of(mindrecord, tmp_path / "out")
    dataset = PreparedDataset(out)
    dataset.verify()
    for name in (SLOT, SLOT + ".db", "vocabulary.parquet"):
        path = out / name
        raw = path.read_bytes()
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        with pytest.raises(ValueError, match=f"{name}: expected sha256"):
            dataset.verify()
        path.write_bytes(raw)
    assert len([*entries(dataset.meta)]) == 5


def test_what_is_damaged_is_not_converted(folder, tmp_path):
    out = shutil.copytree(folder, tmp_path / "parquet")
    path = out / "slots" / "002.parquet"
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"002\.parquet"):
        to_mindrecord(out, tmp_path / "mindrecord")
    assert not (tmp_path / "mindrecord").exists()


def test_what_is_wrong_is_named(folder, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match=r"dataset\.json: not found"):
        PreparedDataset(tmp_path)
    meta = json.loads((folder / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({**meta, "schema_version": 9}))
    with pytest.raises(ValueError, match=r"dataset\.json: schema_version: expected 1, found 9"):
        PreparedDataset(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(FileNotFoundError, match=r"train.000\.parquet: named in"):
        PreparedDataset(tmp_path)
    dataset = PreparedDataset(folder)
    with pytest.raises(ValueError, match=r"feature_ids of field \d+ must be in \[0, 5\), found"):
        dataset.slots()[0].groups[0].load(FieldRanges.of_ids(5))
    with pytest.raises(ValueError, match="`batch_size`"):
        dataset.train(0)
    assert dataset.columns("C2", "I1") == [14, 0]
    with pytest.raises(ValueError, match="'C99'"):
        dataset.columns("C99")
    assert dataset_main(["to-mindrecord", str(folder), str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert dataset_main(["to-mindrecord", str(tmp_path / "no"), str(tmp_path / "o")]) == 2
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("name", ["batch_size", "seed", "shuffle_rows", "rank", "num_workers"])
def test_arguments_of_any_other_type_are_named(name, folder):
    for value in ("3", None, [3], float("nan"), -1, 1.5, 2**70):
        with pytest.raises(ValueError, match=f"^`{name}` must be "):
            PreparedDataset(folder).train(**{name: value})

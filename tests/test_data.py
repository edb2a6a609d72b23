"""Prepared datasets as batches: nothing lost, the seed's order, checks on the way in."""

import json
import threading

import keras
import numpy as np
import pyarrow.parquet as pq
import pytest

from data_scripts import prepare, synthetic
from reloop2_keras import DeepFM, PreparedDataset
from reloop2_keras.data import Batches

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("data") / "out"
    prepare(synthetic(rows=4000, users=50, items=20), out, slots=3)
    return out


def rows_of(batches):
    parts = [batches[i] for i in range(len(batches))]
    ids = np.concatenate([x["feature_ids"] for x, _ in parts])
    values = np.concatenate([x["feature_values"] for x, _ in parts])
    return np.concatenate([ids, values, np.concatenate([y for _, y in parts])], axis=1)


def test_an_epoch_holds_every_row_once(folder):
    dataset = PreparedDataset(folder)
    plain = rows_of(dataset.train(300, shuffle=False))
    mixed = rows_of(dataset.train(300))
    assert len(plain) == 2000 and (plain != mixed).any()
    np.testing.assert_array_equal(plain[np.lexsort(plain.T)], mixed[np.lexsort(mixed.T)])
    stored = pq.read_table(folder / "train" / "000.parquet")["label"].to_numpy()
    np.testing.assert_array_equal(plain[:, -1], stored)


def test_order_depends_on_seed_and_epoch_only(folder):
    dataset = PreparedDataset(folder)
    one, two = dataset.train(300, seed=1), dataset.train(300, seed=1)
    first = rows_of(one)
    np.testing.assert_array_equal(first, rows_of(two))
    assert (first != rows_of(dataset.train(300, seed=2))).any()
    for batches in (one, two):
        batches.epoch = 1
    assert (rows_of(one) != first).any()
    np.testing.assert_array_equal(rows_of(one), rows_of(two))
    # neither on the batch size, nor on who asks for batches in which order
    np.testing.assert_array_equal(first, rows_of(dataset.train(64, seed=1)))
    shuffled = dataset.train(300, seed=1)
    parts = {i: shuffled[i][0]["feature_ids"] for i in (4, 0, 6, 2, 5, 1, 3)}
    ids = np.concatenate([parts[i] for i in range(7)])
    np.testing.assert_array_equal(first[:, : ids.shape[1]], ids)


def test_many_row_groups_and_small_buffers_lose_nothing(folder, tmp_path):
    whole = pq.read_table(folder / "train" / "000.parquet")
    paths = []
    for i in range(3):
        paths.append(tmp_path / f"{i}.parquet")
        pq.write_table(whole.slice(i * 700, 700), paths[-1], row_group_size=97)
    num_ids = PreparedDataset(folder).num_ids
    plain = rows_of(Batches(paths, num_ids, 128, shuffle=False))
    mixed = rows_of(Batches(paths, num_ids, 128, shuffle_rows=200))
    assert len(plain) == 2000
    np.testing.assert_array_equal(plain[np.lexsort(plain.T)], mixed[np.lexsort(mixed.T)])


def test_order_of_many_buffers_equals_a_plain_shuffle(folder, tmp_path):
    whole = pq.read_table(folder / "train" / "000.parquet")
    path, rows, batch = tmp_path / "log.parquet", 200, 128
    pq.write_table(whole, path, row_group_size=97)
    batches = Batches([path], PreparedDataset(folder).num_ids, batch, seed=5, shuffle_rows=rows)
    batches.epoch = 1
    kept = [batches[i] for i in range(len(batches))]  # a later buffer must not change them
    # the plain way: groups in random order, cut into buffers, each permuted
    groups = np.arange(-(-len(whole) // 97))
    left = np.random.default_rng((5, 1)).permutation(groups).tolist()
    want, number = [], 0
    while left:
        buffer = []
        while left and len(buffer) < rows:
            start = 97 * left.pop(0)
            buffer += range(start, min(start + 97, len(whole)))
        want += np.random.default_rng((5, 1, number)).permutation(buffer).tolist()
        number += 1
    table = whole.take(want)
    for name in ("feature_ids", "feature_values"):
        got = np.concatenate([x[name] for x, _ in kept])
        np.testing.assert_array_equal(got, table[name].to_pylist())
    labels = np.concatenate([y[:, 0] for _, y in kept])
    np.testing.assert_array_equal(labels, table["label"].to_numpy())


class Watched(Batches):
    """Writes down which epoch's batches are asked for."""

    asked = ()

    def __getitem__(self, index):
        self.asked = [*self.asked, (self.epoch, index)]
        return super().__getitem__(index)


def test_a_resumed_order_starts_with_its_epoch_however_it_is_read(folder):
    dataset = PreparedDataset(folder)
    orders = []
    for number in range(5):
        orders.append(rows_of(dataset.train(300, initial_epoch=number)))
    assert all((orders[0] != order).any() for order in orders[1:])
    resumed = Watched([folder / "train" / "000.parquet"], dataset.num_ids, 300, initial_epoch=3)
    direct = np.concatenate([y for _, y in resumed])
    np.testing.assert_array_equal(direct[:, 0], orders[3][:, -1])
    np.testing.assert_array_equal(rows_of(resumed), orders[3])  # direct iteration does not count

    # the first fit after `compile` looks at a batch on some backends, the later ones do not
    resumed.asked, model = [], DeepFM(dataset.fields, 4, (8,))
    model.compile("adam", "binary_crossentropy", metrics=[keras.metrics.AUC(name="auc")])
    for epochs in (2, 1):
        model.fit(resumed, epochs=epochs, verbose=0)
    orders = [epoch for epoch, index in resumed.asked if index == len(resumed) - 1]
    assert orders == [3, 4, 5] and resumed.epoch == 5
    with pytest.raises(ValueError, match="`initial_epoch`"):
        dataset.train(300, initial_epoch=-1)


def test_one_object_serves_eight_threads(folder):
    batches = PreparedDataset(folder).train(64, shuffle_rows=1, hashes=True)
    want = [(x["feature_hashes"].sum(), y.sum()) for x, y in batches]
    wrong = []

    def read(seed):
        for i in np.random.default_rng(seed).permutation(len(want)):
            x, y = batches[int(i)]
            if (x["feature_hashes"].sum(), y.sum()) != want[i]:
                wrong.append(int(i))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_fit_and_predict_take_batches(folder):
    dataset = PreparedDataset(folder)
    model = DeepFM(dataset.fields, 4, (8,))
    model.compile("adam", "binary_crossentropy")
    losses = model.fit(dataset.train(256), epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]
    assert model.predict(dataset.validation(128), verbose=0).shape == (400, 1)


def test_slots_cover_the_rest_and_validation_slots_the_validation(folder):
    dataset = PreparedDataset(folder)
    assert sum(len(slot.load()["label"]) for slot in dataset.slots()) == 1600
    parts = [slot.load()["label"] for slot in dataset.validation_slots(3)]
    stored = pq.read_table(folder / "validation" / "000.parquet")["label"].to_numpy()
    np.testing.assert_array_equal(np.concatenate(parts), stored)
    whole = np.concatenate([slot.load()["feature_ids"] for slot in dataset.slots()])
    for count in (1, 7, 100):  # cut anew: the same rows in the same order
        again = [slot.load()["feature_ids"] for slot in dataset.slots(count)]
        assert len(again) == count and max(map(len, again)) - min(map(len, again)) <= 1
        np.testing.assert_array_equal(np.concatenate(again), whole)
    with pytest.raises(ValueError, match="`count`"):
        dataset.slots(0)
    share = dataset.slots()[2].unseen_share(dataset.slots()[2].load())
    assert share["C2"] > 0.2 and share["C6"] == 0


def test_what_is_wrong_is_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"dataset\.json: not found"):
        PreparedDataset(tmp_path)
    meta = json.loads((folder / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps({**meta, "schema_version": 9}))
    with pytest.raises(ValueError, match=r"dataset\.json: schema_version: expected 1, found 9"):
        PreparedDataset(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps(meta))
    with pytest.raises(FileNotFoundError, match=r"train.000\.parquet: named in"):
        PreparedDataset(tmp_path)
    with pytest.raises(ValueError, match=r"feature_ids of field \d+ must be in \[0, 5\), found"):
        Batches([folder / "train" / "000.parquet"], 5, 100)[0]
    with pytest.raises(ValueError, match="`batch_size`"):
        PreparedDataset(folder).train(0)


def test_hashes_and_columns_for_feature_memories(folder):
    dataset = PreparedDataset(folder)
    x, _ = dataset.train(100, shuffle=False, hashes=True)[3]
    stored = pq.read_table(folder / "train" / "000.parquet")["feature_hashes"].to_pylist()
    np.testing.assert_array_equal(x["feature_hashes"], stored[300:400])
    assert dataset.columns("C1", "I2") == [13, 1]
    with pytest.raises(ValueError, match="Received: 'user'"):
        dataset.columns("user")


def test_verify_finds_a_changed_file(tmp_path):
    prepare(synthetic(rows=1000, users=20, items=10), tmp_path / "out", slots=2)
    dataset = PreparedDataset(tmp_path / "out")
    dataset.verify()
    path = tmp_path / "out" / "slots" / "001.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ValueError, match=r"001\.parquet: expected sha256"):
        dataset.verify()


def test_training_again_gives_the_same_weights(folder):
    from reloop2_keras.models import train_base

    dataset = PreparedDataset(folder)
    one, two = (
        train_base(dataset, seed=3, embedding_dim=4, max_epochs=2, search=None)[0] for _ in range(2)
    )
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert keras.backend.backend() in ("torch", "jax", "tensorflow")


def test_train_base_trains_rows_when_told_to(folder):
    from reloop2_keras.models import train_base

    dataset = PreparedDataset(folder)
    rows, whole = (
        train_base(dataset, embedding_dim=4, max_epochs=1, row_sparse=flag, search=None)[0]
        for flag in (True, False)
    )
    assert rows.row_sparse and rows.field_embedding.trains_rows
    assert not whole.row_sparse and not whole.field_embedding.trains_rows


@pytest.mark.parametrize("name", ["batch_size", "seed", "shuffle_rows", "initial_epoch", "hashes"])
def test_arguments_of_any_other_type_are_named(name, folder):
    for value in ("3", None, [3], float("nan"), -1, 1.5, 2**70):
        with pytest.raises(ValueError, match=f"^`{name}` must be "):
            PreparedDataset(folder).train(**{name: value})

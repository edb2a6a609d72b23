"""A ReLoop2 by rule="online" on rows of two fields, and what of it must be the same."""

import keras
import numpy as np

from reloop2_keras import DeepFM, ReLoop2


def rows(n=300, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, 20, n), 20 + rng.integers(0, 5, n)], axis=1).astype("int32")
    x = {"feature_ids": ids, "feature_values": rng.uniform(0.5, 1.5, (n, 2)).astype("float32")}
    x["feature_hashes"] = (ids * np.int32(40503)).astype("int32")
    return x, (rng.random((n, 1)) < np.where(ids[:, :1] % 2, 0.9, 0.1)).astype("float32")


def deepfm(seed=3):
    keras.utils.set_random_seed(seed)
    return DeepFM([20, 5], embedding_dim=4, hidden_units=(8, 6), initializer_stddev=0.5)


def plain(x):
    return {name: array for name, array in x.items() if name != "feature_hashes"}


def started(**options):
    model = ReLoop2(deepfm(), rule="online", **options)
    batches = [rows(200, seed) for seed in (10, 11)]
    assert model.warm_start(batches) == 400
    return model


def state(model):
    return model.online.core.state()


def same(one, other):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


class InOrder(keras.utils.PyDataset):
    """Batches as a dataset gives them."""

    def __init__(self, batches, shuffle=False):
        super().__init__()
        self.batches, self.shuffle = batches, shuffle

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]

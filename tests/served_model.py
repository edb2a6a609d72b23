"""A small OnlineModel over two fields, a base that is a formula, and rows for it."""

import numpy as np

from reloop2_keras.core.encoder import Encoder
from reloop2_keras.core.hashing import hash_text
from reloop2_keras.core.online import Online
from reloop2_keras.core.raw_columns import RawColumns
from reloop2_keras.core.serving import OnlineModel
from reloop2_keras.core.vocabulary import Vocabulary

USERS = [f"u{n}" for n in range(6)]
FIELDS = [
    {"name": "user", "kind": "categorical", "cardinality": 7, "offset": 0},
    {"name": "age", "kind": "numeric", "cardinality": 1, "offset": 7, "maximum": 50.0},
]


class Formula:
    """A base: the logit falls with the user's id."""

    def __init__(self, slope=0.1):
        self.slope = slope

    def serve(self, arrays):
        return {"probability": 1 / (1 + np.exp(self.slope * arrays["feature_ids"][:, 0]))}


class Clock:
    """Seconds that a test sets."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def encoder(users=USERS, fields=FIELDS):
    description = {"source": "table", "num_ids": 8, "fields": fields}
    description["raw"] = RawColumns("click").to_json()
    ids = np.arange(1, 7, dtype="int32")
    return Encoder(description, Vocabulary(list(users), ids, hash_text(list(users))))


def rows(count, seed=0):
    rng = np.random.default_rng(seed)
    users = rng.integers(0, 8, count)
    return [
        {"user": f"u{u}", "age": int(a)}
        for u, a in zip(users, rng.integers(9, 60, count), strict=True)
    ]


def labels(given, seed=0):
    rng = np.random.default_rng(seed + 1)
    return [int(rng.random() < (0.8 if int(row["user"][1:]) % 2 else 0.2)) for row in given]


def model(base=True, block_rows=32, **options):
    online = Online(2, ["base"] if base else [], crosses=[[0, 1]], bits=6, block_rows=block_rows)
    options.setdefault("clock", Clock())
    return OnlineModel(online, encoder(), Formula() if base else None, "first", **options)


def assert_same(one, other):
    """States equal to the bit."""
    (head, arrays), (other_head, others) = one.state(), other.state()
    assert head == other_head
    assert set(arrays) == set(others)
    for name in arrays:
        np.testing.assert_array_equal(arrays[name], others[name], err_msg=name)

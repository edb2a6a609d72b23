"""Small rows for the tests of rivals."""

import numpy as np


def rows_of(count, seed=1, values=12):
    """Arrays of a slot: two fields of raw values, one of numbers; values and numbers matter."""
    effects = np.random.default_rng(99).normal(size=values)
    rng = np.random.default_rng(seed)
    value, other = rng.integers(values, size=(2, count))
    number = rng.normal(size=count).astype("float32")
    logit = effects[value] + 0.7 * number - 0.3
    hashes = np.stack([value * 7919 - 40000, other * 104729, rng.integers(9, size=count)], 1)
    return {
        "label": (rng.random(count) < 1 / (1 + np.exp(-logit))).astype("uint8"),
        "feature_hashes": hashes.astype("int32"),
        "feature_values": np.stack([np.ones(count), np.ones(count), number], 1).astype("float32"),
    }


class HeldSlot:
    """A slot that is there already."""

    def __init__(self, arrays):
        self.arrays = arrays

    def load(self, columns=None):
        names = self.arrays if columns is None else columns
        return {name: self.arrays[name] for name in names}


class KnownBase:
    """A slow part that says what it is told to."""

    learns_from = ()

    def __init__(self, p):
        self.p, self.served = p, 0

    def serve(self, arrays):
        self.served += 1
        return {"probability": self.p}

    def observe(self, arrays):
        """A frozen base."""

"""Random rows that several test files share, and how Keras runs beside MindSpore."""

import mindspore as ms
import numpy as np

CARDINALITIES = [20, 10, 1]


def batch(n=64, seed=0):
    """A dict of arrays of random rows over `CARDINALITIES`."""
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *CARDINALITIES[:-1]])
    ids = np.stack([o + rng.integers(0, c, n) for o, c in zip(offsets, CARDINALITIES, strict=True)])
    values = np.ones((n, 3), "float32")
    values[:, 2] = rng.random(n)
    hashes = rng.integers(-(2**31), 2**31, (n, 3)).astype("int32")
    return {
        "feature_ids": ids.T.astype("int32"),
        "feature_values": values,
        "feature_hashes": hashes,
        "label": (rng.random(n) < 0.2 + 0.6 * (ids[0] % 2)).astype("uint8"),
    }


SCRIPT = """
import os, runpy, sys
del sys.argv[0]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_keras(forks, backend, *arguments):
    """Run a script in a process of its own, with Keras on a backend; see `forks.Forks`."""
    forks(backend).check(SCRIPT, *arguments)


def tensors(arrays):
    return [ms.Tensor(arrays[name]) for name in ("feature_ids", "feature_values")]


def weights_of(model):
    """A model's weights as the oracle takes them: float64, in Keras' layout."""

    def pair(layer):
        return layer.weight.asnumpy().T.astype("float64"), layer.bias.asnumpy().astype("float64")

    return {
        "V": model.field_embedding.embeddings.asnumpy().astype("float64"),
        "w": model.linear_embedding.embeddings.asnumpy().astype("float64"),
        "hidden": [pair(layer) for layer in model.hidden_layers],
        "last": pair(model.deep_logit),
    }


class Around(ms.nn.Cell):
    """A graph of somebody else's."""

    def __init__(self, memory):
        super().__init__()
        self.memory = memory

    def construct(self, keys):
        return self.memory(keys)

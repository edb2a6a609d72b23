"""Trains with joint batches alone and shared out; a process of its own, told by KERAS_BACKEND.

python joint_training.py DATASET DROPOUT [ADDRESS PROCESSES NUMBER]

Prints one line of JSON: how far the two runs' weights are apart, and what was refused. On JAX two
virtual devices share, or one each of several processes; on PyTorch the processes.
"""

import json
import os
import sys

dataset, dropout, *rest = sys.argv[1:]
backend = os.environ["KERAS_BACKEND"]
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={1 if rest else 2}"

import keras  # noqa: E402
import numpy as np  # noqa: E402

if rest and backend == "jax":
    keras.distribution.initialize(rest[0], int(rest[1]), int(rest[2]))

from reloop2_keras import DeepFM, PreparedDataset  # noqa: E402
from reloop2_keras.distributed.data_parallel import data_parallel, joint_batches  # noqa: E402

prepared = PreparedDataset(dataset)
SIZE = 64


def fitted(batches, share=None):
    """Weights after an epoch, of ten full batches and an uneven one; and its steps."""
    keras.utils.set_random_seed(7)
    model = DeepFM(prepared.fields, 4, [8], float(dropout), embedding_l2=1e-3)
    model.build()
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    if share is not None:
        share(model)
    model.fit(batches, epochs=1, verbose=0)
    return [np.asarray(w) for w in model.get_weights()], int(model.optimizer.iterations)


def refused(call):
    try:
        call()
    except ValueError as error:
        return str(error)


def row_sparse():
    DeepFM(prepared.fields, 4, [8], row_sparse=True).compile("adam", "binary_crossentropy")


def on_jax():
    said = [refused(lambda: joint_batches(prepared, SIZE))]
    alone = fitted(prepared.train(SIZE, seed=3)) if not rest else None
    keras.distribution.set_distribution(data_parallel())
    said += [refused(row_sparse), refused(lambda: joint_batches(prepared, SIZE - 1))]
    return alone, fitted(joint_batches(prepared, SIZE, seed=3)), said


def on_torch():
    from reloop2_keras.backend.torch_group import joined, share_gradients

    alone = fitted(prepared.train(SIZE, seed=3))
    address, port = rest[0].split(":")
    os.environ |= {"MASTER_ADDR": address, "MASTER_PORT": port}
    os.environ |= {"WORLD_SIZE": rest[1], "RANK": rest[2]}
    with joined() as (rank, workers):
        batches = prepared.train(SIZE // workers, seed=3, rank=rank, num_workers=workers)
        said = [refused(row_sparse), refused(data_parallel)]
        return alone, fitted(batches, share_gradients), said


alone, shared, said = (on_jax if backend == "jax" else on_torch)()
told = {"steps": shared[1], "said": said}
if alone is not None:
    pairs = zip(alone[0], shared[0], strict=True)
    told["apart"] = max(float(np.abs(a - b).max()) for a, b in pairs)
told["sums"] = [float(w.astype("float64").sum()) for w in shared[0]]
print(json.dumps(told))

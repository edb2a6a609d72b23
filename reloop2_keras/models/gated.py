"""Several memories and one gate: how they are read together and learn together (ours)."""

import numpy as np
from keras import ops

from reloop2_keras.layers import FeatureErrorMemory
from reloop2_keras.models.serving import Serving


def gate_inputs(memories, keys, served):
    """Read all memories for served rows: the gate's inputs, side by side.

    Args:
        memories: list of `ErrorMemory`.
        keys: list of key names, one a memory.
        served: dict of tensors, what `serve` returned.

    Returns:
        float32 (batch, sum of the memories' `num_gate_inputs`), or None without memories.
    """
    parts = [
        memory.gate_inputs(memory.read(served[key]), served["probability"])
        for memory, key in zip(memories, keys, strict=True)
    ]
    return ops.concatenate(parts, axis=1) if parts else None


def learn(memories, keys, served, labels):
    """Write served rows into all memories, each with what was predicted and read at serving time.

    Args:
        memories: list of `ErrorMemory`.
        keys: list of key names, one a memory.
        served: `Served` with `probability`, the keys, and for memories of corrected residuals
            `corrected` and `gate_inputs`.
        labels: (rows,) of 0 and 1.

    Returns:
        list of ints: rows that each memory took.
    """
    written, start = [], 0
    for memory, key in zip(memories, keys, strict=True):
        if getattr(memory, "residual", "base") == "corrected":
            offsets = served["gate_inputs"][:, start : start + memory.num_gate_inputs]
            written.append(memory.write(served[key], labels, served["corrected"], offsets))
        else:
            written.append(memory.write(served[key], labels, served["probability"]))
        start += memory.num_gate_inputs
    return written


def warm_start(base, batches, memories, shuffle_seed=None):
    """Write training rows into feature memories: where the trained base still errs on them.

    Rows that the base was fitted to show errors smaller than those to come; that they help all
    the same was measured (notebook 06), and the gate can weigh them down.

    Args:
        base: the trained base model.
        batches: iterable of `(x, y)`, x with `feature_hashes`: `dataset.train(hashes=True)`.
        memories: list of `FeatureErrorMemory`.
        shuffle_seed: int, for a control: labels are permuted within each batch. None: as they are.

    Returns:
        int, rows written.

    Raises:
        ValueError: if a memory is keyed by something else.
    """
    for memory in memories:
        if not isinstance(memory, FeatureErrorMemory):
            raise ValueError(
                "`memories` must be FeatureErrorMemory layers: the keys of a training row say "
                f"nothing new to a memory of similarity. Received: {type(memory).__name__}"
            )
    if not memories:
        raise ValueError("`memories` must hold at least one FeatureErrorMemory. Received: none")
    serving, rows = Serving(base, ("feature_hashes",)), 0
    # sums without decay, which would fade the first batches by how many there are
    twins = [type(m).from_config({**m.get_config(), "decay": 1.0}) for m in memories]
    mix = None if shuffle_seed is None else np.random.default_rng(shuffle_seed).permutation
    for x, y, *_ in batches:
        served = serving(x)
        hashes, labels = served["feature_hashes"], np.asarray(y).reshape(-1)
        if mix is not None:
            labels = mix(labels)
        for twin in twins:
            if not twin.built:
                twin.build(hashes.shape)
            nothing = np.zeros((len(labels), twin.num_tables), "float32")
            offsets = nothing if twin.residual == "corrected" else None
            twin.write(hashes, labels, served["probability"], offsets)
        rows += len(labels)
    for memory, twin in zip(memories, twins, strict=True):
        if not memory.built:
            memory.build_from_config(twin.get_build_config())
        memory.sums.assign_add(twin.sums)
    return rows


def copy_memory(memory):
    """Return a new memory of the same configuration and content (built memories only)."""
    copy = type(memory).from_config(memory.get_config())
    copy.build_from_config(memory.get_build_config())
    copy.set_weights(memory.get_weights())
    return copy

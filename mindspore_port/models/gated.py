"""Several memories and one gate: how they are read together and learn together (ours)."""

import numpy as np
from mindspore import ops

from mindspore_port.layers.feature_error_memory import FeatureErrorMemory
from mindspore_port.layers.state import assign
from mindspore_port.models.serving import Serving, hashes_of, in_batches


def gate_inputs(memories, keys, served):
    """Read all memories for served rows: the gate's inputs, side by side.

    Args:
        memories: list of `ErrorMemory`.
        keys: list of key names, one a memory.
        served: dict of Tensors: `probability` (batch,) and the keys.

    Returns:
        float32 (batch, sum of the memories' `num_gate_inputs`), or None without memories.
    """
    parts = [
        memory.gate_inputs(memory.read(served[key]), served["probability"])
        for memory, key in zip(memories, keys, strict=True)
    ]
    return ops.cat(parts, axis=1) if parts else None


def gated(memories, keys, gate, served):
    """Correct served rows of any number, in batches.

    Args:
        memories, keys: see `gate_inputs`.
        gate: `OnlineGate`.
        served: dict of arrays: `probability` (rows,) and the keys.

    Returns:
        dict of NumPy float32 arrays: `corrected` (rows,) and, with memories, `gate_inputs`.
    """

    def correct(batch):
        readings = gate_inputs(memories, keys, batch)
        out = {} if readings is None else {"gate_inputs": readings}
        return {"corrected": gate(batch["probability"], readings), **out}

    needed = {name: served[name] for name in dict.fromkeys(["probability", *keys])}
    size = min([4096, *(memory.read_batch_size for memory in memories)])
    return in_batches(correct, needed, size)


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
        batches: iterable of dicts with `label`, the inputs and `feature_hashes`, such as
            `dataset.train(batch_size, hashes=True)`.
        memories: list of `FeatureErrorMemory`.
        shuffle_seed: int, for a control: labels are permuted within each batch. None: as they are.

    Returns:
        int, rows written.

    Raises:
        ValueError: if a memory is not keyed by features, or there is none; or hashes are missing.
    """
    for memory in memories:
        if not isinstance(memory, FeatureErrorMemory):
            raise ValueError(
                "`memories` must be FeatureErrorMemory layers: the keys of a training row say "
                f"nothing new to a memory of similarity. Received: {type(memory).__name__}"
            )
    if not memories:
        raise ValueError("`memories` must hold at least one FeatureErrorMemory. Received: none")
    serving, rows = Serving(base, ()), 0
    # sums without decay, which would fade the first batches by how many there are
    twins = [type(m)(**{**m.get_config(), "decay": 1.0}) for m in memories]
    mix = None if shuffle_seed is None else np.random.default_rng(shuffle_seed).permutation
    for arrays in batches:
        probability = serving(arrays)["probability"]
        hashes, labels = hashes_of(arrays), np.asarray(arrays["label"]).reshape(-1)
        if mix is not None:
            labels = mix(labels)
        for twin in twins:
            if not twin.built:
                twin.build(hashes.shape[1])
            nothing = np.zeros((len(labels), twin.num_tables), "float32")
            offsets = nothing if twin.residual == "corrected" else None
            twin.write(hashes, labels, probability, offsets)
        rows += len(labels)
    for memory, twin in zip(memories, twins, strict=True):
        if not memory.built:
            memory.build(twin.dim)
        assign(memory.sums, memory.sums.asnumpy() + twin.sums.asnumpy())
    return rows


def copy_memory(memory):
    """Return a new memory of the same configuration and content (built memories only)."""
    copy = type(memory)(**memory.get_config())
    copy.build(memory.dim)
    for mine, theirs in zip(copy.get_parameters(), memory.get_parameters(), strict=True):
        assign(mine, theirs)
    return copy

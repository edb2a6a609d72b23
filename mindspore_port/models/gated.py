"""Several memories and one gate: how they are read together and learn together (ours)."""

import numpy as np
from mindspore import ops

from mindspore_port.layers.feature_error_memory import FeatureErrorMemory
from mindspore_port.layers.state import assign
from mindspore_port.models.serving import Serving, hashes_of


def gated(memories, keys, gate, served):
    """Look served rows up in all memories and let the gate correct their predictions.

    Args:
        memories: list of `ErrorMemory`, may be empty.
        keys: list of key names, one a memory.
        gate: `OnlineGate`.
        served: dict of Tensors: `probability` (batch,) and the keys.

    Returns:
        dict of Tensors: `corrected` (batch,); with memories also `gate_inputs` float32 (batch, sum
        of the memories' `num_gate_inputs`), and `places_0`, …, for `learn`.
    """
    out, inputs = {}, []
    for number, (memory, key) in enumerate(zip(memories, keys, strict=True)):
        reading, out[f"places_{number}"] = memory.look_up(served[key])
        inputs.append(memory.gate_inputs(reading, served["probability"]))
    if inputs:
        out["gate_inputs"] = ops.cat(inputs, axis=1)
    out["corrected"] = gate(served["probability"], out.get("gate_inputs"))
    return out


def learn(memories, served, labels):
    """Write served rows into all memories, each with what was predicted and read at serving time.

    Args:
        memories: list of `ErrorMemory`.
        served: `Served` with `probability`, what `gated` returned, as arrays.
        labels: (rows,) of 0 and 1.

    Returns:
        list of ints: rows that each memory took.
    """
    written, start = [], 0
    for number, memory in enumerate(memories):
        places = served[f"places_{number}"]
        if getattr(memory, "residual", "base") == "corrected":
            offsets = served["gate_inputs"][:, start : start + memory.num_gate_inputs]
            written.append(memory.write_at(places, labels, served["corrected"], offsets))
        else:
            written.append(memory.write_at(places, labels, served["probability"]))
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

"""Several memories and one gate: how they are read together and learn together (ours)."""

import numpy as np
from keras import ops

from reloop2_keras.layers import FeatureErrorMemory
from reloop2_keras.models.serving import Serving


def gated(memories, keys, gate, served):
    """Look served rows up in all memories and let the gate correct their predictions.

    Args:
        memories: list of `ErrorMemory`, may be empty.
        keys: list of key names, one a memory.
        gate: `OnlineGate`.
        served: dict of tensors, what `serve` returned.

    Returns:
        dict of tensors: `corrected` (batch,); with memories also `gate_inputs` float32 (batch, sum
        of the memories' `num_gate_inputs`), and `places_0`, …, for `learn`.
    """
    out, inputs = {}, []
    for number, (memory, key) in enumerate(zip(memories, keys, strict=True)):
        reading, out[f"places_{number}"] = memory.look_up(served[key])
        inputs.append(memory.gate_inputs(reading, served["probability"]))
    if inputs:
        out["gate_inputs"] = ops.concatenate(inputs, axis=1)
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
